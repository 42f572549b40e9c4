//! Prometheus metrics. Base units, bounded labels: never a tag or a digest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::events::{
    BlobOutcome, Direction, ImageOutcome, ImageReport, Observer, Request, Retry, RuleReport, RunOutcome, ThrottleReason,
};
use crate::oci::{Host, Reference};

/// From a run that only looks to one that moves many GiB, in seconds.
const RUN_BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
/// From a registry next door to one that is throttled, in seconds.
const REQUEST_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Counts events for Prometheus.
pub struct Metrics {
    registry: Registry,
    runs: IntCounterVec,
    last_success: GaugeVec,
    rule_images: IntGaugeVec,
    run_duration: HistogramVec,
    images: IntCounterVec,
    blobs: IntCounterVec,
    pruned: IntCounterVec,
    blob_bytes: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    retries: IntCounterVec,
    throttled: CounterVec,
    pulls_left: IntGaugeVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Metrics for these rules. A rule that never succeeded shows a last success of 0, so that it can be alerted on.
    ///
    /// # Errors
    /// If two metrics have one name.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a str>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let histogram = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
            registry.register(Box::new(histogram.clone()))?;
            prometheus::Result::Ok(histogram)
        };
        let last_success = GaugeVec::new(
            Opts::new(
                "regferry_rule_last_success_timestamp_seconds",
                "When the rule last succeeded; 0 if it never did.",
            ),
            &["rule"],
        )?;
        registry.register(Box::new(last_success.clone()))?;
        let throttled = CounterVec::new(
            Opts::new("regferry_throttle_seconds_total", "Seconds spent waiting for a limit, by limit."),
            &["registry", "reason"],
        )?;
        registry.register(Box::new(throttled.clone()))?;
        let pulls_left = IntGaugeVec::new(
            Opts::new("regferry_pull_quota_remaining", "Pulls left, as the registry last announced it."),
            &["registry"],
        )?;
        registry.register(Box::new(pulls_left.clone()))?;
        let in_flight = IntGauge::new("regferry_transfers_in_flight", "Blobs being transferred.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let build_info =
            IntGaugeVec::new(Opts::new("regferry_build_info", "The version that runs; always 1."), &["version"])?;
        registry.register(Box::new(build_info.clone()))?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for rule in rules {
            last_success.with_label_values(&[rule]).set(0.0);
        }

        let rule_images =
            IntGaugeVec::new(Opts::new("regferry_rule_images", "Images that a rule's last run found."), &["rule"])?;
        registry.register(Box::new(rule_images.clone()))?;

        Ok(Self {
            rule_images,
            runs: counter("regferry_rule_runs_total", "Runs of rules by outcome.", &["rule", "outcome"])?,
            run_duration: histogram(
                "regferry_rule_run_duration_seconds",
                "How long runs took.",
                &["rule"],
                &RUN_BUCKETS,
            )?,
            images: counter("regferry_images_total", "Images by outcome.", &["rule", "outcome"])?,
            blobs: counter("regferry_blobs_total", "Blobs by outcome.", &["rule", "outcome"])?,
            pruned: counter("regferry_pruned_tags_total", "Tags deleted at targets.", &["rule"])?,
            blob_bytes: counter("regferry_blob_bytes_total", "Bytes of blobs moved.", &["registry", "direction"])?,
            requests: counter(
                "regferry_http_requests_total",
                "Requests to registries by status.",
                &["registry", "method", "status"],
            )?,
            request_duration: histogram(
                "regferry_http_request_duration_seconds",
                "From a request to its answer's headers.",
                &["registry", "method"],
                &REQUEST_BUCKETS,
            )?,
            retries: counter("regferry_retries_total", "Requests made again, by reason.", &["registry", "reason"])?,
            throttled,
            pulls_left,
            last_success,
            in_flight,
            registry,
        })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If a metric cannot be written as text.
    pub fn render(&self) -> prometheus::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl Observer for Metrics {
    fn request(&self, request: &Request<'_>) {
        let status = request.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        self.requests.with_label_values(&[request.registry.as_str(), request.method, &status]).inc();
        self.request_duration
            .with_label_values(&[request.registry.as_str(), request.method])
            .observe(request.elapsed.as_secs_f64());
    }

    fn retry(&self, retry: &Retry<'_>) {
        self.retries.with_label_values(&[retry.registry.as_str(), retry.reason.as_str()]).inc();
    }

    fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        self.throttled.with_label_values(&[registry.as_str(), reason.as_str()]).inc_by(waited.as_secs_f64());
    }

    fn pulls_left(&self, registry: &Host, remaining: u64) {
        self.pulls_left.with_label_values(&[registry.as_str()]).set(i64::try_from(remaining).unwrap_or(i64::MAX));
    }

    fn bytes(&self, registry: &Host, direction: Direction, bytes: u64) {
        let direction = match direction {
            Direction::Read => "read",
            Direction::Written => "written",
        };
        self.blob_bytes.with_label_values(&[registry.as_str(), direction]).inc_by(bytes);
    }

    fn transfer_started(&self) {
        self.in_flight.inc();
    }

    fn transfer_ended(&self) {
        self.in_flight.dec();
    }

    fn blob(&self, rule: &str, outcome: BlobOutcome) {
        let outcome = match outcome {
            BlobOutcome::Copied => "copied",
            BlobOutcome::Mounted => "mounted",
            BlobOutcome::Present => "present",
            BlobOutcome::Failed => "failed",
        };
        self.blobs.with_label_values(&[rule, outcome]).inc();
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        let outcome = match image.outcome {
            ImageOutcome::Copied => "copied",
            ImageOutcome::Unchanged => "unchanged",
            ImageOutcome::Skipped => "skipped",
            ImageOutcome::Failed => "failed",
        };
        self.images.with_label_values(&[rule, outcome]).inc();
    }

    fn pruned(&self, rule: &str, _tag: &Reference) {
        self.pruned.with_label_values(&[rule]).inc();
    }

    fn run_ended(&self, run: &RuleReport) {
        let outcome = match run.outcome {
            RunOutcome::Success => "success",
            RunOutcome::Failure => "failure",
            RunOutcome::Timeout => "timeout",
            RunOutcome::Cancelled => "cancelled",
        };
        self.runs.with_label_values(&[&run.name, outcome]).inc();
        self.rule_images.with_label_values(&[&*run.name]).set(i64::try_from(run.images.len()).unwrap_or(i64::MAX));
        self.run_duration.with_label_values(&[&*run.name]).observe(run.elapsed.as_secs_f64());
        if run.outcome == RunOutcome::Success {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.last_success.with_label_values(&[&*run.name]).set(now.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_never_succeeded_is_there_with_zero() {
        let text = Metrics::new(["hello"]).unwrap().render().unwrap();
        assert!(text.contains("regferry_rule_last_success_timestamp_seconds{rule=\"hello\"} 0\n"), "{text}");
        assert!(text.contains("regferry_build_info{version="), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }

    #[test]
    fn events_are_counted_under_the_contracts_names() {
        let metrics = Metrics::new([]).unwrap();
        let host: Host = "r.example".parse().unwrap();
        metrics.bytes(&host, Direction::Written, 5);
        metrics.blob("hello", BlobOutcome::Mounted);
        metrics.pruned("hello", &"r.example/app:old".parse().unwrap());
        metrics.transfer_started();
        metrics.request(&Request { registry: &host, method: "HEAD", status: None, elapsed: Duration::from_millis(3) });
        metrics.run_ended(&RuleReport::begun(&"empty".into(), SystemTime::now()));
        let text = metrics.render().unwrap();
        for line in [
            "regferry_rule_images{rule=\"empty\"} 0",
            "regferry_blob_bytes_total{direction=\"written\",registry=\"r.example\"} 5",
            "regferry_blobs_total{outcome=\"mounted\",rule=\"hello\"} 1",
            "regferry_pruned_tags_total{rule=\"hello\"} 1",
            "regferry_transfers_in_flight 1",
            "regferry_http_requests_total{method=\"HEAD\",registry=\"r.example\",status=\"error\"} 1",
            "regferry_http_request_duration_seconds_bucket{method=\"HEAD\",registry=\"r.example\",le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
