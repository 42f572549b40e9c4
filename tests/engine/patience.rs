//! How often, and how long, something is tried again.

use std::time::Duration;

use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio::time::Instant;

use crate::gauge::{gauged, settings};
use crate::support::{copy, engine};

const STANDARD: Duration = Duration::from_secs(15);

async fn source() -> FakeRegistry {
    let source = FakeRegistry::start().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    source
}

#[tokio::test]
async fn nothing_is_tried_more_often_than_it_may() {
    for attempts in [1, 3] {
        let (source, target) = (source().await, FakeRegistry::start().await);
        source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::status(503));
        let (engine, gauge) = gauged([settings(&source, |s| s.retry.max_attempts = attempts)]);

        let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

        assert!(report.error.unwrap().contains("503"));
        assert_eq!(source.count(&Method::GET, Endpoint::Manifest), attempts as usize);
        assert_eq!(gauge.retries().len(), attempts as usize - 1);
    }
}

#[tokio::test]
async fn nothing_is_tried_for_longer_than_it_may() {
    let (source, target) = (source().await, FakeRegistry::start().await);
    source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::status(503));
    let (engine, gauge) = gauged([settings(&source, |s| s.retry.max_elapsed = Duration::from_millis(800))]);

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert!(report.error.unwrap().contains("503"));
    assert!(gauge.retries().len() > 2, "{:?}", gauge.retries());
    assert!(gauge.pauses() <= Duration::from_millis(800), "{:?}", gauge.pauses());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answered_is_given_up_after_a_quarter_of_a_minute() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let started = Instant::now();

    let report = copy(&engine(), &format!("{nobody}/app:v1"), &format!("{nobody}/app:v2")).await;

    assert!(report.error.unwrap().contains("connection refused"));
    let took = started.elapsed();
    // The pause that would not fit any more is of twelve seconds at most: the fifth, with all of its jitter.
    assert!((STANDARD / 5..=STANDARD + Duration::from_secs(1)).contains(&took), "{took:?}");
}

/// Docker's registry says so of a blob whose link it made and did not fill before it was killed.
#[tokio::test]
async fn a_blob_of_which_the_target_says_500_for_good_is_sent_again() {
    let (source, target) = (source().await, FakeRegistry::start().await);
    target.seed("app", "other", &Image::oci("linux/amd64").layer(2, 10).build());
    target.fault(Fault::on(Method::HEAD, Endpoint::Blob), Effect::status(500));
    let (engine, _) = gauged([settings(&target, |s| s.retry.max_attempts = 2)]);

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.error, None);
    assert!(target.count(&Method::HEAD, Endpoint::Blob) > 1, "its trouble may pass");
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}
