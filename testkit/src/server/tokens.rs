//! A token server for real registries, as companies run one: it knows one user, signs what it is
//! asked for, and remembers it.
//!
//! Source: distribution's "Token Authentication Specification" and "JWT implementation".

mod jwt;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use url::form_urlencoded;

use jwt::Issuer;

/// Issues tokens on a loopback port until it is dropped.
#[derive(Debug)]
pub struct TokenServer {
    realm: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The registry.
    pub service: String,
    /// What for: `repository:library/hello-world:pull`.
    pub scopes: Vec<String>,
    /// The token, unless it was refused.
    pub token: Option<String>,
}

#[derive(Debug)]
struct Shared {
    authorization: String,
    lifetime: Duration,
    issuer: Issuer,
    asked: Mutex<Vec<Asked>>,
}

impl TokenServer {
    /// Starts one that gives a user of this password tokens for all that is asked, and others
    /// none. Registries take the tokens for `lifetime`, in whole seconds, whatever their answer
    /// says, which names no lifetime.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn start(user: &str, password: &str, lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let shared = Arc::new(Shared { authorization, lifetime, issuer: Issuer::new(), asked: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        Self { realm: format!("http://{address}/token"), shared, server }
    }

    /// Every request so far, in order.
    ///
    /// # Panics
    /// If its own task did.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("no holder panics").clone()
    }

    /// Forgets what was asked.
    ///
    /// # Panics
    /// If its own task did.
    pub fn clear(&self) {
        self.shared.asked.lock().expect("no holder panics").clear();
    }

    /// Where tokens are to be had.
    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// The name by which tokens say who issued them.
    pub(super) fn issuer(&self) -> &'static str {
        jwt::ISSUER
    }

    /// What proves tokens (PEM).
    pub(super) fn certificate(&self) -> &str {
        self.shared.issuer.certificate()
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = shared.answer(&request);
                async { Ok::<_, std::convert::Infallible>(answer) }
            });
            // It ends in an error when the client leaves, which clients do.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET || request.uri().path() != "/token" {
            return answer(StatusCode::NOT_FOUND, &json!({"details": "GET /token is all there is"}));
        }
        let asked = self.ask(request);
        let answer = match &asked.token {
            Some(token) => answer(StatusCode::OK, &json!({"token": token})),
            None => answer(StatusCode::UNAUTHORIZED, &json!({"details": "incorrect username or password"})),
        };
        self.asked.lock().expect("no holder panics").push(asked);
        answer
    }

    fn ask(&self, request: &Request<Incoming>) -> Asked {
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let values = |name: &str| {
            let pairs = form_urlencoded::parse(query).filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect::<Vec<_>>()
        };
        let service = values("service").concat();
        let scopes: Vec<String> =
            values("scope").iter().flat_map(|scopes| scopes.split(' ')).map(str::to_owned).collect();
        let is_known = request.headers().get(AUTHORIZATION).is_some_and(|value| *value == *self.authorization);
        let token = is_known.then(|| self.issuer.sign(&service, &scopes, self.lifetime));
        Asked { service, scopes, token }
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
