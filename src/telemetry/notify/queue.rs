//! What waits to be told to one channel. It is bounded: of more than that the oldest is lost.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::states::Change;

/// So many changes wait at most,
const MOST: usize = 1000;
/// and so many are told at once.
const MOST_AT_ONCE: usize = 100;

/// Changes in the order in which they came.
#[derive(Debug)]
pub(super) struct Queue {
    held: Mutex<Held>,
    /// How many there are, those that are being told included.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Held {
    waiting: VecDeque<Change>,
    telling: Vec<Change>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { held: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Queue {
    /// Adds one. Returns whether another is lost for it.
    pub(super) fn push(&self, change: Change) -> bool {
        let mut held = self.held();
        let is_full = held.waiting.len() >= MOST;
        if is_full {
            held.waiting.pop_front();
        }
        held.waiting.push_back(change);
        self.count(&held);
        is_full
    }

    /// Those that are to be told next: the same again, until they are [`Queue::told`].
    pub(super) fn next(&self) -> Vec<Change> {
        let mut held = self.held();
        if held.telling.is_empty() {
            let count = held.waiting.len().min(MOST_AT_ONCE);
            held.telling = held.waiting.drain(..count).collect();
        }
        held.telling.clone()
    }

    /// What [`Queue::next`] gave is told, or given up.
    pub(super) fn told(&self) {
        let mut held = self.held();
        held.telling.clear();
        self.count(&held);
    }

    pub(super) fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until something is to be told. Cancel safe.
    pub(super) async fn filled(&self) {
        // It fails when the sender is gone, which is ours.
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Waits until nothing is to be told any more. Cancel safe.
    pub(super) async fn emptied(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn count(&self, held: &Held) {
        self.count.send_replace(held.waiting.len() + held.telling.len());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use jiff::Timestamp;

    use super::super::states::{Counts, State};
    use super::*;
    use crate::events::RunOutcome;

    fn change(number: usize) -> Change {
        Change {
            rule: number.to_string(),
            state: State::Fresh,
            at: Timestamp::UNIX_EPOCH,
            failing_since: None,
            last_success: None,
            outcome: RunOutcome::Success,
            images: Counts { copied: 0, unchanged: 0, skipped: 0, failed: 0 },
            error: None,
        }
    }

    fn first(changes: &[Change]) -> (usize, Option<&str>) {
        (changes.len(), changes.first().map(|change| &*change.rule))
    }

    #[test]
    fn what_is_not_told_yet_comes_again_and_before_what_came_later() {
        let queue = Queue::default();
        assert_eq!((queue.filled().now_or_never(), queue.emptied().now_or_never()), (None, Some(())));
        queue.push(change(1));
        assert_eq!((queue.filled().now_or_never(), queue.emptied().now_or_never()), (Some(()), None));
        assert_eq!(first(&queue.next()), (1, Some("1")));
        queue.push(change(2));
        assert_eq!(first(&queue.next()), (1, Some("1")));
        queue.told();
        assert_eq!(first(&queue.next()), (1, Some("2")));
        queue.told();
        assert_eq!((queue.len(), queue.next()), (0, vec![]));
    }

    #[test]
    fn of_too_many_the_oldest_are_lost() {
        let queue = Queue::default();
        let lost = (0..MOST + 5).filter(|number| queue.push(change(*number))).count();
        assert_eq!((lost, queue.len()), (5, MOST));
        assert_eq!(first(&queue.next()), (MOST_AT_ONCE, Some("5")));
        assert_eq!(queue.len(), MOST);
    }
}
