//! What the daemon shows over HTTP: metrics, health and status.

mod connections;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::queue::Cluster;
use crate::telemetry::{Metrics, Status};

/// What the handlers look at.
#[derive(Clone)]
pub struct Service {
    /// The metrics to show.
    pub metrics: Arc<Metrics>,
    /// The status to show.
    pub status: Arc<Status>,
    /// Whether rules are being run: set at start, cleared when the daemon begins to stop.
    pub ready: Arc<AtomicBool>,
    /// The cluster that rules are run in, if they are.
    pub cluster: Option<Arc<Cluster>>,
}

impl Service {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// Serves until `stop` is done; then requests under way are answered. Dropped, it closes every connection.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()>) {
    connections::serve(listener, router(service), stop).await;
}

fn router(service: Service) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .with_state(service)
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

/// The state as JSON, [`crate::telemetry::status::Snapshot`]. It is told while the daemon stops, too.
async fn status(State(service): State<Service>) -> Response {
    match serde_json::to_string(&service.status.snapshot(service.is_ready())) {
        Ok(text) => ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn service() -> Service {
        Service {
            metrics: Arc::new(Metrics::new().unwrap()),
            status: Arc::new(Status::new("1.2.3", Timestamp::UNIX_EPOCH)),
            ready: Arc::new(AtomicBool::new(true)),
            cluster: None,
        }
    }

    #[tokio::test]
    async fn the_status_is_json_that_nobody_keeps_and_says_when_the_daemon_stops() {
        let service = service();
        for ready in [true, false] {
            service.ready.store(ready, Ordering::Relaxed);
            let answer = status(State(service.clone())).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
            let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 10_000).await.unwrap()).unwrap();
            assert_eq!((&body["version"], &body["ready"]), (&json!("1.2.3"), &json!(ready)));
        }
    }
}
