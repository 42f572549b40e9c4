//! Requests, and their answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use url::Url;

use super::connection::Connector;
use super::proxies::{Proxies, Way};
use super::resolver::{Resolve, Resolver};
use super::{Body, BoxError, Error, Tls};

/// So many bytes are read at once, and held for each connection that streams: larger ones made a gibibyte no cheaper, and
/// thirty-two streams a third larger. An answer's head may not be larger either.
const READ: usize = 64 << 10;

/// A connection that nobody uses is closed after this long.
const IDLE: Duration = Duration::from_secs(90);

/// A peer that is gone without a word is found out: it is asked for a sign of life, and what is sent is to be acknowledged.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_TRIES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// So often a request is made that the server has not begun with.
const TRIES: usize = 3;

/// What a client is like.
#[derive(Default)]
pub struct Setup {
    /// Which versions of HTTP it speaks.
    pub versions: Versions,
    /// Whether it goes by the environment's proxies.
    pub is_proxied: bool,
    /// How it speaks TLS.
    pub tls: Tls,
    /// How long making a connection may take, TLS and proxy included.
    pub connect_timeout: Option<Duration>,
    /// Whether each connection is for one request.
    pub is_single: bool,
    /// Who knows the addresses of names, if not the system.
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// Versions of HTTP; HTTP/2 only where TLS offers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/1.1.
    One,
    /// Whichever the server prefers.
    #[default]
    OneOrTwo,
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, Body>,
    proxies: Option<Arc<Proxies>>,
}

/// A request.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// An answer, its body unread.
pub struct Response {
    url: Url,
    inner: http::Response<Incoming>,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// If its roots or its own certificate are none, or the system has no roots.
    pub fn new(setup: Setup) -> Result<Self, rustls::Error> {
        let mut tls = setup.tls.config()?;
        let offered: &[&[u8]] = match setup.versions {
            Versions::One => &[b"http/1.1"],
            Versions::OneOrTwo => &[b"h2", b"http/1.1"],
        };
        tls.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let proxies = setup.is_proxied.then(|| Arc::new(Proxies::of_environment(tls.clone())));

        let mut tcp = HttpConnector::new_with_resolver(Resolver(setup.resolver));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(setup.connect_timeout);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_TRIES));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let way = Way { tcp, proxies: proxies.clone() };
        let connector = Connector::new(HttpsConnector::from((way, tls)), setup.connect_timeout);

        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        builder.http1_max_buf_size(READ);
        if setup.is_single {
            builder.pool_max_idle_per_host(0);
        }
        Ok(Self { inner: builder.build(connector), proxies })
    }

    /// Whether it goes by the environment's proxies.
    pub fn is_proxied(&self) -> bool {
        self.proxies.is_some()
    }

    /// Sends a request and returns the answer, whatever it is. Cancel safe: it may have been done all the same.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let Request { method, mut url, mut headers, mut body } = request;
        if let Some(login) = taken_login(&mut url) {
            headers.entry(AUTHORIZATION).or_insert(login);
        }
        let uri: Uri = url.as_str().parse()?;
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if let Some(login) = self.proxies.as_ref().and_then(|proxies| proxies.login(&uri)) {
            headers.insert(PROXY_AUTHORIZATION, login);
        }
        // HTTP/1.1 has no word for that.
        let tries = if uri.scheme() == Some(&Scheme::HTTPS) { TRIES } else { 1 };
        for _ in 1..tries {
            let Some(again) = body.again() else { break };
            let request = assembled(method.clone(), uri.clone(), headers.clone(), std::mem::replace(&mut body, again));
            match self.inner.request(request).await.map_err(Error::from) {
                Err(error) if error.is_unprocessed() => {}
                answer => return Ok(Response { url, inner: answer? }),
            }
        }
        let inner = self.inner.request(assembled(method, uri, headers, body)).await?;
        Ok(Response { url, inner })
    }
}

/// The login in a URL goes where logins go, and nowhere else: HTTP/2 and proxies would be told it with the host.
fn taken_login(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let meant = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let login = super::basic(&meant(url.username()), &meant(url.password().unwrap_or_default()));
    // Only a URL without a host refuses that, and such a one cannot have a login.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    login
}

fn assembled(method: Method, uri: Uri, headers: HeaderMap, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    request
}

impl Response {
    /// Where it came from.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Its body, to be read bit by bit.
    pub fn into_body(self) -> Incoming {
        self.inner.into_body()
    }

    /// Its body as a whole.
    ///
    /// # Errors
    /// If it breaks off, or has more than `limit` bytes.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, BoxError> {
        Ok(Limited::new(self.into_body(), limit).collect().await?.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_taken_out_of_its_url() {
        for (url, expected) in [
            ("https://bot:s3%40cret@hooks.example/a", Some("Basic Ym90OnMzQGNyZXQ=")),
            ("https://bot@hooks.example/a", Some("Basic Ym90Og==")),
            ("https://hooks.example/a", None),
        ] {
            let mut url = url.parse().unwrap();
            let login = taken_login(&mut url);
            assert_eq!(login.as_ref().map(|login| login.to_str().unwrap()), expected);
            assert_eq!(url.as_str(), "https://hooks.example/a");
        }
    }
}
