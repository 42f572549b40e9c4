//! The bodies of an upload: fed by one stream, counted, and watched.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, ready};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::transport::Transport;
use crate::content::{Cause, Error};
use crate::events::Direction;

/// How long a registry may take to commit what it has received: those with object storage move the bytes once more.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(300);

/// What is known of an upload's bytes on their way out.
#[derive(Default)]
pub(super) struct Watch {
    sent: AtomicU64,
    /// How many bytes will have been sent when the request under way has sent its body.
    goal: AtomicU64,
    /// Whether the body waits for its source, which watches over its own silence, or for its turn in the bandwidth.
    waits_here: AtomicBool,
    source_error: Mutex<Option<Error>>,
}

impl Watch {
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn has_sent_all(&self) -> bool {
        self.sent() >= self.goal.load(Ordering::Relaxed)
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
        let committing = watch.has_sent_all();
        let patience = if committing { COMMIT_TIMEOUT } else { idle };
        if before == Some(sent) && !watch.waits_here.load(Ordering::Relaxed) {
            return Err(Cause::Stalled(patience));
        }
        before = Some(sent);
        tokio::select! {
            biased;
            done = &mut request => return Ok(done),
            () = tokio::time::sleep(patience) => {}
            () = cancel.cancelled(), if !committing => {
                if !watch.has_sent_all() {
                    return Err(Cause::Cancelled);
                }
            }
        }
    }
}

/// The bytes of a blob, to be sent as one body or as several, one after another.
pub(super) struct Feed<S> {
    source: Mutex<Source<S>>,
    watch: Watch,
    transport: Arc<Transport>,
}

struct Source<S> {
    /// None when the upload has ended, well or not.
    stream: Option<Pin<Box<S>>>,
    /// The body that waits for a piece.
    waker: Option<Waker>,
    /// What a body could not take of a piece, since it was full.
    left_over: Bytes,
    /// The pause that the registry's bandwidth asks for.
    pacing: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream<Item = Result<Bytes, Error>>> Source<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(pacing) = &mut self.pacing {
            ready!(pacing.as_mut().poll(cx));
            self.pacing = None;
        }
        if !self.left_over.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.left_over))));
        }
        self.waker = Some(cx.waker().clone());
        self.stream.as_mut().map_or(Poll::Ready(None), |stream| stream.as_mut().poll_next(cx))
    }
}

impl<S> Feed<S> {
    pub(super) fn new(stream: S, transport: Arc<Transport>) -> Arc<Self> {
        let source = Source { stream: Some(Box::pin(stream)), waker: None, left_over: Bytes::new(), pacing: None };
        Arc::new(Self { source: Mutex::new(source), watch: Watch::default(), transport })
    }

    /// The body of the next `size` bytes.
    pub(super) fn next(self: &Arc<Self>, size: u64) -> Outgoing<S> {
        self.watch.goal.fetch_add(size, Ordering::Relaxed);
        Outgoing { feed: Arc::clone(self), left: size }
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ends the source's side: a body whose answer came early would otherwise be read on, for nobody.
    pub(super) fn close(&self) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        (source.stream, source.left_over) = (None, Bytes::new());
        let waker = source.waker.take();
        drop(source);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The error that ended the source's side, if one did.
    pub(super) fn take_source_error(&self) -> Option<Error> {
        self.watch.source_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body of known length: HTTP/1.1 sends it with a `Content-Length`, and a source that ends early breaks the request
/// rather than completing it.
pub(super) struct Outgoing<S> {
    feed: Arc<Feed<S>>,
    left: u64,
}

impl<S: Stream<Item = Result<Bytes, Error>>> Outgoing<S> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut source = self.feed.source.lock().unwrap_or_else(PoisonError::into_inner);
        let next = source.poll_next(cx);
        self.feed.watch.waits_here.store(next.is_pending(), Ordering::Relaxed);
        let mut piece = match ready!(next) {
            Some(Ok(piece)) => piece,
            other => return Poll::Ready(other),
        };
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        if piece.len() > room {
            source.left_over = piece.split_off(room);
        }
        self.left -= piece.len() as u64;
        self.feed.watch.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        let pause = self.feed.transport.count_bytes(Direction::Written, piece.len());
        source.pacing = (!pause.is_zero()).then(|| Box::pin(tokio::time::sleep(pause)));
        Poll::Ready(Some(Ok(piece)))
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Body for Outgoing<S> {
    type Data = Bytes;
    type Error = SourceBroke;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceBroke>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.poll_piece(cx)) {
            Some(Ok(piece)) => Some(Ok(Frame::data(piece))),
            Some(Err(error)) => {
                *self.feed.watch.source_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(SourceBroke))
            }
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
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
        Watch { goal: size.into(), ..Watch::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_may_take_any_time() {
        let watch = watch(1000);
        let moving = async {
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                watch.sent.fetch_add(1, Ordering::Relaxed);
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
