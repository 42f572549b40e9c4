//! One request, before it is sent: what is asked, for whom, and how errors name it.

use std::fmt::{self, Write as _};
use std::ops::{RangeFrom, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::auth::Scope;
use super::limits::quota::Seat;
use super::limits::{Class, Lane};
use crate::content::{Cause, Error, Fence};

/// A path, or what a request is called: `format!` grows such a text three times on its way.
pub(super) fn text(parts: fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(160);
    // Writing to memory does not fail.
    let _ = text.write_fmt(parts);
    text
}

/// Who asks: the rights it needs, the count that its requests go to, what ends its waiting, the
/// connection that it holds, its part in the registry's quota, and what says whether it may still write.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) scope: Scope,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) cancel: CancellationToken,
    pub(super) lane: Option<Lane>,
    pub(super) seat: Option<Arc<Seat>>,
    pub(super) fence: Option<Arc<dyn Fence>>,
}

impl Caller {
    pub(super) fn new(scope: Scope, requests: Arc<AtomicU64>, cancel: CancellationToken) -> Self {
        Self { scope, requests, cancel, lane: None, seat: None, fence: None }
    }

    /// Asked before something is written; the call goes into the error.
    pub(super) async fn hold(&self, call: &Call) -> Result<(), Error> {
        match &self.fence {
            Some(fence) => fence.hold().await.map_err(|displaced| call.error(displaced.into())),
            None => Ok(()),
        }
    }

    /// Asked when a call's turn has come.
    pub(super) async fn check(&self, call: &Call) -> Result<(), Error> {
        match self.fence.as_ref().filter(|_| call.is_final) {
            Some(fence) => fence.check().await.map_err(|displaced| call.error(displaced.into())),
            None => Ok(()),
        }
    }
}

/// A request that may be made more than once.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) class: Class,
    /// Whether registries that count pulls count this.
    pub(super) is_pull: bool,
    /// Whether large bodies go with it, which HTTP/1.1 moves at less cost.
    pub(super) is_bulk: bool,
    /// Whether it writes a tag or deletes something: what a fence is asked before each try.
    pub(super) is_final: bool,
    /// Whether registries may lack this part of the API.
    pub(super) is_optional: bool,
    pub(super) accept: Option<HeaderValue>,
    pub(super) body: Option<(String, Bytes)>,
    pub(super) range: Option<RangeFrom<u64>>,
    pub(super) chunk: Option<RangeInclusive<u64>>,
    what: String,
    /// How long its tries have waited in line, in milliseconds: no fault of the registry's.
    waited: Arc<AtomicU64>,
}

impl Call {
    /// `what` reads as `fetching manifest 3.18 of ghcr.io/acme/app`.
    pub(super) fn new(method: Method, url: Url, what: String) -> Self {
        let class = if method == Method::GET || method == Method::HEAD { Class::Read } else { Class::Upload };
        Self {
            method,
            url,
            class,
            is_pull: false,
            is_bulk: false,
            is_final: false,
            is_optional: false,
            accept: None,
            body: None,
            range: None,
            chunk: None,
            what,
            waited: Arc::default(),
        }
    }

    /// The same request of another page.
    pub(super) fn page(&self, url: Url) -> Self {
        Self { url, waited: Arc::default(), ..self.clone() }
    }

    /// A request to a part of the API that not every registry has: what a 404 says is kept.
    pub(super) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// A GET of a document: a pull, where pulls are counted.
    pub(super) fn pull(self) -> Self {
        Self { is_pull: true, ..self }
    }

    /// A request that carries or fetches the bytes of a blob.
    pub(super) fn bulk(self) -> Self {
        let class = if self.class == Class::Upload { Class::Body } else { self.class };
        Self { is_bulk: true, class, ..self }
    }

    /// A request that writes a tag, or deletes something.
    pub(super) fn last(self, is_final: bool) -> Self {
        Self { is_final, ..self }
    }

    pub(super) fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    pub(super) fn accept(self, media_types: &HeaderValue) -> Self {
        Self { accept: Some(media_types.clone()), ..self }
    }

    pub(super) fn body(self, media_type: &str, bytes: Bytes) -> Self {
        Self { body: Some((media_type.to_owned(), bytes)), ..self }
    }

    /// Asks for a part of a body.
    pub(super) fn range(self, bytes: RangeFrom<u64>) -> Self {
        Self { range: Some(bytes), ..self }
    }

    /// Sends a part of an upload.
    pub(super) fn chunk(self, bytes: RangeInclusive<u64>) -> Self {
        Self { chunk: Some(bytes), ..self }
    }

    /// A try of it has stood in line for so long.
    pub(super) fn has_waited(&self, time: Duration) {
        self.waited.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long all its tries have stood in line.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_millis(self.waited.load(Ordering::Relaxed))
    }

    /// An error of this request.
    pub(super) fn error(&self, cause: Cause) -> Error {
        Error::new(self.what.clone(), cause)
    }

    /// An error of the login before this request.
    pub(super) fn login_error(&self, cause: Cause) -> Error {
        Error::of_login(format!("{} (logging in)", self.what), cause)
    }
}
