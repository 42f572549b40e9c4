//! What registries told us.

use prometheus::{IntCounterVec, Result};

use super::families::Families;
use crate::events::{WebhookKind, WebhookOutcome};

pub(super) struct Webhooks(IntCounterVec);

impl Webhooks {
    pub(super) fn new(families: &Families<'_>) -> Result<Self> {
        let help = "Messages of registries about pushes, by what became of them.";
        families.counter("regferry_webhooks_total", help, &["kind", "outcome"]).map(Self)
    }

    pub(super) fn heard(&self, kind: WebhookKind, outcome: WebhookOutcome) {
        self.0.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
    }

    /// Shows zeros of a kind that is taken, from which the first message is an increase too.
    pub(super) fn begin(&self, kind: WebhookKind) {
        WebhookOutcome::ALL
            .iter()
            .for_each(|outcome| drop(self.0.with_label_values(&[kind.as_str(), outcome.as_str()])));
    }
}
