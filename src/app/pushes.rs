//! What registries say was pushed to them, on its way to the rules that read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::daemon::sleep_until;
use crate::config::ScheduledRule;
use crate::schedule::Debounce;
use crate::transfer::{Pushed, Rule, concerned};

/// The rules that are concerned by what was pushed a moment ago.
#[derive(Default)]
pub(super) struct Pushes {
    known: Mutex<Known>,
    told: Notify,
}

#[derive(Default)]
struct Known {
    rules: Vec<Arc<Rule>>,
    due: Debounce,
}

impl Pushes {
    /// These are the rules from now on.
    pub(super) fn follow(&self, rules: &[ScheduledRule]) {
        let mut known = self.known();
        known.rules = rules.iter().map(|scheduled| Arc::clone(&scheduled.rule)).collect();
        known.due.keep(|name| rules.iter().any(|scheduled| *scheduled.rule.name == *name));
    }

    /// Something was pushed. Returns how many rules that concerns.
    pub(super) fn tell(&self, pushes: &[Pushed]) -> usize {
        let now = Instant::now().into_std();
        let mut known = self.known();
        let Known { rules, due } = &mut *known;
        let rules: Vec<&Rule> = rules.iter().map(|rule| &**rule).collect();
        let mut names: Vec<&Arc<str>> =
            pushes.iter().flat_map(|pushed| concerned(&rules, pushed)).map(|rule| &rule.name).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().for_each(|name| due.tell(name, now));
        let count = names.len();
        drop(known);
        if count > 0 {
            self.told.notify_one();
        }
        count
    }

    /// Waits for a rule that is to run. Cancel safe; for one who waits.
    pub(super) async fn next(&self) -> Arc<str> {
        loop {
            let next = {
                let mut known = self.known();
                if let Some(rule) = known.due.take_due(Instant::now().into_std()) {
                    return rule;
                }
                known.due.next()
            };
            tokio::select! {
                () = self.told.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
