//! What is counted of registries. `registry` is a host that the configuration or the command line names, never where it
//! sends us; `method` is one of our own five; `status` has three digits.

use std::time::Duration;

use prometheus::{CounterVec, HistogramVec, IntCounterVec, Result};

use super::families::Families;
use crate::events::{Direction, Request, Retry, ThrottleReason};
use crate::oci::Host;

/// From a registry next door to the end of an upload, whose answer comes when its last byte has gone: in seconds.
const REQUEST_BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

pub(super) struct Registries {
    blob_bytes: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    retries: IntCounterVec,
    throttled: CounterVec,
}

impl Registries {
    pub(super) fn new(families: &Families<'_>) -> Result<Self> {
        Ok(Self {
            blob_bytes: families.counter(
                "regferry_blob_bytes_total",
                "Bytes of blobs moved.",
                &["registry", "direction"],
            )?,
            requests: families.counter(
                "regferry_http_requests_total",
                "Requests to registries by status.",
                &["registry", "method", "status"],
            )?,
            request_duration: families.histogram(
                "regferry_http_request_duration_seconds",
                "From a request to its answer's headers; an upload's body is sent in between.",
                &["registry", "method"],
                &REQUEST_BUCKETS,
            )?,
            retries: families.counter(
                "regferry_retries_total",
                "Requests made again, by reason.",
                &["registry", "reason"],
            )?,
            throttled: families.sum(
                "regferry_throttle_seconds_total",
                "Seconds spent waiting for a limit, by limit.",
                &["registry", "reason"],
            )?,
        })
    }

    pub(super) fn requested(&self, request: &Request<'_>) {
        let status = request.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let (registry, method) = (request.registry.as_str(), request.method);
        self.requests.with_label_values(&[registry, method, &status]).inc();
        self.request_duration.with_label_values(&[registry, method]).observe(request.elapsed.as_secs_f64());
    }

    pub(super) fn tried_again(&self, retry: &Retry<'_>) {
        self.retries.with_label_values(&[retry.registry.as_str(), retry.reason.as_str()]).inc();
    }

    pub(super) fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        self.throttled.with_label_values(&[registry.as_str(), reason.as_str()]).inc_by(waited.as_secs_f64());
    }

    pub(super) fn moved(&self, registry: &Host, direction: Direction, bytes: u64) {
        self.blob_bytes.with_label_values(&[registry.as_str(), direction.as_str()]).inc_by(bytes);
    }
}
