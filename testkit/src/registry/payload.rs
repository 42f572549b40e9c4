//! The body of an answer, sent piece by piece, whole or broken as a fault wants it.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::log::{Entry, Flight};
use super::stored::Stored;
use crate::wire::Flushed;

/// A range of stored bytes on its way out.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) content: Stored,
    /// What is still to be sent.
    pub(super) rest: Range<u64>,
    /// Where the connection breaks.
    pub(super) cut: Option<u64>,
    /// Which byte is wrong.
    pub(super) corrupt: Option<u64>,
    /// Whether the length is told before the body.
    pub(super) sized: bool,
    pub(super) flushed: Flushed,
    pub(super) entry: Arc<Entry>,
    /// The request is in flight until the body is sent.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) flight: Flight,
}

/// The body failed, most often on purpose.
#[derive(Debug)]
pub(super) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body was cut")
    }
}

impl std::error::Error for Cut {}

impl Payload {
    fn next_piece(&mut self) -> Bytes {
        let end = self.cut.unwrap_or(self.rest.end);
        let start = self.rest.start;
        let piece = self.content.piece(start..end);
        self.rest.start += piece.len() as u64;
        self.entry.went_out(piece.len());
        match self.corrupt {
            Some(at) if (start..self.rest.start).contains(&at) => flip(&piece, at - start),
            _ => piece,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.cut.is_some_and(|cut| self.rest.start >= cut) {
            return self.flushed.poll().map(|()| Some(Err(Cut)));
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.sized {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}

/// The same with one byte wrong.
pub(super) fn flip(piece: &[u8], at: u64) -> Bytes {
    let mut wrong = BytesMut::from(piece);
    let at = usize::try_from(at).expect("a position in a piece");
    wrong[at] ^= 0xff;
    wrong.freeze()
}
