//! One request on one connection: slow and simple, and nothing left over from the request before.

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Position, Url};

/// A request in the making.
pub(super) struct Asked {
    url: Url,
    request: Request<Full<Bytes>>,
}

/// An answer with its body read to the end.
pub(super) struct Answer {
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    method: Method,
    headers: HeaderMap,
}

impl Asked {
    pub(super) fn new(method: Method, url: Url) -> Self {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = url[Position::BeforePath..].parse().expect("a URL's path is a request target");
        Self { url, request }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = value.parse().expect("a test's header is printable");
        self.request.headers_mut().insert(name, value);
        self
    }

    pub(super) fn body(mut self, bytes: Bytes) -> Self {
        *self.request.body_mut() = Full::new(bytes);
        self
    }

    pub(super) async fn send(self) -> Answer {
        let authority = self.url[Position::BeforeHost..Position::AfterPort].to_owned();
        let method = self.request.method().clone();
        let Self { url, request } = self.header(HOST, &authority);
        match exchange(&authority, request).await {
            Ok((parts, body)) => Answer { url, status: parts.status, headers: parts.headers, body, method },
            Err(error) => panic!("{method} {url}: {error}"),
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn expect_status(&self, status: StatusCode) {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{} {}: {body}", self.method, self.url);
    }
}

async fn exchange(
    authority: &str,
    request: Request<Full<Bytes>>,
) -> Result<(http::response::Parts, Bytes), Box<dyn std::error::Error>> {
    let socket = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let talk = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>((parts, body.collect().await?.to_bytes()))
    };
    // The connection moves the bytes, so it is polled beside the exchange; that it ended well is of
    // no interest afterwards.
    tokio::pin!(talk);
    tokio::select! {
        done = &mut talk => Ok(done?),
        _ = connection => Ok(talk.await?),
    }
}
