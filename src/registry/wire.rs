//! From a request to its answer: which client makes it, where redirects lead it, and what is told of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::answer;
use super::client::{Clients, Purpose};
use super::location::same_origin;
use super::proxy;
use crate::content::Cause;
use crate::events::{Observer, Request};
use crate::http_client::{self, Body, Response, Versions};
use crate::oci::Host;

/// Registries with storage elsewhere send us there in one or two steps.
const MAX_REDIRECTS: usize = 5;

/// HTTP/2 that a registry broke off is left alone for this long.
const HTTP2_PAUSE: Duration = Duration::from_secs(600);

/// The connections to one registry, and to where it sends us.
pub(super) struct Wire {
    host: Host,
    base: Url,
    clients: Arc<Clients>,
    /// When the registry offered HTTP/2 and then broke it off.
    http2_failed: Mutex<Option<Instant>>,
    observer: Arc<dyn Observer>,
}

/// A request that can be sent.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// HTTP/1.1 moves large bodies at less cost.
    pub(super) is_bulk: bool,
}

impl Wire {
    pub(super) fn new(host: &Host, base: &Url, clients: Arc<Clients>, observer: Arc<dyn Observer>) -> Self {
        Self { host: host.clone(), base: base.clone(), clients, http2_failed: Mutex::default(), observer }
    }

    /// Whether a URL is the registry's own: same scheme, host and port. Nothing private goes anywhere else.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        same_origin(url, &self.base)
    }

    /// Sends a request once, and follows the redirects of its answer. On the way to another origin it loses all that
    /// says who we are.
    pub(super) async fn send(&self, mut outgoing: Outgoing) -> Result<Response, Cause> {
        for _ in 0..=MAX_REDIRECTS {
            let next = Outgoing {
                method: outgoing.method.clone(),
                url: outgoing.url.clone(),
                headers: outgoing.headers.clone(),
                body: Body::default(),
                is_bulk: outgoing.is_bulk,
            };
            let response = self.send_once(outgoing).await?;
            let Some(url) = redirect(&next.method, &response)? else { return Ok(response) };
            outgoing = Outgoing { url, ..next };
            if !self.is_own(&outgoing.url) {
                outgoing.headers.remove(AUTHORIZATION);
            }
        }
        Err(Cause::Protocol("too many redirects".to_owned()))
    }

    async fn send_once(&self, outgoing: Outgoing) -> Result<Response, Cause> {
        let versions = self.versions(&outgoing);
        let client = self.clients.client_for(&outgoing.url, versions, Purpose::Content).map_err(Cause::Protocol)?;
        let Outgoing { method, url, headers, body, .. } = outgoing;
        let proxied = client.is_proxied().then(|| url.clone());
        let request = http_client::Request { method: method.clone(), url, headers, body };
        let started = Instant::now();
        let result = client.send(request).await;
        self.observer.request(&Request {
            registry: &self.host,
            method: method.as_str(),
            status: result.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed: started.elapsed(),
        });
        result.map_err(|error| {
            let cause = answer::failure(&error);
            self.learn(&cause);
            match proxied.as_ref().and_then(proxy::before) {
                Some(proxy) => proxy::behind(&proxy, cause),
                None => cause,
            }
        })
    }

    /// What a failure says of HTTP/2: the next try, which the caller makes, goes by HTTP/1.1.
    pub(super) fn learn(&self, cause: &Cause) {
        if matches!(cause, Cause::Http2(_)) {
            *self.http2_failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn versions(&self, outgoing: &Outgoing) -> Versions {
        let failed = *self.http2_failed.lock().unwrap_or_else(PoisonError::into_inner);
        let has_failed = failed.is_some_and(|at| at.elapsed() < HTTP2_PAUSE);
        if self.base.scheme() != "http" && (outgoing.is_bulk || has_failed || !self.is_own(&outgoing.url)) {
            Versions::One
        } else {
            Versions::OneOrTwo
        }
    }
}

/// Where an answer sends a request, if it does; only what reads is sent on, and never from HTTPS to plain HTTP.
fn redirect(method: &Method, response: &Response) -> Result<Option<Url>, Cause> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !is_redirect || !(method == Method::GET || method == Method::HEAD) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(url) = location.and_then(|location| response.url().join(location).ok()) else {
        return Err(Cause::Protocol(format!("the answer {} names no Location", response.status())));
    };
    if response.url().scheme() == "https" && url.scheme() != "https" {
        return Err(Cause::Protocol("a redirect from HTTPS to plain HTTP is not followed".to_owned()));
    }
    Ok(Some(url))
}
