//! What goes wrong and is tried again for ever: told now and then, so that somebody mends it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const TOLD_EVERY: Duration = Duration::from_secs(60);

/// When which of them was told last.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<HashMap<&'static str, Instant>>);

impl Troubles {
    /// Whether it is to be told now; then it is not, for a while.
    pub(super) fn are_due(&self, doing: &'static str) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.get(doing).is_none_or(|told| now.duration_since(*told) >= TOLD_EVERY);
        if is_due {
            told.insert(doing, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_is_told_once_in_a_while() {
        let troubles = Troubles::default();
        assert_eq!(["a", "a", "b"].map(|doing| troubles.are_due(doing)), [true, false, true]);
        tokio::time::advance(TOLD_EVERY).await;
        assert!(troubles.are_due("a"));
    }
}
