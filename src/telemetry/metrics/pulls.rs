//! Pulls that registries announced. What was announced is taken back when it holds no more: nobody would raise a low
//! value again, and an alert on it would never end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntGaugeVec, Result};
use tokio::time::Instant;

use super::families::Families;
use crate::oci::Host;

pub(super) struct Pulls {
    left: IntGaugeVec,
    /// Of each registry that is shown, when its window will be over.
    shown: Mutex<HashMap<Host, Instant>>,
}

impl Pulls {
    pub(super) fn new(families: &Families<'_>) -> Result<Self> {
        let left = families.count(
            "regferry_pull_quota_remaining",
            "Pulls left, as the registry last announced it, until its window is over.",
            &["registry"],
        )?;
        Ok(Self { left, shown: Mutex::default() })
    }

    pub(super) fn announced(&self, registry: &Host, remaining: u64, window: Duration) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(registry.clone(), Instant::now() + window);
        self.left.with_label_values(&[registry.as_str()]).set(i64::try_from(remaining).unwrap_or(i64::MAX));
    }

    /// Takes back what was announced in windows that are over.
    pub(super) fn forget_past(&self) {
        let now = Instant::now();
        self.keep(|_, end| now < end);
    }

    /// Takes back what other registries announced.
    pub(super) fn keep_registries(&self, is_kept: impl Fn(&Host) -> bool) {
        self.keep(|registry, _| is_kept(registry));
    }

    fn keep(&self, is_kept: impl Fn(&Host, Instant) -> bool) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (registry, _) in shown.extract_if(|registry, end| !is_kept(registry, *end)) {
            // What is not there is as good as removed.
            let _ = self.left.remove_label_values(&[registry.as_str()]);
        }
    }
}
