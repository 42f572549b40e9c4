//! Every limit that makes something wait is told of, by its own name.

use std::num::NonZeroU32;
use std::time::Duration;

use regferry::events::ThrottleReason;
use regferry::registry::{Limits, Rate};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::gauge::{Gauge, gauged, settings};
use crate::support::{failures, location, rule, run};

/// Mirrors twenty images from a registry with these limits; what it tells.
async fn mirror(source: &FakeRegistry, limits: Limits) -> std::sync::Arc<Gauge> {
    let target = FakeRegistry::start().await;
    for n in 0..20 {
        source.seed("app", &format!("v{n}"), &Image::oci("linux/amd64").layer(n, 10_000).build());
    }
    let (engine, gauge) = gauged([settings(source, |s| s.limits = limits)]);
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);
    let report = run(&engine, &rule).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    gauge
}

#[track_caller]
fn waited(gauge: &Gauge, registry: &FakeRegistry, reason: ThrottleReason) {
    let (count, sum) = gauge.throttled(registry, reason);
    assert!(count > 0 && sum > Duration::ZERO, "{reason:?}: {count} times, {sum:?}");
}

#[tokio::test]
async fn waiting_for_connections_is_told() {
    let source = FakeRegistry::start().await;
    let gauge = mirror(&source, Limits { max_connections: Some(1), ..Limits::default() }).await;
    waited(&gauge, &source, ThrottleReason::Connections);
}

#[tokio::test]
async fn waiting_for_the_window_is_told() {
    let source = FakeRegistry::start().await;
    source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::Delay(Duration::from_millis(20)));
    let gauge = mirror(&source, Limits::default()).await;
    waited(&gauge, &source, ThrottleReason::Window);
}

#[tokio::test]
async fn waiting_for_the_rate_is_told() {
    let source = FakeRegistry::start().await;
    let rate = Rate { per_second: 200.0, burst: NonZeroU32::MIN };
    let gauge = mirror(&source, Limits { rate: Some(rate), ..Limits::default() }).await;
    waited(&gauge, &source, ThrottleReason::Rate);
}

#[tokio::test]
async fn waiting_for_bandwidth_is_told() {
    let source = FakeRegistry::start().await;
    let gauge = mirror(&source, Limits { bandwidth: Some(400_000), ..Limits::default() }).await;
    waited(&gauge, &source, ThrottleReason::Bandwidth);
}

#[tokio::test]
async fn waiting_for_pulls_is_told() {
    let source = FakeRegistry::builder().pulls(15, Duration::from_secs(2)).start().await;
    let gauge = mirror(&source, Limits::default()).await;
    waited(&gauge, &source, ThrottleReason::Quota);
}

#[tokio::test]
async fn waiting_as_the_registry_asks_is_told() {
    let source = FakeRegistry::start().await;
    let busy = Effect::status_with(503, &[("Retry-After", "1")]);
    source.fault(Fault::on(Method::GET, Endpoint::Manifest).times(1), busy);
    let gauge = mirror(&source, Limits::default()).await;
    waited(&gauge, &source, ThrottleReason::RetryAfter);
}
