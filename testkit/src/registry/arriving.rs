//! The body of a request, counted while it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::form_urlencoded;

use super::log::Entry;

/// What the client sends.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    entry: Arc<Entry>,
}

impl Arriving {
    pub(super) fn new(body: Incoming, entry: Arc<Entry>) -> Self {
        Self { body, entry }
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
        if !self.body.is_end_stream() {
            tokio::spawn(async move { while let Some(Ok(_)) = self.body.frame().await {} });
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.entry.came_in(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
