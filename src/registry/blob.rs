//! A blob's bytes on their way in: counted, watched, and fetched on from where they broke off.

use std::ops::RangeFrom;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, ready};
use http::header::CONTENT_RANGE;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use reqwest::Response;
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;

use super::answer;
use super::call::Call;
use super::remote::Remote;
use crate::backoff::{Effort, Patience};
use crate::content::{Cause, Error};
use crate::events::Direction;

/// The body of a blob's GET. When it breaks off, the rest is asked for with `Range` (distribution spec, "Pulling
/// blobs"), again and again as long as bytes come; the reader only sees a pause.
pub struct BlobBody {
    remote: Remote,
    call: Call,
    size: u64,
    received: u64,
    /// Bytes to pass over: of an answer that begins anew although it was asked for the rest.
    skip: u64,
    state: State,
    effort: Effort,
    waited: Duration,
}

enum State {
    Reading {
        body: reqwest::Body,
        /// Runs while a byte is waited for; a reader that takes its time is no fault of the source.
        waiting: Option<Pin<Box<Sleep>>>,
    },
    Resuming(AbortOnDropHandle<Result<Response, Error>>),
}

impl BlobBody {
    /// Asks for a blob of `size` bytes and returns its body.
    pub(super) async fn open(remote: Remote, call: Call, size: u64) -> Result<Self, Error> {
        let response = remote.transport.send(&remote.caller, &call).await?;
        Ok(Self {
            remote,
            call,
            size,
            received: 0,
            skip: 0,
            state: State::reading(response),
            effort: Patience::STANDARD.effort(),
            waited: Duration::ZERO,
        })
    }

    /// A piece of what was asked for, or nothing if all of it belongs to what came before.
    fn accept(&mut self, mut piece: Bytes) -> Option<Bytes> {
        self.remote.transport.count_bytes(Direction::Read, piece.len());
        let passed = self.skip.min(piece.len() as u64);
        self.skip -= passed;
        let piece = piece.split_off(usize::try_from(passed).unwrap_or(piece.len()));
        if piece.is_empty() {
            return None;
        }
        self.received += piece.len() as u64;
        // Progress: what is left may take as much patience again.
        (self.effort, self.waited) = (Patience::STANDARD.effort(), Duration::ZERO);
        Some(piece)
    }

    /// Goes on behind the last byte that came, after a pause; or fails with `error` if that is not worth it.
    fn resume(&mut self, error: Error) -> Result<(), Error> {
        let limit = Patience::STANDARD.max_elapsed;
        let worth = error.retry_reason().filter(|_| self.received < self.size).and_then(|reason| {
            let pause = self.effort.next(reason, limit, self.waited, error.retry_after())?;
            Some((reason, pause))
        });
        let Some((reason, pause)) = worth else { return Err(error) };
        self.waited += pause;
        self.remote.transport.report_retry(reason, pause, &error);
        let (remote, call) = (self.remote.clone(), self.call.clone().range(self.received..));
        let resuming = tokio::spawn(async move {
            let pausing = remote.caller.cancel.run_until_cancelled(tokio::time::sleep(pause));
            match pausing.await {
                Some(()) => remote.transport.send(&remote.caller, &call).await,
                None => Err(call.error(Cause::Cancelled)),
            }
        });
        self.state = State::Resuming(AbortOnDropHandle::new(resuming));
        Ok(())
    }

    fn resumed(&mut self, response: Response) -> Result<(), Error> {
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers()) == Some(self.received) => 0,
            StatusCode::OK => self.received,
            status => {
                let reason = format!("asked for the bytes from {}, it answered {status} with others", self.received);
                return Err(self.call.error(Cause::Protocol(reason)));
            }
        };
        self.state = State::reading(response);
        Ok(())
    }
}

impl State {
    fn reading(response: Response) -> Self {
        Self::Reading { body: response.into(), waiting: None }
    }
}

impl Stream for BlobBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let idle = this.remote.transport.idle_timeout();
            let going_on = match &mut this.state {
                State::Resuming(task) => match ready!(Pin::new(task).poll(cx)) {
                    Ok(Ok(response)) => this.resumed(response),
                    Ok(Err(error)) => Err(error),
                    Err(fault) => Err(this.call.error(Cause::Protocol(format!("a fault in regferry itself: {fault}")))),
                },
                State::Reading { body, waiting } => match ready!(poll_body(body, waiting, idle, cx)) {
                    Some(Ok(piece)) => match this.accept(piece) {
                        Some(piece) => return Poll::Ready(Some(Ok(piece))),
                        None => Ok(()),
                    },
                    Some(Err(cause)) => {
                        let error = this.call.error(cause);
                        this.resume(error)
                    }
                    None => return Poll::Ready(None),
                },
            };
            if let Err(error) = going_on {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// The body's next piece, or why none comes.
fn poll_body(
    body: &mut reqwest::Body,
    waiting: &mut Option<Pin<Box<Sleep>>>,
    idle: Duration,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Cause>>> {
    loop {
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            let timer = waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(Cause::Stalled(idle))));
        };
        *waiting = None;
        return Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) => Some(Ok(piece)),
                // Trailers carry nothing for us.
                Err(_) => continue,
            },
            Some(Err(error)) => Some(Err(answer::failure(&error))),
            None => None,
        });
    }
}

/// The first byte of a partial answer: `Content-Range: bytes 500-999/1000`. Source: RFC 9110, 14.4.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// The value of a `Range` header for the rest. Source: RFC 9110, 14.2.
pub(super) fn range_header(range: &RangeFrom<u64>) -> String {
    format!("bytes={}-", range.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first_byte(value: &str) -> Option<u64> {
        begins_at(&HeaderMap::from_iter([(CONTENT_RANGE, value.parse().ok()?)]))
    }

    #[test]
    fn a_partial_answer_says_where_it_begins() {
        assert_eq!(first_byte("bytes 500-999/1000"), Some(500));
        assert_eq!(first_byte("bytes 0-0/*"), Some(0));
        for other in ["", "bytes */1000", "500-999", "items 500-999/1000", "bytes -5/10"] {
            assert_eq!(first_byte(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_content_range_panics(value in "[ -~]*") {
            let _ = first_byte(&value);
        }
    }
}
