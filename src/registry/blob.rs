//! A blob's bytes on their way in: counted, watched, and fetched on from where they broke off.

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::ops::RangeFrom;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, ready};
use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;

use super::answer;
use super::call::Call;
use super::remote::Remote;
use crate::backoff::Retries;
use crate::content::{Cause, Error};
use crate::events::Direction;
use crate::http_client::Response;

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
    /// The pause that the registry's bandwidth asks for.
    pacing: Option<Pin<Box<Sleep>>>,
    retries: Retries,
}

enum State {
    Reading {
        body: Incoming,
        /// Runs while a byte is waited for; a reader that takes its time is no fault of the source.
        waiting: Option<Pin<Box<Sleep>>>,
    },
    Resuming(AbortOnDropHandle<Result<Response, Error>>),
}

impl BlobBody {
    /// Asks once for a blob of `size` bytes from `position` on and returns its body. `remote` holds a connection for it.
    pub(super) async fn open(remote: Remote, call: Call, position: u64, size: u64) -> Result<Self, Error> {
        let asked = if position > 0 { call.clone().range(position..) } else { call.clone() };
        let response = remote.transport.send_once(&remote.caller, &asked).await?.response;
        let skip = if position > 0 { skip(&call, &response, position, size)? } else { 0 };
        let retries = Retries::new(remote.transport.patience());
        let state = State::reading(response);
        Ok(Self { remote, call, size, received: position, skip, state, pacing: None, retries })
    }

    /// A piece of what was asked for, or nothing if all of it belongs to what came before.
    fn accept(&mut self, mut piece: Bytes) -> Option<Bytes> {
        let pause = self.remote.transport.count_bytes(Direction::Read, piece.len());
        self.pacing = (!pause.is_zero()).then(|| Box::pin(tokio::time::sleep(pause)));
        let passed = self.skip.min(piece.len() as u64);
        self.skip -= passed;
        let piece = piece.split_off(usize::try_from(passed).unwrap_or(piece.len()));
        if piece.is_empty() {
            return None;
        }
        self.received += piece.len() as u64;
        // Progress: what is left may take as much patience again.
        self.retries.progressed();
        Some(piece)
    }

    /// Goes on behind the last byte that came, after a pause; or fails with `error` if that is not worth it.
    fn resume(&mut self, error: Error) -> Result<(), Error> {
        let reason = error.retry_reason().filter(|_| self.received < self.size);
        let worth = reason.and_then(|reason| Some((reason, self.retries.next(reason, error.retry_after())?)));
        let Some((reason, pause)) = worth else { return Err(error) };
        self.remote.transport.report_retry(reason, pause, &error);
        let (remote, call) = (self.remote.clone(), self.call.clone().range(self.received..));
        let resuming = tokio::spawn(async move {
            let pausing = remote.caller.cancel.run_until_cancelled(tokio::time::sleep(pause));
            match pausing.await {
                Some(()) => Ok(remote.transport.send_once(&remote.caller, &call).await?.response),
                None => Err(call.error(Cause::Cancelled)),
            }
        });
        self.state = State::Resuming(AbortOnDropHandle::new(resuming));
        Ok(())
    }

    fn resumed(&mut self, response: Response) -> Result<(), Error> {
        self.skip = skip(&self.call, &response, self.received, self.size)?;
        self.state = State::reading(response);
        Ok(())
    }
}

/// How many bytes of an answer come before those that it was asked for, which are all from `position` on.
fn skip(call: &Call, response: &Response, position: u64, size: u64) -> Result<u64, Error> {
    match response.status() {
        StatusCode::PARTIAL_CONTENT if is_rest(response.headers(), position, size) => Ok(0),
        StatusCode::OK => Ok(position),
        status => {
            let reason = format!("asked for the bytes from {position}, it answered {status} with others");
            Err(call.error(Cause::Protocol(reason)))
        }
    }
}

impl State {
    fn reading(response: Response) -> Self {
        Self::Reading { body: response.into_body(), waiting: None }
    }
}

impl Stream for BlobBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let idle = this.remote.transport.idle_timeout();
            if let Some(pacing) = &mut this.pacing {
                ready!(pacing.as_mut().poll(cx));
                this.pacing = None;
            }
            let going_on = match &mut this.state {
                State::Resuming(task) => match ready!(Pin::new(task).poll(cx)) {
                    Ok(Ok(response)) => this.resumed(response),
                    Ok(Err(error)) => this.resume(error),
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
    body: &mut Incoming,
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
            Some(Err(error)) => Some(Err(answer::failure(&error.into()))),
            None => None,
        });
    }
}

/// Whether a partial answer is all from `position` to the end: `Content-Range: bytes 500-999/1000`.
/// Source: RFC 9110, 14.4.
fn is_rest(headers: &HeaderMap, position: u64, size: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(partial);
    range.is_some_and(|(first, last, total)| {
        first == position && last.checked_add(1) == Some(size) && total.is_none_or(|total| total == size)
    })
}

/// First and last byte, and the whole size if it is told.
fn partial(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total))
}

/// The value of a `Range` header for the rest. Source: RFC 9110, 14.2.
pub(super) fn range_header(range: &RangeFrom<u64>) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes={}-", range.start)).unwrap_or_else(|_| HeaderValue::from_static("bytes=0-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_answer_is_the_rest_or_it_is_not_taken() {
        let rest = |value: &str| is_rest(&HeaderMap::from_iter([(CONTENT_RANGE, value.parse().unwrap())]), 500, 1000);
        for good in ["bytes 500-999/1000", "bytes 500-999/*"] {
            assert!(rest(good), "{good}");
        }
        for other in [
            "",
            "bytes */1000",
            "500-999",
            "items 500-999/1000",
            "bytes 499-999/1000",
            "bytes 500-998/1000",
            "bytes 500-999/1001",
            "bytes 500-18446744073709551615/*",
        ] {
            assert!(!rest(other), "{other}");
        }
    }
}
