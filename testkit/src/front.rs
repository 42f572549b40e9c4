//! TLS before any registry: what ends it in real life, with all that a client might show it written
//! down.
//!
//! [`Front`] asks every client for a certificate, takes whichever comes, and none as well. It hands
//! requests on as they are, over HTTP/1.1 and without a word of its own, such as
//! `X-Forwarded-Proto`.

mod broken;
mod tls;

use std::path::Path;
use std::sync::{Arc, Mutex};

use http::header::HOST;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Method, Version, request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Response, client};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::server::ClientCertificate;
use crate::server::tls::{Files, write};

/// Ends TLS on a loopback port: on the current tokio runtime, until it is dropped.
#[derive(Debug)]
pub struct Front {
    host: String,
    files: Files,
    shared: Arc<Shared>,
    server: AbortHandle,
    _home: TempDir,
}

/// Options for a [`Front`].
#[derive(Clone, Debug)]
pub struct Builder {
    upstream: String,
    http2: Http2,
}

/// What becomes of HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// It is not offered.
    #[default]
    None,
    /// It is offered and spoken.
    Spoken,
    /// It is offered, and the first request on each connection is answered by
    /// `GOAWAY ENHANCE_YOUR_CALM`.
    GoAway,
    /// It is offered, and every request is answered by `RST_STREAM INTERNAL_ERROR`.
    Reset,
    /// It is offered, and no request is begun with: `RST_STREAM REFUSED_STREAM`.
    Refused,
    /// It is offered, and every answer is reset in the middle of its body.
    ResetBody,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The version of HTTP that the client spoke.
    pub version: Version,
    /// The verb.
    pub method: Method,
    /// Path and query, as sent.
    pub target: String,
    /// The headers, as sent.
    pub headers: HeaderMap,
    /// Whether its connection was opened with a certificate of the client.
    pub certificate: bool,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    http2: Http2,
    requests: Mutex<Vec<Request>>,
}

impl Front {
    /// Options for one that hands all requests on to `upstream`, a `host:port` without TLS.
    #[must_use]
    pub fn before(upstream: &str) -> Builder {
        Builder { upstream: upstream.to_owned(), http2: Http2::default() }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference. Its certificate is good for
    /// `localhost` and `0.0.0.0` too.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The authority (PEM) that signed its certificate.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.files.authority
    }

    /// One that a client may show.
    #[must_use]
    pub fn client_certificate(&self) -> &ClientCertificate {
        &self.files.client
    }

    /// Every request so far, in order of arrival.
    ///
    /// # Panics
    /// If its own task did.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no holder panics").clone()
    }
}

impl Request {
    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Builder {
    /// What becomes of HTTP/2, which is not offered otherwise.
    #[must_use]
    pub fn http2(self, http2: Http2) -> Self {
        Self { http2, ..self }
    }

    /// Binds a loopback port and serves on the current tokio runtime.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn start(self) -> Front {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let files = write(home.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let Self { upstream, http2 } = self;
        let acceptor = tls::acceptor(&files, http2 != Http2::None);
        let shared = Arc::new(Shared { upstream, http2, requests: Mutex::default() });
        let server = tokio::spawn(accept(listener, acceptor, Arc::clone(&shared))).abort_handle();
        Front { host, files, shared, server, _home: home }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves until the task is aborted, and its connections with it.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, acceptor.clone(), Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

// Whatever ends it early is the client's doing, or what a test wanted.
async fn connection(socket: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().is_some();
    let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
    if speaks_http2 && shared.http2 != Http2::Spoken {
        let record = |head: &request::Parts| shared.record(head, certificate);
        let _ = broken::serve(stream, shared.http2, record).await;
        return;
    }
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (head, body) = request.into_parts();
        shared.record(&head, certificate);
        hand_on(shared.upstream.clone(), head, body)
    });
    let stream = TokioIo::new(stream);
    if speaks_http2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(stream, service).await;
    }
}

impl Shared {
    fn record(&self, head: &request::Parts, certificate: bool) {
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let (version, method, headers) = (head.version, head.method.clone(), head.headers.clone());
        let request = Request { version, method, target, headers, certificate };
        self.requests.lock().expect("no holder panics").push(request);
    }
}

/// Asks the registry, on a connection of its own: it ends with the answer's body.
async fn hand_on(
    upstream: String,
    mut head: request::Parts,
    body: Incoming,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    // HTTP/2 has the host in the target, HTTP/1.1 in a header.
    if let Some(authority) = head.uri.authority() {
        head.headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
    }
    head.uri = head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    head.version = Version::HTTP_11;
    let socket = TcpStream::connect(upstream).await?;
    let _ = socket.set_nodelay(true);
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(http::Request::from_parts(head, body)).await?)
}
