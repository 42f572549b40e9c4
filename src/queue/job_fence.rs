//! Whose an image is: a lease, taken when something is written for it first.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::bucket::Bucket;
use super::claim::Claim;
use super::lease::Lease;
use super::tally::Tally;
use crate::content::{Displaced, Fence};
use crate::events::LeaseKind;

/// The fence of one image job.
pub(super) struct JobFence {
    claim: Arc<Claim>,
    leases: Bucket,
    key: String,
    holder: Arc<str>,
    span: Duration,
    tally: Arc<Tally>,
    state: Mutex<State>,
}

enum State {
    /// Nothing was written yet.
    Free,
    Ours(Lease),
    /// Another replica writes it: it is given back, and looked at again in a moment.
    Others,
    /// It was done meanwhile, or we were silent for too long: it is not ours to give back.
    Gone,
}

impl JobFence {
    pub(super) fn new(
        claim: Arc<Claim>,
        leases: Bucket,
        key: String,
        (holder, span): (Arc<str>, Duration),
        tally: Arc<Tally>,
    ) -> Self {
        Self { claim, leases, key, holder, span, tally, state: Mutex::new(State::Free) }
    }

    /// Whether another replica was found to be at it.
    pub(super) async fn is_others(&self) -> bool {
        matches!(*self.state.lock().await, State::Others)
    }

    /// Whether it may be told what became of the job: at the server, where something was written.
    pub(super) async fn may_tell(&self) -> bool {
        let state = self.state.lock().await;
        match &*state {
            State::Free => self.claim.holds(),
            State::Ours(lease) => lease.check().await.is_ok(),
            State::Others | State::Gone => false,
        }
    }

    /// Gives the lease back, if there is one.
    pub(super) async fn release(&self) {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Gone);
        if let State::Ours(lease) = state {
            lease.release().await;
            self.tally.released(LeaseKind::Image);
        }
    }

    async fn take(&self) -> Result<State, Displaced> {
        let displaced = |reason: &str| Displaced::new(format!("the image {}: {reason}", self.key));
        loop {
            if !self.claim.holds() {
                return Err(displaced("NATS was not heard of for too long: it is others' by now"));
            }
            match Lease::take(&self.leases, &self.key, &self.holder, self.span).await {
                Ok(None) => return Ok(State::Others),
                Ok(Some(lease)) => {
                    self.tally.held(LeaseKind::Image);
                    // Who had it before us may have done it: then what we have read of the source is old.
                    if self.claim.is_there().await == Ok(true) && self.claim.holds() {
                        return Ok(State::Ours(lease));
                    }
                    lease.release().await;
                    self.tally.released(LeaseKind::Image);
                    return Ok(State::Gone);
                }
                Err(error) => self.leases.trouble("taking an image's lease", &error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn held(&self, is_to_be_checked: bool) -> Result<(), Displaced> {
        let mut state = self.state.lock().await;
        if let State::Free = *state {
            *state = self.take().await.inspect_err(|_| tracing::debug!(key = self.key, "an image is displaced"))?;
        }
        match &*state {
            State::Ours(lease) if is_to_be_checked => lease.check().await,
            State::Ours(lease) if !lease.lost().is_cancelled() => Ok(()),
            State::Ours(_) | State::Gone => Err(Displaced::new("another replica has taken the image over")),
            State::Others | State::Free => Err(Displaced::new("another replica is at the image")),
        }
    }
}

impl Fence for JobFence {
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.held(false).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.held(true).boxed()
    }
}
