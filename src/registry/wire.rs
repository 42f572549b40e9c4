//! From a request to its answer: which client makes it, where redirects lead it, and what is told of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Body, Client, Response};
use url::{Origin, Url};

use super::answer;
use super::client::{self, Http};
use super::proxy;
use super::settings::{Settings, Tls};
use crate::content::Cause;
use crate::events::{Observer, Request};
use crate::oci::Host;

/// Registries with storage elsewhere send us there in one or two steps.
const MAX_REDIRECTS: usize = 5;

/// The connections to one registry, and to where it sends us.
pub(super) struct Wire {
    host: Host,
    settings: Settings,
    origin: Origin,
    proxy: Option<String>,
    client: Client,
    http1: OnceLock<Result<Client, String>>,
    strangers: OnceLock<Result<Client, String>>,
    /// The registry offered HTTP/2 and then broke it off.
    http2_fails: AtomicBool,
    observer: Arc<dyn Observer>,
}

/// A request that can be sent.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Body>,
    /// HTTP/1.1 moves large bodies at less cost.
    pub(super) is_bulk: bool,
}

impl Wire {
    /// # Errors
    /// If the settings cannot work, as a text.
    pub(super) fn new(
        host: &Host,
        base: &Url,
        settings: &Settings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, String> {
        Ok(Self {
            host: host.clone(),
            origin: base.origin(),
            proxy: proxy::before(host, base),
            client: client::for_registry(host, settings, Http::OneOrTwo)?,
            settings: settings.clone(),
            http1: OnceLock::new(),
            strangers: OnceLock::new(),
            http2_fails: AtomicBool::new(false),
            observer,
        })
    }

    /// Whether a URL is the registry's own: same scheme, host and port. Nothing private goes anywhere else.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// Sends a request once, and follows the redirects of its answer. On the way to another origin it loses all that
    /// says who we are.
    pub(super) async fn send(&self, mut outgoing: Outgoing) -> Result<Response, Cause> {
        for _ in 0..=MAX_REDIRECTS {
            let next = Outgoing {
                method: outgoing.method.clone(),
                url: outgoing.url.clone(),
                headers: outgoing.headers.clone(),
                body: None,
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
        let client = self.client(&outgoing).map_err(Cause::Protocol)?;
        let mut request = client.request(outgoing.method.clone(), outgoing.url).headers(outgoing.headers);
        if let Some(body) = outgoing.body {
            request = request.body(body);
        }
        let started = Instant::now();
        let result = request.send().await;
        self.observer.request(&Request {
            registry: &self.host,
            method: outgoing.method.as_str(),
            status: result.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed: started.elapsed(),
        });
        result.map_err(|error| {
            if answer::is_http2_failure(&error) {
                // The next try, which the caller makes, goes by HTTP/1.1, and so do all that follow.
                self.http2_fails.store(true, Ordering::Relaxed);
            }
            let cause = answer::failure(&error);
            self.proxy.iter().fold(cause, |cause, proxy| proxy::behind(proxy, cause))
        })
    }

    fn client(&self, outgoing: &Outgoing) -> Result<&Client, String> {
        let built = if !self.is_own(&outgoing.url) {
            self.strangers.get_or_init(|| client::for_strangers(&self.host, &self.settings))
        } else if self.settings.tls != Tls::Http && (outgoing.is_bulk || self.http2_fails.load(Ordering::Relaxed)) {
            self.http1.get_or_init(|| client::for_registry(&self.host, &self.settings, Http::One))
        } else {
            return Ok(&self.client);
        };
        built.as_ref().map_err(Clone::clone)
    }
}

/// Where an answer sends a request, if it does; only what has no body is sent on, and never from HTTPS to plain HTTP.
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
