//! Blobs before manifests, children before lists, tags last; and wherever a copy is cut, the target stays valid.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use regferry::events::{ImageOutcome, RunOutcome};
use regferry::transfer::Mode;
use testkit::content::{every_kind, hello_world};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{copy, engine, failures, location, rule, run};

#[tokio::test]
async fn every_kind_of_image_arrives_byte_for_byte_at_a_registry_that_refuses_unknown_parts() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let engine = engine();
    for (kind, image) in every_kind() {
        source.seed(kind, "v1", &image);
        let report =
            copy(&engine, &format!("{}/{kind}:v1", source.host()), &format!("{}/{kind}:v1", target.host())).await;
        assert_eq!(report.outcome, ImageOutcome::Copied, "{kind}: {:?}", report.error);
        for document in image.documents() {
            assert_eq!(target.manifest(kind, &document.digest()).as_ref(), Some(document), "{kind}");
        }
        target.check_whole(kind, "v1").unwrap_or_else(|missing| panic!("{kind}: {missing}"));
    }
}

/// Which request is the last before the stop, and how the stop comes.
#[derive(Debug, Clone, Copy)]
struct Cut {
    at_source: bool,
    request: usize,
    dropped: bool,
}

#[test]
fn a_copy_cut_at_any_request_leaves_no_tag_whose_content_is_missing() {
    let cut = (any::<bool>(), 1usize..30, any::<bool>()).prop_map(|(at_source, request, dropped)| Cut {
        at_source,
        request,
        dropped,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() })
        .run(&cut, |cut| runtime.block_on(cut_and_mend(cut)))
        .unwrap();
}

async fn cut_and_mend(cut: Cut) -> Result<(), TestCaseError> {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let nested = Image::oci_index([
        Image::oci("linux/amd64").layer(1, 2_000).build(),
        Image::oci("linux/arm64").layer(2, 3_000).build(),
    ]);
    source.seed("app", "v1", &nested);
    source.seed("app", "v2", &hello_world());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);

    let engine_of_the_first = engine();
    let cancel = CancellationToken::new();
    let reached = if cut.at_source { source.after_requests(cut.request) } else { target.after_requests(cut.request) };
    let first = engine_of_the_first.run(&rule, Mode::Execute, &cancel);
    if cut.dropped {
        tokio::select! {
            _held = reached => {}
            _ = first => {}
        }
    } else {
        // A run that makes fewer requests ends before its cut.
        let ended = CancellationToken::new();
        let stop = async {
            drop(ended.run_until_cancelled(reached).await);
            cancel.cancel();
        };
        let run = async {
            first.await;
            ended.cancel();
        };
        tokio::join!(run, stop);
    }
    prop_assert_eq!(target.incomplete_tags(), Vec::<String>::new());

    // What was cut is made whole by the next run.
    let second = run(&engine(), &rule).await;
    prop_assert_eq!(failures(&second), Vec::<String>::new());
    for tag in ["v1", "v2"] {
        prop_assert_eq!(target.check_whole("app", tag), Ok(()));
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_lets_go_of_a_transfer_and_closes_its_session() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 100_000).build());
    source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::Hang);
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    let (engine, cancel) = (engine(), CancellationToken::new());

    let opened = target.after_requests(6);
    let stop = async {
        drop(tokio::time::timeout(Duration::from_millis(500), opened).await);
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(engine.run(&rule, Mode::Execute, &cancel), stop);

    assert_eq!(report.outcome, RunOutcome::Cancelled);
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped);
    assert!(target.count(&Method::POST, Endpoint::Upload) > 0, "{}", target.summary());
    assert_eq!(target.open_sessions(), 0);
    assert!(target.tags("app").is_empty());
}

#[tokio::test]
async fn a_stop_lets_a_commit_under_way_finish_also_when_a_sibling_is_let_go() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 1_000).layer(2, 2_000).build();
    source.seed("app", "v1", &image);
    let layer = |size| image.blobs().find(|blob| blob.bytes.len() == size).unwrap().digest();
    source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&layer(1_000)), Effect::Hang);
    let slow = Fault::on(Method::PUT, Endpoint::Upload).reference(&layer(2_000));
    target.fault(slow, Effect::Delay(Duration::from_millis(1_500)));
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    let (engine, cancel) = (engine(), CancellationToken::new());

    let is_committing = |request: &testkit::registry::Request| {
        request.method == Method::PUT && request.reference.as_deref() == Some(&layer(2_000))
    };
    let stop = async {
        while !target.requests().iter().any(is_committing) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The body follows its headers at once; the answer takes longer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    };
    let (report, ()) = tokio::join!(engine.run(&rule, Mode::Execute, &cancel), stop);

    assert_eq!(report.outcome, RunOutcome::Cancelled);
    assert!(target.has_blob("app", &layer(2_000)), "{}", target.summary());
    assert_eq!(target.open_sessions(), 0);
}

#[tokio::test]
async fn a_stop_ends_the_pause_before_another_try() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    target.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::status_with(503, &[("Retry-After", "100")]));
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    let (engine, cancel) = (engine(), CancellationToken::new());

    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cancel.cancel();
    };
    let run = tokio::time::timeout(Duration::from_secs(20), engine.run(&rule, Mode::Execute, &cancel));
    let (report, ()) = tokio::join!(run, stop);

    assert_eq!(report.unwrap().outcome, RunOutcome::Cancelled);
}

#[tokio::test]
async fn a_registry_that_lost_a_part_it_had_said_to_have_gets_it_again() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 1_000).build();
    source.seed("app", "v1", &image);
    source.seed("app", "v2", &Image::oci_index([image.clone()]));
    let engine = engine();
    let _knowledge = engine.knowledge();
    copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;
    // Collected as garbage behind the run's back.
    for blob in image.blobs() {
        target.remove_blob("app", &blob.digest());
    }
    target.remove_manifest("app", &image.digest());

    let report = copy(&engine, &format!("{}/app:v2", source.host()), &format!("{}/app:v2", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    assert_eq!(target.check_whole("app", "v2"), Ok(()));
}

#[tokio::test]
async fn what_a_registry_only_says_to_have_is_sent_when_it_names_it() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    // A stale cache: every HEAD finds the blob.
    target.fault(Fault::on(Method::HEAD, Endpoint::Blob), Effect::status(200));

    let report = copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    assert_eq!((report.blobs.copied, report.blobs.present), (2, 0));
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}
