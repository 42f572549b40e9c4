//! Misbehaviour on demand: which requests, and what happens to them.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::answer::Answer;
use super::arriving::Arriving;
use super::locked;
use super::route::{Call, Endpoint};
use super::stored::Stored;

/// Which requests a fault strikes: by default every one of the kind, for ever.
///
/// ```
/// use testkit::{Effect, Endpoint, Fault, Method};
///
/// // The second and the third GET of any blob of `app` are answered 503.
/// let fault = Fault::on(Method::GET, Endpoint::Blob).repository("app").skip(1).times(2);
/// let effect = Effect::status(503);
/// # let _ = (fault, effect);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<Method>,
    endpoint: Option<Endpoint>,
    repository: Option<String>,
    reference: Option<String>,
    larger_than: Option<u64>,
    busier_than: Option<usize>,
    faster_than: Option<Pace>,
    skip: usize,
    times: usize,
}

impl Fault {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self {
            method: None,
            endpoint: None,
            repository: None,
            reference: None,
            larger_than: None,
            busier_than: None,
            faster_than: None,
            skip: 0,
            times: usize::MAX,
        }
    }

    /// Requests with this verb to this part of the API.
    #[must_use]
    pub fn on(method: Method, endpoint: Endpoint) -> Self {
        Self { method: Some(method), endpoint: Some(endpoint), ..Self::any() }
    }

    /// Only in this repository.
    #[must_use]
    pub fn repository(mut self, name: &str) -> Self {
        self.repository = Some(name.to_owned());
        self
    }

    /// Only for this tag or digest; an upload has its digest as soon as the client tells it (mount,
    /// and the closing PUT).
    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Only requests whose body has more bytes than that.
    #[must_use]
    pub fn larger_than(mut self, bytes: u64) -> Self {
        self.larger_than = Some(bytes);
        self
    }

    /// Only while more than so many requests are in flight, this one and those of other kinds
    /// among them.
    #[must_use]
    pub fn busier_than(mut self, requests: usize) -> Self {
        self.busier_than = Some(requests);
        self
    }

    /// Only those that come when so many of the kind were let through in the last `span`.
    #[must_use]
    pub fn faster_than(mut self, requests: usize, span: Duration) -> Self {
        self.faster_than = Some(Pace { requests, span, passed: VecDeque::new() });
        self
    }

    /// Lets the first `count` of them pass.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Strikes `count` times and never again.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    fn covers(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| *method == call.method)
            && self.endpoint.is_none_or(|endpoint| endpoint == call.endpoint)
            && self.repository.as_ref().is_none_or(|repository| repository == call.repository())
            && self.reference.as_ref().is_none_or(|reference| call.reference().as_ref() == Some(reference))
            && self.larger_than.is_none_or(|bytes| call.length() > bytes)
    }

    // What hangs on the other requests; asked once for each request that is covered.
    fn is_due(&mut self, in_flight: usize, now: Instant) -> bool {
        self.busier_than.is_none_or(|most| in_flight > most)
            && self.faster_than.as_mut().is_none_or(|pace| !pace.lets_through(now))
    }
}

/// So many requests in any span of this length.
#[derive(Clone, Debug)]
struct Pace {
    requests: usize,
    span: Duration,
    passed: VecDeque<Instant>,
}

impl Pace {
    fn lets_through(&mut self, now: Instant) -> bool {
        while self.passed.front().is_some_and(|passed| now - *passed >= self.span) {
            self.passed.pop_front();
        }
        let has_room = self.passed.len() < self.requests;
        if has_room {
            self.passed.push_back(now);
        }
        has_room
    }
}

/// What happens to a request that a [`Fault`] strikes.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Answered at once with this status, before the body of the request is read; what still comes
    /// of it is thrown away, so that the answer arrives.
    Status {
        /// The status code.
        code: u16,
        /// Headers beside those that every answer has.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Answered at once with 200 and this body: an HTML page, say.
    Body {
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        bytes: Bytes,
    },
    /// The connection is closed without an answer, and nothing is done.
    Drop,
    /// All is done as asked, then the connection is closed without an answer.
    LoseAnswer,
    /// Never answered; the connection stays open.
    Hang,
    /// Answered as usual, but later.
    Delay(Duration),
    /// `Content-Length` promises the whole body; after exactly so many bytes of it the connection
    /// is closed.
    CutBody {
        /// The bytes that arrive. If the body has no more than that, it arrives whole.
        after_bytes: u64,
    },
    /// A well-formed answer whose body ends early, `Content-Length` included.
    ShortBody {
        /// The bytes that are missing at the end.
        by: u64,
    },
    /// One byte of the body is wrong.
    CorruptByte {
        /// Its position in the body that is sent.
        at: u64,
    },
    /// After exactly so many bytes of the request's body the connection is closed without an
    /// answer. What came of an upload stays in its session.
    CutRequest {
        /// The bytes that arrive. If the body has no more than that, all is done as asked.
        after_bytes: u64,
    },
    /// One byte of the request's body arrives wrong.
    CorruptRequest {
        /// Its position in that body.
        at: u64,
    },
    /// The usual answer with this header set, instead of what it had there. `Content-Length` is not
    /// to be had: it is always that of the body.
    Header(String, String),
    /// The usual answer without this header; without `Content-Length` the body comes in chunks.
    RemoveHeader(String),
}

impl Effect {
    /// A bare status.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::status_with(code, &[])
    }

    /// A status with headers, such as `("retry-after", "1")` or `("location", …)`.
    #[must_use]
    pub fn status_with(code: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Status { code, headers, body: String::new() }
    }

    /// A web page where something else was asked for, as captive portals and wrong addresses give
    /// it.
    #[must_use]
    pub fn html() -> Self {
        let page = Bytes::from_static(b"<!DOCTYPE html><html><body>Please sign in</body></html>");
        Self::Body { content_type: "text/html; charset=utf-8".to_owned(), bytes: page }
    }

    /// The usual answer with another header.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        Self::Header(name.to_owned(), value.to_owned())
    }

    /// What happens to the body of the request.
    pub(super) fn harm(&self, body: &mut Arriving) {
        match self {
            Effect::CutRequest { after_bytes } => body.cut_after(*after_bytes),
            Effect::CorruptRequest { at } => body.corrupt(*at),
            _ => {}
        }
    }

    /// The answer instead of the `usual` one; `None` closes the connection.
    pub(super) async fn apply(self, usual: impl Future<Output = Answer>) -> Option<Answer> {
        Some(match self {
            Effect::Status { code, headers, body } => bare(code, &headers, body),
            Effect::Body { content_type, bytes } => Answer::content(StatusCode::OK, &content_type, Stored::Held(bytes)),
            Effect::Drop => return None,
            Effect::LoseAnswer => {
                usual.await;
                return None;
            }
            Effect::Hang => std::future::pending().await,
            Effect::Delay(time) => {
                tokio::time::sleep(time).await;
                usual.await
            }
            Effect::CutBody { after_bytes } => usual.await.cut_after(after_bytes),
            Effect::ShortBody { by } => usual.await.shortened(by),
            Effect::CorruptByte { at } => usual.await.corrupted(at),
            Effect::CutRequest { .. } | Effect::CorruptRequest { .. } => usual.await,
            Effect::Header(name, value) => usual.await.with(header_name(&name), &value),
            Effect::RemoveHeader(name) => usual.await.without(&header_name(&name)),
        })
    }
}

fn bare(code: u16, headers: &[(String, String)], body: String) -> Answer {
    let code = StatusCode::from_u16(code).expect("a fault's status has three digits");
    let mut answer = if body.is_empty() {
        Answer::empty(code)
    } else {
        Answer::content(code, "text/plain; charset=utf-8", Stored::Held(body.into()))
    };
    if headers.iter().any(|(name, _)| header_name(name) == CONTENT_TYPE) {
        answer = answer.without(&CONTENT_TYPE);
    }
    for (name, value) in headers {
        // Of some headers, such as challenges, there may be several.
        answer.append(header_name(name), value);
    }
    answer
}

fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("a fault's header has a name that HTTP allows")
}

/// The faults in force, in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(Fault, Effect)>>);

impl Faults {
    pub(super) fn add(&self, fault: Fault, effect: Effect) {
        locked(&self.0).push((fault, effect));
    }

    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }

    /// The effect of the first fault that strikes; those that still let requests pass count this
    /// one.
    pub(super) fn strike(&self, call: &Call, in_flight: usize) -> Option<Effect> {
        let (mut faults, now) = (locked(&self.0), Instant::now());
        for (fault, effect) in faults.iter_mut().filter(|(fault, _)| fault.times > 0 && fault.covers(call)) {
            if !fault.is_due(in_flight, now) {
                continue;
            }
            if fault.skip == 0 {
                fault.times -= 1;
                return Some(effect.clone());
            }
            fault.skip -= 1;
        }
        None
    }
}
