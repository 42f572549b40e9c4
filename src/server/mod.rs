//! What the daemon shows over HTTP, and what it can be asked to do: the status page, metrics, health, and the API.
//!
//! Handlers look at [`Status`] and [`Metrics`], and ask [`Operations`] for what they do not do themselves.

mod access;
mod connections;
mod events;
mod headers;
mod json;
mod operations;
mod orders;
mod page;
mod problem;
mod reading;
mod request;
#[cfg(test)]
mod tests;
mod tokens;
mod webhooks;
mod writing;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::queue::Cluster;
use crate::telemetry::{Metrics, Status};

pub use access::{Access, Reading};
pub use operations::{ImportJob, JobState, Key, Operations, Refusal, SyncAccepted};
pub use orders::ImportOrder;
pub use tokens::{check_secret_file, check_token_file};
pub use webhooks::Webhooks;
#[cfg(any(test, fuzzing))]
pub use webhooks::properties;

use problem::Problem;

/// What the handlers look at.
#[derive(Clone)]
pub struct Service {
    /// The metrics to show.
    pub metrics: Arc<Metrics>,
    /// The status to show.
    pub status: Arc<Status>,
    /// Whether rules are being run: set at start, cleared when the daemon begins to stop.
    pub ready: Arc<AtomicBool>,
    /// Who may ask for what.
    pub access: Arc<Access>,
    /// Whose messages about pushes are taken.
    pub webhooks: Arc<Webhooks>,
    /// Who does what is asked for.
    pub operations: Arc<dyn Operations>,
    /// The cluster that rules are run in, if they are.
    pub cluster: Option<Arc<Cluster>>,
}

impl Service {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// What the handlers have beside it.
#[derive(Clone)]
struct Serving {
    service: Service,
    followers: Arc<Semaphore>,
    /// Done when answers without end are to end.
    ending: CancellationToken,
}

impl FromRef<Serving> for Service {
    fn from_ref(serving: &Serving) -> Self {
        serving.service.clone()
    }
}

impl FromRef<Serving> for Arc<Semaphore> {
    fn from_ref(serving: &Serving) -> Self {
        Self::clone(&serving.followers)
    }
}

impl FromRef<Serving> for CancellationToken {
    fn from_ref(serving: &Serving) -> Self {
        serving.ending.clone()
    }
}

/// Serves until `stop` is done; then requests under way are answered. Dropped, it closes every connection.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()>) {
    let ending = CancellationToken::new();
    let router = router(service, ending.clone());
    let stop = async {
        stop.await;
        ending.cancel();
    };
    connections::serve(listener, router, stop).await;
}

fn router(service: Service, ending: CancellationToken) -> Router {
    let serving = Serving { service, followers: Arc::new(Semaphore::new(events::MOST)), ending };
    let reading = Router::new()
        .route("/api/v1/status", get(reading::status))
        .route("/api/v1/rules", get(reading::rules))
        .route("/api/v1/rules/{name}", get(reading::rule))
        .route("/api/v1/rules/{name}/images", get(reading::images))
        .route("/api/v1/registries", get(reading::registries))
        .route("/api/v1/imports", get(reading::imports))
        .route("/api/v1/imports/{id}", get(reading::import))
        .route("/api/v1/events", get(events::events))
        .route_layer(middleware::from_fn_with_state(serving.clone(), may_read));
    let writing = Router::new()
        .route("/api/v1/rules/{name}/sync", post(writing::sync))
        .route("/api/v1/imports", post(writing::import))
        .route_layer(middleware::from_fn_with_state(serving.clone(), may_write));
    let api = Router::new()
        .route("/api/v1/openapi.json", get(reading::openapi))
        .route("/api/v1/webhooks/{kind}", post(webhooks::hear))
        .merge(reading)
        .merge(writing);
    Router::new()
        .route("/", get(page::page))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(api)
        .fallback(nothing_there)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::map_response(headers::secure))
        .with_state(serving)
}

async fn may_read(State(service): State<Service>, request: Request, next: Next) -> Result<Response, Problem> {
    service.access.may_read(request.headers()).await?;
    Ok(next.run(request).await)
}

async fn may_write(State(service): State<Service>, request: Request, next: Next) -> Result<Response, Problem> {
    service.access.may_write(request.headers()).await?;
    Ok(next.run(request).await)
}

async fn nothing_there(uri: Uri) -> Problem {
    let advice = "/api/v1/openapi.json tells what is there";
    Problem::not_found(format!("there is nothing at {}", uri.path()), advice)
}

async fn other_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail, "the answer's Allow header names what it takes")
}

async fn readyz(State(service): State<Service>) -> (StatusCode, &'static str) {
    let is_cut_off = service.cluster.as_ref().is_some_and(|cluster| !cluster.is_connected());
    match service.is_ready() {
        false => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        true if is_cut_off => (StatusCode::SERVICE_UNAVAILABLE, "NATS is not reached: others do the work meanwhile\n"),
        true => (StatusCode::OK, "ready\n"),
    }
}

async fn metrics(State(service): State<Service>) -> Response {
    match service.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
