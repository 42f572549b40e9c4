//! One source and several targets: read once, written to each, and nobody waits for the slowest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regferry::events::{ImageOutcome, RunOutcome};
use regferry::registry::{Settings, Tls};
use regferry::transfer::{Rule, Source};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{engine, engine_with, failures, host, location, rule_of, run, to};

async fn registries() -> (FakeRegistry, [FakeRegistry; 2]) {
    (FakeRegistry::start().await, [FakeRegistry::start().await, FakeRegistry::start().await])
}

fn to_both(source: &FakeRegistry, targets: &[FakeRegistry], include: &[&str]) -> Arc<Rule> {
    let targets = targets.iter().map(|target| to(location(target.host(), "app"))).collect();
    rule_of("app", vec![Source::Repository(location(source.host(), "app"))], targets, include)
}

fn blobs_read(registry: &FakeRegistry) -> usize {
    registry.requests().iter().filter(|r| r.method == Method::GET && r.endpoint == Endpoint::Blob).count()
}

fn blobs_of(image: &Image) -> usize {
    image.blobs().count()
}

#[tokio::test]
async fn what_two_targets_want_is_read_once() {
    let (source, targets) = registries().await;
    let image = hello_world();
    source.seed("app", "v1", &image);

    let report = run(&engine(), &to_both(&source, &targets, &["*"])).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(report.images.len(), 2);
    for target in &targets {
        assert_eq!(target.check_whole("app", "v1"), Ok(()));
    }
    assert_eq!(blobs_read(&source), blobs_of(&image), "{}", source.summary());
    let documents =
        source.requests().iter().filter(|r| r.method == Method::GET && r.endpoint == Endpoint::Manifest).count();
    assert_eq!(documents, image.documents().count(), "{}", source.summary());
}

#[tokio::test]
async fn unchanged_at_two_targets_costs_one_question_at_the_source() {
    let (source, targets) = registries().await;
    source.seed("app", "v1", &hello_world());
    let (engine, rule) = (engine(), to_both(&source, &targets, &["v1"]));
    run(&engine, &rule).await;
    source.clear_requests();

    let report = run(&engine, &rule).await;

    assert!(report.images.iter().all(|image| image.outcome == ImageOutcome::Unchanged));
    assert_eq!(source.summary(), "HEAD manifest 1");
}

#[tokio::test]
async fn a_target_that_is_down_fails_alone() {
    let (source, [good, bad]) = registries().await;
    source.seed("app", "v1", &hello_world());
    bad.fault(Fault::on(Method::GET, Endpoint::Tags), Effect::status(401));
    bad.fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::status(400));
    bad.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::status(400));
    let targets = [good, bad];

    let report = run(&engine(), &to_both(&source, &targets, &["*"])).await;

    assert_eq!(report.outcome, RunOutcome::Failure);
    assert_eq!(targets[0].check_whole("app", "v1"), Ok(()));
    assert!(failures(&report).iter().all(|error| error.contains(targets[1].host())), "{:?}", failures(&report));
}

#[tokio::test]
async fn a_target_that_hangs_does_not_hold_the_other() {
    let (source, targets) = registries().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 3_000_000).layer(2, 10_000).build());
    targets[1].fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::Hang);
    let (engine, rule) = (engine(), to_both(&source, &targets, &["*"]));

    let running = tokio::spawn(async move { run(&engine, &rule).await });
    let arrives = async {
        while targets[0].tags("app").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrives).await.expect("the other target has the image");
    assert!(targets[1].tags("app").is_empty());
    running.abort();
}

#[tokio::test]
async fn a_target_that_lags_takes_from_the_other_what_it_missed() {
    let (source, targets) = registries().await;
    let image = Image::oci("linux/amd64").layer(1, 6_000_000).build();
    source.seed("app", "v1", &image);
    targets[1].fault(Fault::on(Method::PUT, Endpoint::Upload).times(1), Effect::Delay(Duration::from_secs(3)));

    let report = run(&engine(), &to_both(&source, &targets, &["v1"])).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    for target in &targets {
        assert_eq!(target.check_whole("app", "v1"), Ok(()));
    }
    assert_eq!(blobs_read(&source), blobs_of(&image), "{}", source.summary());
}

#[tokio::test]
async fn a_target_that_comes_later_takes_what_another_has() {
    let (source, targets) = registries().await;
    let image = hello_world();
    source.seed("app", "v1", &image);
    targets[0].seed("app", "v1", &image);

    let report = run(&engine(), &to_both(&source, &targets, &["v1"])).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(targets[1].check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_target_that_breaks_off_goes_on_with_what_the_other_has() {
    let (source, targets) = registries().await;
    let image = Image::oci("linux/amd64").layer(1, 5_000_000).build();
    source.seed("app", "v1", &image);
    targets[1].fault(Fault::on(Method::PUT, Endpoint::Upload).times(1), Effect::CutRequest { after_bytes: 2_000_000 });

    let report = run(&engine(), &to_both(&source, &targets, &["v1"])).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    for target in &targets {
        assert_eq!(target.check_whole("app", "v1"), Ok(()));
    }
    assert_eq!(blobs_read(&source), blobs_of(&image), "{}", source.summary());
    assert!(blobs_read(&targets[0]) <= 1, "{}", targets[0].summary());
}

#[tokio::test]
async fn wrong_bytes_of_one_target_are_not_passed_on_to_the_other() {
    let (source, targets) = registries().await;
    let image = Image::oci("linux/amd64").layer(1, 50_000).build();
    source.seed("app", "v1", &image);
    targets[1].fault(Fault::on(Method::POST, Endpoint::Upload).times(2), Effect::status(503));
    targets[0].fault(Fault::on(Method::GET, Endpoint::Blob), Effect::CorruptByte { at: 10 });

    let report = run(&engine(), &to_both(&source, &targets, &["v1"])).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    for target in &targets {
        assert_eq!(target.check_whole("app", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn a_target_whose_settings_are_wrong_fails_alone() {
    let (source, targets) = registries().await;
    source.seed("app", "v1", &hello_world());
    let wrong = host(targets[1].host());
    let settings = Settings { tls: Tls::Https, ca_files: vec!["no/such/file".into()], ..Settings::for_host(&wrong) };
    let engine = engine_with(HashMap::from([(wrong, settings)]), Arc::new(()));

    let report = run(&engine, &to_both(&source, &targets, &["*"])).await;

    assert_eq!(report.outcome, RunOutcome::Failure);
    assert_eq!(targets[0].check_whole("app", "v1"), Ok(()), "{:?}", report.error);
}
