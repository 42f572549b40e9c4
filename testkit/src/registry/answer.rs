//! An answer before it is sent: still in a form that a fault can change.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::log::{Entry, Flight};
use super::payload::Payload;
use super::stored::Stored;
use crate::wire::Flushed;

pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Status, headers and the part of some content that makes up the body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    content: Stored,
    range: Range<u64>,
    // Where the connection breaks, and which byte is wrong, counted from the beginning of the body.
    cut: Option<u64>,
    corrupt: Option<u64>,
    // Whether the length is told before the body.
    sized: bool,
}

/// An answer, or the error that takes its place: handlers leave early with `?`.
pub(super) type Reply = Result<Answer, Box<Answer>>;

impl Answer {
    /// No body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self::of(status, Stored::Held(Bytes::new()))
    }

    /// All of some content.
    pub(super) fn content(status: StatusCode, media_type: &str, content: Stored) -> Self {
        Self::of(status, content).with(CONTENT_TYPE, media_type)
    }

    /// JSON, as registries write it.
    pub(super) fn json(status: StatusCode, value: &Value) -> Self {
        Self::content(status, "application/json; charset=utf-8", Stored::Held(value.to_string().into()))
    }

    /// What a router says that knows no better.
    pub(super) fn text(status: StatusCode, text: &'static str) -> Self {
        let text = Stored::Held(Bytes::from_static(text.as_bytes()));
        Self::content(status, "text/plain; charset=utf-8", text)
    }

    /// What distribution's router says of a path that it does not know.
    pub(super) fn not_routed() -> Self {
        Self::text(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// The distribution spec's error body.
    pub(super) fn error(status: StatusCode, code: &str, message: &str, detail: Value) -> Box<Self> {
        Self::errors(status, code, message, vec![detail])
    }

    /// Several errors of one kind, as for a manifest of which several parts are missing.
    pub(super) fn errors(status: StatusCode, code: &str, message: &str, details: Vec<Value>) -> Box<Self> {
        let errors: Vec<_> =
            details.into_iter().map(|detail| json!({"code": code, "message": message, "detail": detail})).collect();
        Box::new(Self::json(status, &json!({"errors": errors})))
    }

    fn of(status: StatusCode, content: Stored) -> Self {
        let range = 0..content.size();
        Self { status, headers: HeaderMap::new(), content, range, cut: None, corrupt: None, sized: true }
    }

    /// Sets a header.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, header_value(value));
        self
    }

    /// Takes a header away; without `Content-Length` the body comes in chunks.
    pub(super) fn without(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self.sized &= name != CONTENT_LENGTH;
        self
    }

    /// Adds a header beside those of the same name.
    pub(super) fn append(&mut self, name: HeaderName, value: &str) {
        self.headers.append(name, header_value(value));
    }

    /// Sets `Docker-Content-Digest`.
    pub(super) fn with_digest(self, digest: &str) -> Self {
        self.with(DOCKER_CONTENT_DIGEST, digest)
    }

    /// Only a part of the content, with 206.
    pub(super) fn part(mut self, range: Range<u64>) -> Self {
        let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, self.content.size());
        self.status = StatusCode::PARTIAL_CONTENT;
        self.range = range;
        self.with(CONTENT_RANGE, &shown)
    }

    /// Breaks the connection after so many bytes of the body.
    pub(super) fn cut_after(mut self, bytes: u64) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Leaves out the last bytes of the body.
    pub(super) fn shortened(mut self, by: u64) -> Self {
        self.range.end = self.range.end.saturating_sub(by).max(self.range.start);
        self
    }

    /// Makes one byte of the body wrong.
    pub(super) fn corrupted(mut self, at: u64) -> Self {
        self.corrupt = Some(at);
        self
    }

    /// The form that hyper sends. To a HEAD the same headers go out as to a GET, without the body.
    pub(super) fn into_response(
        mut self,
        method: &Method,
        flushed: Flushed,
        entry: Arc<Entry>,
        flight: Flight,
    ) -> Response<Payload> {
        let length = self.range.end - self.range.start;
        // RFC 9110, section 8.6: a 204 has no Content-Length.
        if self.sized && self.status != StatusCode::NO_CONTENT {
            self.headers.insert(CONTENT_LENGTH, length.into());
        }
        let absolute = |at: u64| self.range.start.saturating_add(at);
        let cut = self.cut.map(absolute).filter(|cut| *cut < self.range.end);
        let corrupt = self.corrupt.map(absolute);
        let mut payload = Payload {
            content: self.content,
            rest: self.range,
            cut,
            corrupt,
            sized: self.sized,
            flushed,
            entry,
            flight,
        };
        if method == Method::HEAD {
            payload.rest = 0..0;
            payload.cut = None;
        }
        let mut response = Response::new(payload);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("a header's value is printable")
}
