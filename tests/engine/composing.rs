//! Lists composed of images that stand elsewhere: what is asked, what is written in which order, and what is left when
//! something fails.

use std::sync::Arc;

use regferry::events::{ImageOutcome, ImageReport};
use regferry::oci::Manifest;
use regferry::transfer::{Composition, Engine};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, reference};

fn amd64() -> Image {
    Image::docker("linux/amd64").layer(1, 2_000).layer(3, 500).build()
}

fn arm64() -> Image {
    Image::docker("linux/arm64").layer(2, 3_000).layer(3, 500).build()
}

/// Reads the sources and pushes the list of them.
async fn compose(engine: &Arc<Engine>, sources: &[String], target: &str) -> (Manifest, ImageReport) {
    let cancel = CancellationToken::new();
    let composer = engine.composer(&cancel);
    let mut composition = Composition::default();
    for source in sources {
        composition.add(composer.read(&reference(source)).await.unwrap().parts);
    }
    let list = composition.list().unwrap();
    let report = composer.push(&list, &composition.manifests, &reference(target)).await;
    (list, report)
}

/// The repository `app` of one registry, with a tag for each architecture.
async fn tags_of_one_repository() -> (FakeRegistry, [String; 2], String) {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "amd64", &amd64());
    registry.seed("app", "arm64", &arm64());
    let name = |tag: &str| format!("{}/app:{tag}", registry.host());
    let names = ([name("amd64"), name("arm64")], name("multi"));
    (registry, names.0, names.1)
}

#[tokio::test]
async fn tags_of_one_repository_are_read_once_and_only_the_list_is_written() {
    let (registry, sources, target) = tags_of_one_repository().await;

    let (list, report) = compose(&engine(), &sources, &target).await;

    assert_eq!((report.outcome, report.error), (ImageOutcome::Copied, None));
    let summary = registry.summary();
    assert_eq!(registry.count(&Method::GET, Endpoint::Manifest), 2, "{summary}");
    assert_eq!(registry.count(&Method::GET, Endpoint::Blob), 2, "the configs: {summary}");
    assert_eq!(registry.count(&Method::HEAD, Endpoint::Manifest), 3, "the tag, and both images: {summary}");
    assert_eq!(registry.count(&Method::PUT, Endpoint::Manifest), 1, "{summary}");
    assert_eq!(registry.requests().len(), 8, "{summary}");
    assert_eq!(registry.manifest("app", "multi").unwrap().bytes, list.bytes());
    registry.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn a_list_that_is_in_place_is_not_written_again() {
    let (registry, sources, target) = tags_of_one_repository().await;
    compose(&engine(), &sources, &target).await;
    registry.clear_requests();

    let (_, report) = compose(&engine(), &sources, &target).await;

    assert_eq!(report.outcome, ImageOutcome::Unchanged);
    assert_eq!(registry.count(&Method::HEAD, Endpoint::Manifest), 1, "{}", registry.summary());
    assert_eq!(registry.count(&Method::PUT, Endpoint::Manifest), 0, "{}", registry.summary());
}

#[tokio::test]
async fn images_of_other_repositories_are_mounted() {
    let registry = FakeRegistry::start().await;
    registry.seed("build/amd64", "1", &amd64());
    registry.seed("build/arm64", "1", &arm64());
    let name = |name: &str| format!("{}/{name}", registry.host());

    let (_, report) = compose(&engine(), &[name("build/amd64:1"), name("build/arm64:1")], &name("app:multi")).await;

    assert_eq!(report.error, None);
    assert_eq!((report.blobs.mounted, report.blobs.copied, report.bytes), (5, 0, 0), "three layers, two configs");
    assert_eq!(registry.count(&Method::GET, Endpoint::Blob), 2, "the configs: {}", registry.summary());
    assert_eq!(registry.count(&Method::GET, Endpoint::Manifest), 2, "each read once: {}", registry.summary());
    registry.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn images_of_other_registries_are_copied_byte_for_byte_before_the_list_is_written() {
    let (one, other, target) = (FakeRegistry::start().await, FakeRegistry::start().await, FakeRegistry::start().await);
    one.seed("app", "amd64", &amd64());
    other.seed("team/app", "arm64", &arm64());
    let sources = [format!("{}/app:amd64", one.host()), format!("{}/team/app:arm64", other.host())];

    let (list, report) = compose(&engine(), &sources, &format!("{}/app:multi", target.host())).await;

    assert_eq!((report.outcome, report.error), (ImageOutcome::Copied, None));
    assert_eq!((report.blobs.copied, report.bytes), (5, amd64_and_arm64_bytes()), "what both have is sent once");
    for (registry, image) in [(&one, amd64()), (&other, arm64())] {
        assert_eq!(registry.count(&Method::GET, Endpoint::Manifest), 1, "{}", registry.summary());
        assert_eq!(target.manifest("app", &image.digest()).unwrap(), image.root);
    }
    let puts: Vec<String> = target
        .requests()
        .into_iter()
        .filter(|request| request.method == Method::PUT && request.endpoint == Endpoint::Manifest)
        .filter_map(|request| request.reference)
        .collect();
    assert_eq!(puts.len(), 3);
    assert_eq!(puts.last().map(String::as_str), Some("multi"), "straight by tag, and last: {puts:?}");
    assert_eq!(target.manifest("app", "multi").unwrap().digest(), list.digest().to_string());
    target.check_whole("app", "multi").unwrap();
}

fn amd64_and_arm64_bytes() -> u64 {
    let mut blobs: Vec<(String, usize)> = [amd64(), arm64()]
        .iter()
        .flat_map(|i| i.blobs().map(|b| (b.digest(), b.bytes.len())).collect::<Vec<_>>())
        .collect();
    blobs.sort();
    blobs.dedup();
    blobs.iter().map(|(_, size)| *size as u64).sum()
}

#[tokio::test]
async fn a_list_contributes_its_entries_with_platforms_annotations_and_lists_inside() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let list = Image::oci_index([
        Image::oci("linux/arm/v7").layer(1, 100).build(),
        Image::oci_index([Image::oci("linux/s390x").layer(2, 100).build()]),
    ]);
    source.seed("app", "several", &list);
    source.seed("app", "amd64", &Image::oci("linux/amd64").layer(3, 100).build());
    let sources = ["several", "amd64"].map(|tag| format!("{}/app:{tag}", source.host()));

    let (composed, report) = compose(&engine(), &sources, &format!("{}/app:multi", target.host())).await;

    assert_eq!(report.error, None);
    let digests: Vec<String> = composed.children().map(|child| child.digest.to_string()).collect();
    assert_eq!(digests[..2], [list.children[0].digest(), list.children[1].digest()]);
    assert_eq!(composed.children().next().unwrap().platform.as_ref().unwrap().to_string(), "linux/arm/v7");
    assert_eq!(report.sources.len(), 2, "what was named, once each");
    target.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn a_failure_in_the_middle_leaves_the_old_tag() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "amd64", &amd64());
    source.seed("app", "arm64", &arm64());
    let sources = ["amd64", "arm64"].map(|tag| format!("{}/app:{tag}", source.host()));
    let layer = arm64().blobs[1].digest();
    let faults = [
        Fault::on(Method::PUT, Endpoint::Upload).reference(&layer),
        Fault::on(Method::PUT, Endpoint::Manifest).reference(&arm64().digest()),
        Fault::on(Method::PUT, Endpoint::Manifest).reference("multi"),
    ];
    for fault in faults {
        let old = target.seed("app", "multi", &Image::oci("linux/amd64").layer(9, 10).build());
        target.fault(fault, Effect::status(403));

        let (_, report) = compose(&engine(), &sources, &format!("{}/app:multi", target.host())).await;

        assert_eq!(report.outcome, ImageOutcome::Failed);
        let error = report.error.unwrap();
        assert!(error.contains("403"), "{error}");
        assert_eq!(target.manifest("app", "multi").unwrap().digest(), old);
        target.clear_faults();
        assert_eq!(target.incomplete_tags(), Vec::<String>::new());
    }
    let (_, report) = compose(&engine(), &sources, &format!("{}/app:multi", target.host())).await;
    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    target.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn an_image_that_the_registry_lost_although_it_said_otherwise_is_brought_again() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "amd64", &amd64());
    source.seed("app", "arm64", &arm64());
    let sources = ["amd64", "arm64"].map(|tag| format!("{}/app:{tag}", source.host()));
    let answer = format!(
        r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"unknown","detail":{{"digest":"{}"}}}}]}}"#,
        arm64().digest()
    );
    let head = Fault::on(Method::HEAD, Endpoint::Manifest).reference(&arm64().digest());
    target.fault(head.times(1), Effect::header("docker-content-digest", &arm64().digest()));
    target.fault(
        Fault::on(Method::PUT, Endpoint::Manifest).reference("multi").times(1),
        Effect::Status { code: 400, headers: Vec::new(), body: answer },
    );

    let (_, report) = compose(&engine(), &sources, &format!("{}/app:multi", target.host())).await;

    assert_eq!((report.outcome, report.error), (ImageOutcome::Copied, None));
    let puts = target.requests().into_iter().filter(|request| {
        request.method == Method::PUT && request.reference.as_deref() == Some(arm64().digest().as_str())
    });
    assert_eq!(puts.count(), 2, "{}", target.summary());
    target.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn what_cannot_be_listed_is_told_when_it_is_read() {
    let registry = FakeRegistry::start().await;
    let schema_1 = Effect::Body {
        content_type: "application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned(),
        bytes: r#"{"schemaVersion":1}"#.into(),
    };
    registry.fault(Fault::on(Method::GET, Endpoint::Manifest).reference("old"), schema_1);
    let (engine, cancel) = (engine(), CancellationToken::new());
    let composer = engine.composer(&cancel);
    let refused = async |at: &str| {
        composer.read(&reference(&format!("{}/app{at}", registry.host()))).await.unwrap_err().to_string()
    };
    let old = refused(":old").await;
    assert!(old.contains("Docker schema 1 manifest"), "{old}");
    assert!(refused(":none").await.ends_with("not found"));
}
