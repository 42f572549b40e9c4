//! What became of messages about rules.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounterVec, Result};

use super::families::Families;

/// What became of a change that was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum NotificationOutcome {
    /// It was taken.
    Sent,
    /// It was given up.
    Lost,
}

impl NotificationOutcome {
    const ALL: [Self; 2] = [Self::Sent, Self::Lost];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Lost => "lost",
        }
    }
}

pub(super) struct Notifications {
    changes: IntCounterVec,
    shown: Mutex<HashSet<String>>,
}

impl Notifications {
    pub(super) fn new(families: &Families<'_>) -> Result<Self> {
        let help = "Changes of rules' states that were to be told, by what became of them.";
        let changes = families.counter("regferry_notifications_total", help, &["notification", "outcome"])?;
        Ok(Self { changes, shown: Mutex::default() })
    }

    /// These are there from now on, with zeros; those that are gone take their series along.
    pub(super) fn follow<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let names: HashSet<String> = names.map(str::to_owned).collect();
        for outcome in NotificationOutcome::ALL {
            names.iter().for_each(|name| drop(self.changes.with_label_values(&[name, outcome.as_str()])));
            // What is not there is as good as removed.
            shown.difference(&names).for_each(|gone| {
                let _ = self.changes.remove_label_values(&[gone, outcome.as_str()]);
            });
        }
        *shown = names;
    }

    pub(super) fn count(&self, name: &str, outcome: NotificationOutcome, changes: usize) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.contains(name) {
            self.changes.with_label_values(&[name, outcome.as_str()]).inc_by(changes as u64);
        }
    }
}
