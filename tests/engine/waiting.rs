//! Waiting for a registry that asks for it: as long as it asks, and in nobody's way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use regferry::events::RunOutcome;
use regferry::registry::{DockerConfigFiles, Registries};
use regferry::transfer::{Engine, Limits};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio::task::AbortHandle;

use crate::ferry::Ferry;
use crate::support::{engine, failures, location, rule, run};

/// Longer than a test waits, shorter than the patience of a run.
const LONG: &str = "100";

/// What is not in the way is done in much less.
const LIMIT: Duration = Duration::from_secs(30);

fn date(seconds_from_now: i64) -> String {
    let span = Duration::from_secs(seconds_from_now.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(if seconds_from_now < 0 { now - span } else { now + span })
}

fn busy(retry_after: &str) -> Effect {
    Effect::status_with(503, &[("Retry-After", retry_after)])
}

/// Starts to mirror `app` of a source, for as long as the handle is kept.
fn begin(engine: &Arc<Engine>, source: &FakeRegistry, target: &FakeRegistry, tags: &[&str]) -> Begun {
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), tags);
    let engine = Arc::clone(engine);
    Begun(tokio::spawn(async move { run(&engine, &rule).await }).abort_handle())
}

struct Begun(AbortHandle);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_more_time_than_there_is_is_not_asked_again() {
    for retry_after in ["3600", "99999999999", &date(3600)] {
        for status in [429, 503] {
            let (ferry, _) = Ferry::new().await;
            let effect = Effect::status_with(status, &[("Retry-After", retry_after)]);
            ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), effect);

            let error = tokio::time::timeout(LIMIT, ferry.copy()).await.unwrap().unwrap_err();

            assert!(error.contains(&status.to_string()), "{error}");
            assert_eq!(ferry.source.count(&Method::GET, Endpoint::Manifest), 1, "{retry_after}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_no_pause_or_for_none_that_can_be_read_is_given_one() {
    for retry_after in ["0", &date(-3600), "soon", "-1", ""] {
        let (ferry, _) = Ferry::new().await;
        ferry.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), busy(retry_after));

        ferry.copy().await.unwrap();

        let pause = ferry.retries.longest_pause();
        assert!((Duration::from_millis(250)..Duration::from_secs(1)).contains(&pause), "{retry_after:?}: {pause:?}");
    }
}

#[tokio::test]
async fn a_date_is_waited_for() {
    let (ferry, _) = Ferry::new().await;
    ferry.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest), busy(&date(60)));
    let paused = async {
        while ferry.retries.reasons().is_empty() {
            tokio::task::yield_now().await;
        }
    };

    tokio::select! {
        result = ferry.copy() => panic!("it did not wait: {result:?}"),
        () = paused => {}
    }

    let pause = ferry.retries.longest_pause();
    assert!((Duration::from_secs(21)..Duration::from_secs(61)).contains(&pause), "{pause:?}");
}

#[tokio::test]
async fn a_pause_takes_no_place_among_the_transfers() {
    let (waiting, source, target) =
        (FakeRegistry::start().await, FakeRegistry::start().await, FakeRegistry::start().await);
    waiting.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    source.seed("other", "v1", &Image::oci("linux/amd64").layer(2, 1_000).build());
    waiting.fault(Fault::on(Method::GET, Endpoint::Blob), busy(LONG));
    let registries = Registries::new(HashMap::new(), DockerConfigFiles::default(), Arc::new(()));
    let engine = Arc::new(Engine::new(registries, Limits { max_images: 8, max_blobs: 1 }, Arc::new(())));
    // HEAD and GET of the manifest, and the first blob.
    let paused = waiting.after_requests(3);
    let _begun = begin(&engine, &waiting, &target, &["v1"]);
    drop(paused.await);

    let other = rule("other", location(source.host(), "other"), location(target.host(), "other"), &["v1"]);
    let report = tokio::time::timeout(LIMIT, run(&engine, &other)).await.expect("the transfer is not in the way");

    assert_eq!(failures(&report), Vec::<String>::new());
}

#[tokio::test]
async fn a_pause_takes_no_place_among_the_requests() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 1_000).build();
    let tags: Vec<String> = (0..40).map(|tag| format!("v{tag}")).collect();
    tags.iter().for_each(|tag| drop(source.seed("app", tag, &image)));
    source.seed("other", "v1", &image);
    source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).repository("app"), busy(LONG));
    let engine = engine();
    let paused = source.after_requests(4);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let _begun = begin(&engine, &source, &target, &tags);
    drop(tokio::time::timeout(LIMIT, paused).await.expect("the first ones are asked for"));

    let other = rule("other", location(source.host(), "other"), location(target.host(), "other"), &["v1"]);
    let report = tokio::time::timeout(LIMIT, run(&engine, &other)).await.expect("forty pauses are not in the way");

    assert_eq!(report.outcome, RunOutcome::Success);
    let asked = source.requests().iter().filter(|request| request.repository.as_deref() == Some("app")).count();
    assert!(asked < 20, "what holds for the first ones holds for all: {asked} were asked for");
}

#[tokio::test]
async fn a_pause_of_one_repository_holds_up_no_other_of_that_registry() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    source.seed("other", "v1", &Image::oci("linux/arm64").layer(2, 1_000).build());
    target.fault(Fault::on(Method::POST, Endpoint::Upload).repository("app"), busy(LONG));
    let engine = engine();
    let paused = source.after_requests(4);
    let _begun = begin(&engine, &source, &target, &["v1"]);
    drop(paused.await);

    let other = rule("other", location(source.host(), "other"), location(target.host(), "other"), &["v1"]);
    let report = tokio::time::timeout(LIMIT, run(&engine, &other)).await.expect("the other is not in the way");

    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(target.tags("app").is_empty());
}

#[tokio::test]
async fn a_pause_of_a_login_holds_up_no_other_repository() {
    let (source, target) = (FakeRegistry::builder().anonymous_tokens().start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    source.seed("other", "v1", &Image::oci("linux/arm64").layer(2, 1_000).build());
    source.fault(Fault::on(Method::GET, Endpoint::Token).times(1), busy(LONG));
    let engine = engine();
    let paused = source.after_requests(2);
    let _begun = begin(&engine, &source, &target, &["v1"]);
    drop(paused.await);

    let other = rule("other", location(source.host(), "other"), location(target.host(), "other"), &["v1"]);
    let report = tokio::time::timeout(LIMIT, run(&engine, &other)).await.expect("the other is not in the way");

    assert_eq!(failures(&report), Vec::<String>::new());
}
