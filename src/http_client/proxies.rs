//! Connections by way of the environment's proxies.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::USER_AGENT;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::ClientConfig;
use tower_service::Service;

use super::BoxError;
use super::connection::Connection;
use super::resolver::Resolver;

/// Where requests go instead of where they are for.
pub(super) struct Proxies {
    matcher: Matcher,
    /// For a proxy that wants TLS itself. It is spoken to by HTTP/1.1.
    tls: Arc<ClientConfig>,
}

impl Proxies {
    /// Those of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(super) fn of_environment(mut tls: ClientConfig) -> Self {
        tls.alpn_protocols.clear();
        Self { matcher: Matcher::from_env(), tls: Arc::new(tls) }
    }

    /// A proxy's login for a request that the proxy itself reads, since there is no TLS to tunnel.
    pub(super) fn login(&self, uri: &Uri) -> Option<HeaderValue> {
        let is_read = uri.scheme() == Some(&Scheme::HTTP);
        self.matcher.intercept(uri).filter(|_| is_read)?.basic_auth().cloned()
    }
}

/// Makes the connection that TLS goes over, or plain HTTP.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) tcp: HttpConnector<Resolver>,
    pub(super) proxies: Option<Arc<Proxies>>,
}

impl Service<Uri> for Way {
    type Response = Connection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Connection, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let proxies = self.proxies.as_ref();
        match proxies.and_then(|proxies| Some((proxies.matcher.intercept(&destination)?, Arc::clone(&proxies.tls)))) {
            Some((proxy, tls)) => Box::pin(through(proxy, HttpsConnector::from((tcp, tls)), destination)),
            None => Box::pin(async move { Ok(Connection::direct(tcp.call(destination).await?)) }),
        }
    }
}

/// A tunnel for what is encrypted; the rest the proxy reads, and sends on.
async fn through(
    proxy: Intercept,
    mut connector: HttpsConnector<HttpConnector<Resolver>>,
    destination: Uri,
) -> Result<Connection, BoxError> {
    if destination.scheme() != Some(&Scheme::HTTPS) {
        return Ok(Connection::to_proxy(connector.call(proxy.uri().clone()).await?));
    }
    let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(super::USER_AGENT))]);
    let mut tunnel = Tunnel::new(proxy.uri().clone(), connector).with_headers(headers);
    if let Some(login) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    Ok(Connection::tunnel(tunnel.call(destination).await?))
}
