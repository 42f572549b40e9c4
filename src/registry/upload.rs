//! The body of an upload: fed by a stream, counted, and watched.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, ready};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use super::transport::Transport;
use crate::content::{Cause, Error};
use crate::events::Direction;

/// How long a registry may take to commit what it has received: those with object storage move the bytes once more.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(300);

/// What is known of a body on its way out.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<State>);

#[derive(Default)]
struct State {
    size: u64,
    sent: AtomicU64,
    /// Whether the body waits for its source, which watches over its own silence.
    waits_for_source: AtomicBool,
    source_error: Mutex<Option<Error>>,
}

impl Watch {
    /// The error that ended the source's side, if one did.
    pub(super) fn take_source_error(&self) -> Option<Error> {
        self.0.source_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }
}

/// Waits for an upload as long as its bytes move; then, for its commit, a fixed time.
///
/// # Errors
/// [`Cause::Stalled`] when the target took no byte for `idle`; [`Cause::Cancelled`] when it was stopped before its last
/// byte was sent. What is sent whole is not cut any more.
pub(super) async fn watched<T>(
    request: impl Future<Output = T>,
    watch: &Watch,
    idle: Duration,
    cancel: &CancellationToken,
) -> Result<T, Cause> {
    let mut request = pin!(request);
    let mut before = None;
    loop {
        let sent = watch.sent();
        let committing = sent >= watch.0.size;
        let patience = if committing { COMMIT_TIMEOUT } else { idle };
        if before == Some(sent) && !watch.0.waits_for_source.load(Ordering::Relaxed) {
            return Err(Cause::Stalled(patience));
        }
        before = Some(sent);
        tokio::select! {
            biased;
            done = &mut request => return Ok(done),
            () = tokio::time::sleep(patience) => {}
            () = cancel.cancelled(), if !committing => {
                if watch.sent() < watch.0.size {
                    return Err(Cause::Cancelled);
                }
            }
        }
    }
}

/// A body of known length: HTTP/1.1 sends it with a `Content-Length`, and a source that ends early breaks the request
/// rather than completing it.
pub(super) struct Outgoing<S> {
    source: Pin<Box<S>>,
    watch: Watch,
    transport: Arc<Transport>,
}

impl<S> Outgoing<S> {
    pub(super) fn new(source: S, size: u64, transport: Arc<Transport>) -> (Self, Watch) {
        let watch = Watch(Arc::new(State { size, ..State::default() }));
        (Self { source: Box::pin(source), watch: watch.clone(), transport }, watch)
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Body for Outgoing<S> {
    type Data = Bytes;
    type Error = SourceBroke;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceBroke>>> {
        let next = self.source.as_mut().poll_next(cx);
        self.watch.0.waits_for_source.store(next.is_pending(), Ordering::Relaxed);
        Poll::Ready(match ready!(next) {
            Some(Ok(piece)) => {
                self.watch.0.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                self.transport.count_bytes(Direction::Written, piece.len());
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => {
                *self.watch.0.source_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(SourceBroke))
            }
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.watch.0.size.saturating_sub(self.watch.sent()))
    }
}

/// What the target's connection is told when the source breaks; the reason itself is kept in the [`Watch`].
#[derive(Debug, thiserror::Error)]
#[error("the source broke")]
pub(super) struct SourceBroke;

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(size: u64) -> Watch {
        Watch(Arc::new(State { size, ..State::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_may_take_any_time() {
        let watch = watch(1000);
        let moving = async {
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                watch.0.sent.fetch_add(1, Ordering::Relaxed);
            }
            "done"
        };
        assert!(matches!(
            watched(moving, &watch, Duration::from_secs(60), &CancellationToken::new()).await,
            Ok("done")
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stands_still_is_broken_off() {
        let started = tokio::time::Instant::now();
        let result =
            watched(std::future::pending::<()>(), &watch(10), Duration::from_secs(60), &CancellationToken::new()).await;
        assert!(matches!(result, Err(Cause::Stalled(_))));
        assert_eq!(started.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_gets_more_time() {
        let committing = tokio::time::sleep(Duration::from_secs(200));
        assert!(watched(committing, &watch(0), Duration::from_secs(60), &CancellationToken::new()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_cuts_what_is_not_sent_whole_and_nothing_else() {
        let stopped = CancellationToken::new();
        stopped.cancel();
        let cut = watched(std::future::pending::<()>(), &watch(10), Duration::from_secs(60), &stopped).await;
        assert!(matches!(cut, Err(Cause::Cancelled)));
        let commit = tokio::time::sleep(Duration::from_secs(20));
        assert!(watched(commit, &watch(0), Duration::from_secs(60), &stopped).await.is_ok());
    }
}
