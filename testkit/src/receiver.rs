//! Somebody who is posted to: as a chat's incoming webhook, or a program's.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Takes what is posted to it, on a loopback port: on the current tokio runtime, until it is
/// dropped.
#[derive(Debug)]
pub struct Receiver {
    host: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// What came.
#[derive(Clone, Debug)]
pub struct Post {
    /// Path and query, as sent.
    pub target: String,
    /// The headers, as sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// Nothing, for ever.
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    posts: Mutex<Vec<Post>>,
    replies: Mutex<VecDeque<Reply>>,
}

impl Receiver {
    /// Binds a loopback port; takes everything, unless [`Receiver::reply`] says otherwise.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let shared = Arc::<Shared>::default();
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { host, shared, server }
    }

    /// `http://127.0.0.1:<port>` and a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// What the next post is answered that has no answer yet.
    pub fn reply(&self, reply: Reply) {
        locked(&self.shared.replies).push_back(reply);
    }

    /// Everything so far, in order of arrival.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        locked(&self.shared.posts).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Post {
    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

/// Serves until the task is aborted, and its connections with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

// Whatever ends it early is the client's doing.
async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(shared: Arc<Shared>, request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    locked(&shared.posts).push(Post { target, headers: head.headers, body });
    let reply = locked(&shared.replies).pop_front();
    let (status, headers) = match reply {
        None => (200, Vec::new()),
        Some(Reply::Status(status, headers)) => (status, headers),
        Some(Reply::Silence) => std::future::pending().await,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).expect("a test names a status");
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a test names a header's value"));
    }
    Ok(response)
}
