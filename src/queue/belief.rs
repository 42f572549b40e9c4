//! How long a process may believe that something is its own without being told again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Something is ours until so long after we SENT the last request that was granted: what the server counts from is not
/// earlier. Once that has passed it is lost for good, also for a process that stood still meanwhile.
#[derive(Debug)]
pub(super) struct Belief {
    span: Duration,
    until: Mutex<Instant>,
    lost: CancellationToken,
}

impl Belief {
    /// Granted what was asked for at `sent`. Of the span a little is left out: clocks do not go alike.
    pub(super) fn since(sent: Instant, span: Duration) -> Self {
        let span = span - span / 20;
        Self { span, until: Mutex::new(sent + span), lost: CancellationToken::new() }
    }

    /// Granted again what was asked for at `sent`; nothing, if it was lost before.
    pub(super) fn renewed(&self, sent: Instant) {
        if self.holds() {
            let mut until = self.lock();
            *until = (*until).max(sent + self.span);
        }
    }

    pub(super) fn holds(&self) -> bool {
        if Instant::now() >= *self.lock() {
            self.lose();
        }
        !self.lost.is_cancelled()
    }

    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    /// Cancelled when it is lost, if somebody [watches](Self::watch) or asks.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Ends when it is lost.
    pub(super) async fn watch(&self) {
        while self.holds() {
            let until = *self.lock();
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.lost.cancelled() => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_when_the_request_was_sent_not_from_when_it_was_granted() {
        let belief = Belief::since(Instant::now(), SPAN);
        tokio::time::advance(SPAN / 2).await;
        let sent = Instant::now();
        tokio::time::advance(SPAN / 4).await;
        belief.renewed(sent);
        tokio::time::advance(SPAN / 2).await;
        assert!(belief.holds());
        tokio::time::advance(SPAN / 4).await;
        assert!(!belief.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_is_not_renewed_by_an_answer_that_comes_late() {
        let belief = Belief::since(Instant::now(), SPAN);
        let sent = Instant::now();
        tokio::time::advance(SPAN).await;
        belief.renewed(sent + SPAN);
        assert!(!belief.holds() && belief.lost().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_is_told_when_it_runs_out_and_not_before_what_was_renewed() {
        let belief = Belief::since(Instant::now(), SPAN);
        let begun = Instant::now();
        let renewing = async {
            tokio::time::sleep(SPAN / 2).await;
            belief.renewed(Instant::now());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = belief.watch() => {}
            () = renewing => {}
        }
        assert!(begun.elapsed() > SPAN && belief.lost().is_cancelled());
    }
}
