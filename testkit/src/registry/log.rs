//! What was asked of the registry, and how it went.

use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::locked;
use super::route::{Call, Endpoint, parameters};

/// One request, as the registry saw it. See
/// [`FakeRegistry::requests`](super::FakeRegistry::requests).
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent, without its `?`.
    pub query: String,
    /// The part of the API.
    pub endpoint: Endpoint,
    /// The repository, where there is one.
    pub repository: Option<String>,
    /// The tag or digest; of an upload its digest once the client tells it, and else the session.
    pub reference: Option<String>,
    /// The headers, as sent.
    pub headers: HeaderMap,
    /// The fields of the form that was sent to the token service.
    pub form: Vec<(String, String)>,
    /// When it arrived, by tokio's clock.
    pub arrived: Instant,
    /// The status of the answer; `None` while there is no answer, and for ever if a fault dropped
    /// the connection.
    pub status: Option<u16>,
    /// The bytes of the body that arrived. A body that nobody had to read does not count.
    pub bytes_in: u64,
    /// The bytes of the answer's body that were given to the connection.
    pub bytes_out: u64,
}

impl Request {
    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameters(&self.query, name).next()
    }

    /// A field of the form.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether this mounted a blob from another repository, and did not merely try to.
    #[must_use]
    pub fn is_mount(&self) -> bool {
        self.endpoint == Endpoint::Upload && self.status == Some(201) && self.parameter("mount").is_some()
    }
}

/// A request in the log, whose outcome is filled in while it is answered.
#[derive(Debug)]
pub(super) struct Entry {
    number: usize,
    asked: Request,
    form: Mutex<Vec<(String, String)>>,
    status: AtomicU16,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Entry {
    /// Its place among the requests, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn answered(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    pub(super) fn filled_in(&self, form: &[(String, String)]) {
        form.clone_into(&mut locked(&self.form));
    }

    pub(super) fn came_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn went_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    fn snapshot(&self) -> Request {
        let status = self.status.load(Relaxed);
        Request {
            form: locked(&self.form).clone(),
            status: (status != 0).then_some(status),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            ..self.asked.clone()
        }
    }
}

/// All requests since the start or since the last [`Log::clear`].
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<Arc<Entry>>>);

impl Log {
    pub(super) fn arrived(&self, call: &Call) -> Arc<Entry> {
        let asked = Request {
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            endpoint: call.endpoint,
            repository: call.named_repository(),
            reference: call.reference(),
            headers: call.headers.clone(),
            form: Vec::new(),
            arrived: Instant::now(),
            status: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        let mut entries = locked(&self.0);
        let entry = Arc::new(Entry {
            number: entries.len() + 1,
            asked,
            form: Mutex::default(),
            status: AtomicU16::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        });
        entries.push(Arc::clone(&entry));
        entry
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.0).len()
    }

    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }

    pub(super) fn snapshot(&self) -> Vec<Request> {
        locked(&self.0).iter().map(|entry| entry.snapshot()).collect()
    }
}

/// How many requests are in flight, and were at most.
#[derive(Debug, Default)]
pub(super) struct Flights {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Flights {
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        Flight(Arc::clone(self))
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    pub(super) fn clear(&self) {
        self.most.store(self.now(), Relaxed);
    }
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Flight(Arc<Flights>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

/// `HEAD manifest 1, GET blob 3`: verbs and endpoints in the order in which they first came.
pub(super) fn summary(requests: &[Request]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for request in requests {
        let name = format!("{} {}", request.method, request.endpoint);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let words: Vec<_> = counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    if words.is_empty() { "no requests".to_owned() } else { words.join(", ") }
}
