//! The body of a request, counted while it is read, and harmed where a fault wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::form_urlencoded;

use super::log::Entry;
use super::payload::{Cut, flip};

/// What the client sends.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    entry: Arc<Entry>,
    // Where it breaks, and which byte is wrong, counted from its beginning.
    cut: Option<u64>,
    corrupt: Option<u64>,
    arrived: u64,
}

impl Arriving {
    pub(super) fn new(body: Incoming, entry: Arc<Entry>) -> Self {
        Self { body, entry, cut: None, corrupt: None, arrived: 0 }
    }

    /// Fails after so many bytes; a body that has no more than that arrives whole.
    pub(super) fn cut_after(&mut self, bytes: u64) {
        self.cut = Some(bytes);
    }

    /// Makes one byte wrong.
    pub(super) fn corrupt(&mut self, at: u64) {
        self.corrupt = Some(at);
    }

    /// Whether it failed where it was to be cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some_and(|cut| self.arrived > cut)
    }

    // What a fault leaves of a piece.
    fn harmed(&mut self, mut data: Bytes) -> Option<Bytes> {
        let start = self.arrived;
        self.arrived += data.len() as u64;
        if let Some(at) = self.corrupt.filter(|at| (start..self.arrived).contains(at)) {
            data = flip(&data, at - start);
        }
        match self.cut {
            Some(cut) if cut <= start => None,
            Some(cut) => {
                data.truncate(usize::try_from(cut - start).unwrap_or(usize::MAX));
                Some(data)
            }
            None => Some(data),
        }
    }

    /// The fields of a form, which are recorded too; none if the body breaks off.
    pub(super) async fn form(&mut self) -> Vec<(String, String)> {
        let Ok(body) = self.collect().await else { return Vec::new() };
        let form: Vec<_> = form_urlencoded::parse(&body.to_bytes()).into_owned().collect();
        self.entry.filled_in(&form);
        form
    }

    /// Throws away what nobody read, uncounted, while the answer is on its way.
    ///
    /// A server that answers early and closes with bytes unread resets the connection, and the
    /// answer may be lost with it: real ones linger for this reason, and a test must not depend on
    /// who is quicker. The task ends with the connection.
    pub(super) fn drain(mut self) {
        (self.cut, self.corrupt) = (None, None);
        if !self.body.is_end_stream() {
            tokio::spawn(async move { while let Some(Ok(_)) = self.body.frame().await {} });
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.is_cut() {
            return Poll::Ready(Some(Err(Cut)));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Poll::Ready(Some(Err(Cut))),
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(match frame.into_data() {
            Ok(data) => match self.harmed(data) {
                Some(data) => {
                    self.entry.came_in(data.len());
                    Ok(Frame::data(data))
                }
                None => Err(Cut),
            },
            Err(trailers) => Ok(trailers),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
