//! What the daemon shows over HTTP: metrics and health.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::telemetry::Metrics;

/// What the handlers look at.
#[derive(Clone)]
pub struct Service {
    /// The metrics to show.
    pub metrics: Arc<Metrics>,
    /// Whether rules are being run: set at start, cleared when the daemon begins to stop.
    pub ready: Arc<AtomicBool>,
}

/// Serves until `stop` is done; then requests under way are answered.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(service)).with_graceful_shutdown(stop).await
}

fn router(service: Service) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(service)
}

async fn readyz(State(service): State<Service>) -> (StatusCode, &'static str) {
    if service.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}

async fn metrics(State(service): State<Service>) -> Response {
    match service.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
