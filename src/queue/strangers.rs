//! Runs of rules that this replica does not have.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What has not come back for so long is another's by now.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// Since when which of them have come, by this replica's own clock: an order may have waited long before, for a rule's run
/// or for NATS.
#[derive(Default)]
pub(super) struct Strangers(Mutex<HashMap<String, Met>>);

struct Met {
    first: Instant,
    last: Instant,
}

impl Strangers {
    /// One came. Returns for how long it has been coming.
    pub(super) fn met(&self, run: &str) -> Duration {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, met| now.duration_since(met.last) < FORGOTTEN);
        let met = all.entry(run.to_owned()).or_insert(Met { first: now, last: now });
        met.last = now;
        now.duration_since(met.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_is_known_from_its_first_coming_on_and_forgotten_when_it_comes_no_more() {
        let strangers = Strangers::default();
        assert_eq!(strangers.met("a"), Duration::ZERO);
        for _ in 0..4 {
            tokio::time::advance(FORGOTTEN / 2).await;
            strangers.met("a");
        }
        assert_eq!((strangers.met("a"), strangers.met("b")), (FORGOTTEN * 2, Duration::ZERO));
        tokio::time::advance(FORGOTTEN).await;
        strangers.met("b");
        assert_eq!(strangers.0.lock().unwrap().len(), 1, "those that came no more take no memory");
    }
}
