//! A body that passes through: piece by piece, counted, and harmed on the way.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::tally::Meter;
use crate::wire::Flushed;

/// What happens to a body, and behind how many bytes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wound {
    /// It breaks off.
    Cut(u64),
    /// It stands still for so long, and breaks off.
    Stall(u64, Duration),
    /// These bits of the next byte are turned over.
    Flip(u64, u8),
}

/// The connection is closed, on purpose or because the one behind it was.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was closed")
    }
}

impl std::error::Error for Closed {}

/// A body on its way from one connection to another.
#[derive(Debug)]
pub(super) struct Passing {
    body: Option<Incoming>,
    wound: Option<Wound>,
    passed: u64,
    meter: Meter,
    // Of the connection that it goes out on.
    flushed: Flushed,
    standing: Option<Pin<Box<Sleep>>>,
}

impl Passing {
    pub(super) fn new(body: Option<Incoming>, wound: Option<Wound>, meter: &Meter, flushed: Flushed) -> Self {
        Self { body, wound, passed: 0, meter: Meter::clone(meter), flushed, standing: None }
    }

    /// Where it ends too early.
    fn end(&self) -> Option<u64> {
        match self.wound? {
            Wound::Cut(at) | Wound::Stall(at, _) => Some(at),
            Wound::Flip(..) => None,
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Wound::Stall(_, time)) = self.wound else { return self.flushed.poll() };
        self.standing.get_or_insert_with(|| Box::pin(tokio::time::sleep(time))).as_mut().poll(cx)
    }

    fn pass(&mut self, mut piece: Bytes) -> Bytes {
        let start = self.passed;
        if let Some(end) = self.end() {
            piece.truncate(usize::try_from(end - start).unwrap_or(usize::MAX));
        }
        self.passed += piece.len() as u64;
        self.meter.fetch_add(piece.len() as u64, Relaxed);
        match self.wound {
            Some(Wound::Flip(at, bits)) if (start..self.passed).contains(&at) => flip(&piece, at - start, bits),
            _ => piece,
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if self.end() == Some(self.passed) {
            return self.poll_end(cx).map(|()| Some(Err(Closed)));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        Poll::Ready(match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(frame.map_data(|piece| self.pass(piece)))),
            Some(Err(_)) => Some(Err(Closed)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.end().is_none() && self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

fn flip(piece: &[u8], at: u64, bits: u8) -> Bytes {
    let mut wrong = BytesMut::from(piece);
    let at = usize::try_from(at).expect("a position in a piece");
    wrong[at] ^= bits;
    wrong.freeze()
}
