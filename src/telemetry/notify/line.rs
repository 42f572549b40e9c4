//! The way to one channel: what waits for it is posted, one after the other, again and again until it is taken.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::metrics::{Metrics, NotificationOutcome};
use super::channel::Channel;
use super::document::document;
use super::queue::Queue;
use crate::backoff::{Patience, Retries, RetryReason};
use crate::registry::post_json;

/// What changes at one time is told in one message: a registry that is down fails many rules.
const GATHER: Duration = Duration::from_secs(1);

/// A channel that takes nothing for so long is not told any more what it was to be told.
const PATIENCE: Patience = Patience {
    initial: Duration::from_secs(1),
    max_pause: Duration::from_secs(60),
    max_elapsed: Duration::from_secs(15 * 60),
    max_attempts: 100,
};

/// A channel and what waits for it. Dropped, it posts nothing more.
pub(super) struct Line {
    pub(super) channel: Arc<Channel>,
    pub(super) queue: Arc<Queue>,
    finish: CancellationToken,
    _posting: AbortOnDropHandle<()>,
}

impl Line {
    /// Goes on with what waits already.
    pub(super) fn new(channel: Arc<Channel>, queue: Arc<Queue>, metrics: Arc<Metrics>) -> Self {
        let finish = CancellationToken::new();
        let posting =
            Posting { channel: Arc::clone(&channel), queue: Arc::clone(&queue), finish: finish.clone(), metrics };
        let posting = AbortOnDropHandle::new(task::spawn(posting.run()));
        Self { channel, queue, finish, _posting: posting }
    }

    /// Waits no more, neither for more to tell nor to try again.
    pub(super) fn finish(&self) {
        self.finish.cancel();
    }
}

struct Posting {
    channel: Arc<Channel>,
    queue: Arc<Queue>,
    finish: CancellationToken,
    metrics: Arc<Metrics>,
}

/// Why a message was not taken, and whether it is worth another try.
struct Failure {
    error: String,
    again: Option<(RetryReason, Option<Duration>)>,
}

impl Posting {
    async fn run(self) {
        loop {
            self.queue.filled().await;
            self.pause(GATHER).await;
            let changes = self.queue.next();
            let id = format!("{:016x}", RandomState::new().hash_one(()));
            let body = Bytes::from(document(self.channel.format, &id, &changes));
            let outcome = self.post(&body, changes.len()).await;
            self.metrics.notified(&self.channel.name, outcome, changes.len());
            self.queue.told();
        }
    }

    async fn post(&self, body: &Bytes, changes: usize) -> NotificationOutcome {
        let name = &*self.channel.name;
        let (mut retries, mut is_told) = (Retries::new(PATIENCE), false);
        loop {
            let Failure { error, again } = match self.try_once(body).await {
                Ok(()) => {
                    tracing::debug!(notification = name, changes, "told");
                    return NotificationOutcome::Sent;
                }
                Err(failure) => failure,
            };
            let again = again.filter(|_| !self.finish.is_cancelled());
            let Some(pause) = again.and_then(|(reason, asked)| retries.next(reason, asked)) else {
                tracing::error!(notification = name, changes, error, "a notification is given up");
                return NotificationOutcome::Lost;
            };
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(notification = name, error, "a notification is not taken, and will be tried again");
            }
            self.pause(pause).await;
        }
    }

    async fn try_once(&self, body: &Bytes) -> Result<(), Failure> {
        let channel = Arc::clone(&self.channel);
        let read = task::spawn_blocking(move || channel.place()).await;
        let of_files = |error| Failure { error, again: Some((RetryReason::Connection, None)) };
        let place = read.map_err(|fault| of_files(format!("a fault in regferry itself: {fault}; please report it")))?;
        let (url, token) = place.map_err(of_files)?;
        let posted = post_json(&url, self.channel.ca_file.as_deref(), token.as_ref(), body.clone()).await;
        posted.map_err(|error| Failure {
            again: error.retry_reason().map(|reason| (reason, error.retry_after())),
            error: error.to_string(),
        })
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.finish.cancelled() => {}
        }
    }
}
