//! Some platforms of an image: smaller lists, lists with gaps, and what either costs.

use std::sync::Arc;

use regferry::events::{ImageOutcome, RuleReport, RunOutcome};
use regferry::transfer::{Depth, Engine, Mode, PlatformMode, Platforms, Rule};
use serde_json::{Value, json};
use testkit::content::{Document, hello_world, media_type};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, rule, rule_for_image, run};

const AMD64: &[&str] = &["linux/amd64"];

fn with(rule: Arc<Rule>, wanted: &[&str], mode: PlatformMode) -> Arc<Rule> {
    let wanted = wanted.iter().map(|platform| platform.parse().unwrap()).collect();
    Arc::new(Rule { platforms: Some(Platforms::new(wanted, mode).unwrap()), ..(*rule).clone() })
}

fn mirror(source: &FakeRegistry, target: &FakeRegistry, wanted: &[&str], mode: PlatformMode) -> Arc<Rule> {
    with(rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]), wanted, mode)
}

async fn pair() -> (FakeRegistry, FakeRegistry) {
    (FakeRegistry::start().await, FakeRegistry::start().await)
}

fn list(registry: &FakeRegistry, tag: &str) -> Value {
    serde_json::from_slice(&registry.manifest("app", tag).unwrap().bytes).unwrap()
}

fn only(report: &RuleReport) -> ImageOutcome {
    assert_eq!(report.images.len(), 1, "{report:?}");
    report.images[0].outcome
}

fn platforms(report: &RuleReport) -> Vec<String> {
    report.images[0].platforms.iter().map(ToString::to_string).collect()
}

async fn mirrored(wanted: &[&str]) -> (FakeRegistry, FakeRegistry, Arc<Engine>, Arc<Rule>) {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    let (engine, rule) = (engine(), mirror(&source, &target, wanted, PlatformMode::Rewrite));
    let report = run(&engine, &rule).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    source.clear_requests();
    target.clear_requests();
    (source, target, engine, rule)
}

#[tokio::test]
async fn a_smaller_list_has_the_wanted_images_and_nothing_else_is_copied() {
    let (_source, target, _engine, _rule) = mirrored(AMD64).await;
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    let list = list(&target, "v1");
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(list["manifests"][0]["platform"]["architecture"], "amd64");
    assert_eq!(list["mediaType"], media_type::DOCKER_LIST);
    let windows = &hello_world().children[2];
    assert!(windows.blobs.iter().all(|blob| !target.has_blob("app", &blob.digest())));
}

#[tokio::test]
async fn a_smaller_list_is_the_same_wherever_it_is_made() {
    let (_, first, _, _) = mirrored(&["linux/amd64", "linux/arm64"]).await;
    let (_, second, _, _) = mirrored(&["linux/arm64", "linux/amd64"]).await;
    assert_eq!(first.manifest("app", "v1"), second.manifest("app", "v1"));
}

#[tokio::test]
async fn unchanged_with_memory_costs_two_heads() {
    let (source, target, engine, rule) = mirrored(AMD64).await;
    let report = run(&engine, &rule).await;
    assert_eq!(only(&report), ImageOutcome::Unchanged);
    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1");
    assert_eq!(target.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn unchanged_without_memory_costs_a_head_and_one_get_at_the_target() {
    let (source, target, _, rule) = mirrored(AMD64).await;
    let report = run(&engine(), &rule).await;
    assert_eq!(only(&report), ImageOutcome::Unchanged);
    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1");
    assert_eq!(target.summary(), "GET tags 1, GET manifest 1");
}

#[tokio::test]
async fn a_list_that_is_wanted_whole_keeps_its_digest() {
    let every = &["linux/amd64", "linux/arm64", "windows/amd64"];
    let (source, target, _, rule) = mirrored(every).await;
    assert_eq!(target.manifest("app", "v1").unwrap().digest(), hello_world().digest());
    let report = run(&engine(), &rule).await;
    assert_eq!(only(&report), ImageOutcome::Unchanged);
    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1", "the target's list is the source's");
}

#[tokio::test]
async fn another_choice_of_platforms_makes_another_list() {
    let (source, target, engine, rule) = mirrored(AMD64).await;
    let report = run(&engine, &with(rule, &["linux/amd64", "linux/arm64"], PlatformMode::Rewrite)).await;
    assert_eq!(only(&report), ImageOutcome::Copied);
    assert_eq!(platforms(&report), ["linux/amd64", "linux/arm64/v8"]);
    assert_eq!(list(&target, "v1")["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    drop(source);
}

#[tokio::test]
async fn a_list_that_was_mirrored_whole_becomes_smaller() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    target.seed("app", "v1", &hello_world());
    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Rewrite)).await;
    assert_eq!(only(&report), ImageOutcome::Copied);
    assert_eq!(list(&target, "v1")["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 0, "{}", source.summary());
}

#[tokio::test]
async fn a_platform_that_the_image_does_not_have_is_an_error_that_lists_those_there_are() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    for mode in [PlatformMode::Rewrite, PlatformMode::Sparse] {
        let report = run(&engine(), &mirror(&source, &target, &["linux/riscv64"], mode)).await;
        let told = failures(&report).join("\n");
        assert!(
            told.contains("no image for linux/riscv64; there are: linux/amd64, linux/arm64/v8, windows("),
            "{told}"
        );
    }
    assert!(target.repositories().is_empty());
}

#[tokio::test]
async fn a_platform_that_no_image_has_fails_the_rule_and_one_that_some_lack_is_a_warning() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    source.seed("app", "v2", &Image::oci_index([Image::oci("linux/amd64").build()]));
    let rule = mirror(&source, &target, &["linux/amd64", "linux/arm64"], PlatformMode::Rewrite);
    let report = run(&engine(), &rule).await;
    assert_eq!(report.outcome, RunOutcome::Success);
    let lacking = format!("linux/arm64 is missing in 1 of the images: {}/app:v2", source.host());
    assert!(report.warnings.contains(&lacking), "{:?}", report.warnings);

    let other = FakeRegistry::start().await;
    let rule = mirror(&source, &other, &["linux/amd64", "linux/amr64"], PlatformMode::Rewrite);
    let report = run(&engine(), &rule).await;
    assert_eq!(report.outcome, RunOutcome::Failure);
    assert!(report.error.unwrap().contains("no image for linux/amr64"));
}

#[tokio::test]
async fn a_single_image_of_another_platform_is_refused_and_a_wanted_one_is_taken_as_it_is() {
    let (source, target) = pair().await;
    let image = Image::oci("linux/amd64").layer(1, 100).build();
    source.seed("app", "v1", &image);
    let report = run(&engine(), &mirror(&source, &target, &["linux/arm64"], PlatformMode::Rewrite)).await;
    assert!(failures(&report)[0].contains("there are: linux/amd64"), "{:?}", failures(&report));
    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Rewrite)).await;
    assert_eq!(only(&report), ImageOutcome::Copied);
    assert_eq!(target.manifest("app", "v1").unwrap().digest(), image.digest());
}

#[tokio::test]
async fn an_attestation_follows_the_image_that_it_attests() {
    let (source, target) = pair().await;
    let images = [Image::oci("linux/amd64").layer(1, 50).build(), Image::oci("linux/arm64").layer(2, 50).build()];
    let attestations = [3, 4].map(|seed| Image::artifact("application/vnd.in-toto+json").layer(seed, 30).build());
    let mut manifests = Vec::new();
    for (image, (architecture, attestation)) in images.iter().zip(["amd64", "arm64"].into_iter().zip(&attestations)) {
        source.seed_untagged("app", image);
        source.seed_untagged("app", attestation);
        let mut of_image = serde_json::to_value(image.root.descriptor()).unwrap();
        of_image["platform"] = json!({"os": "linux", "architecture": architecture});
        let mut of_attestation = serde_json::to_value(attestation.root.descriptor()).unwrap();
        of_attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        of_attestation["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.digest(),
        });
        manifests.extend([of_image, of_attestation]);
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests, "annotations": {"a": "b"}});
    let bytes = serde_json::to_vec_pretty(&index).unwrap();
    source.seed_document("app", "v1", &Document { media_type: media_type::OCI_INDEX.to_owned(), bytes: bytes.into() });

    let report = run(&engine(), &mirror(&source, &target, &["linux/arm64"], PlatformMode::Rewrite)).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    let written = list(&target, "v1");
    let digests: Vec<&str> =
        written["manifests"].as_array().unwrap().iter().map(|m| m["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [images[1].digest(), attestations[1].digest()]);
    assert_eq!(written["annotations"]["a"], "b");
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_list_with_gaps_keeps_its_digest_where_the_registry_takes_it() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::builder().sparse_lists().start().await);
    source.seed("app", "v1", &hello_world());
    let (engine, rule) = (engine(), mirror(&source, &target, AMD64, PlatformMode::Sparse));
    let report = run(&engine, &rule).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(platforms(&report), AMD64, "those that are left out are not at the target");
    assert_eq!(target.manifest("app", "v1").unwrap().digest(), hello_world().digest());
    let [amd64, arm64] = [0, 1].map(|child| target.manifest("app", &hello_world().children[child].digest()));
    assert!(amd64.is_some() && arm64.is_none());
    assert_eq!(only(&run(&engine, &rule).await), ImageOutcome::Unchanged);
}

#[tokio::test]
async fn a_registry_that_takes_no_gaps_is_told_from_one_that_lost_something() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Sparse)).await;
    assert!(failures(&report)[0].contains("platform_mode = \"rewrite\""), "{:?}", failures(&report));
    assert!(target.tags("app").is_empty());
    let put =
        target.requests().iter().filter(|r| r.method == Method::PUT && r.reference.as_deref() == Some("v1")).count();
    assert_eq!(put, 1, "asked once");
}

#[tokio::test]
async fn a_nested_list_is_looked_into() {
    let (source, target) = pair().await;
    let inner = Image::oci_index([
        Image::oci("linux/arm/v6").layer(1, 9).build(),
        Image::oci("linux/amd64").layer(2, 9).build(),
    ]);
    source.seed("app", "v1", &Image::oci_index([Image::oci("linux/s390x").layer(3, 9).build(), inner]));
    let (engine, rule) = (engine(), mirror(&source, &target, AMD64, PlatformMode::Rewrite));
    let report = run(&engine, &rule).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    assert_eq!(only(&run(&engine, &rule).await), ImageOutcome::Unchanged);
}

#[tokio::test]
async fn a_smaller_list_is_made_again_when_the_target_lost_a_part_of_it() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    let lost = Fault::on(Method::PUT, Endpoint::Manifest).reference("v1").times(1);
    let blob = hello_world().children[0].blobs[0].digest();
    let body =
        json!({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown", "detail": blob}]}).to_string();
    target.fault(lost, Effect::Status { code: 400, headers: vec![], body });
    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Rewrite)).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn an_unchanged_image_that_is_no_list_costs_two_heads_with_memory() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 10).build());
    let (engine, rule) = (engine(), mirror(&source, &target, AMD64, PlatformMode::Rewrite));
    run(&engine, &rule).await;
    source.clear_requests();
    target.clear_requests();

    let report = run(&engine, &rule).await;

    assert_eq!(only(&report), ImageOutcome::Unchanged);
    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1");
    assert_eq!(target.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn an_image_without_a_tag_is_made_smaller_too() {
    let (source, target) = pair().await;
    let image = hello_world();
    source.seed("app", "v1", &image);
    let from = format!("{}/app@{}", source.host(), image.digest());
    let whole = rule_for_image("app", &from, location(target.host(), "app"), None);
    let (engine, rule) = (engine(), with(whole, AMD64, PlatformMode::Rewrite));

    let first = run(&engine, &rule).await;

    assert_eq!(failures(&first), Vec::<String>::new());
    let digest = first.images[0].digest.clone().unwrap().to_string();
    assert_ne!(digest, image.digest());
    assert!(first.images[0].target.to_string().ends_with(&digest), "{}", first.images[0].target);
    assert_eq!(target.check_whole("app", &digest), Ok(()));
    assert_eq!(only(&run(&engine, &rule).await), ImageOutcome::Unchanged);
    for mode in [Mode::Verify(Depth::Deep), Mode::Repair] {
        let report = engine.run(&rule, mode, &CancellationToken::new()).await;
        assert_eq!(only(&report), ImageOutcome::Unchanged, "{mode:?}: {report:?}");
    }
}

#[tokio::test]
async fn a_list_with_gaps_has_all_of_an_inner_list_that_names_a_wanted_platform() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::builder().sparse_lists().start().await);
    let [amd64, s390x] = ["linux/amd64", "linux/s390x"].map(|platform| Image::oci(platform).layer(1, 9).build());
    let inner = Image::oci_index([amd64]);
    let entry = |of: &Image, platform: &str| {
        let (os, architecture) = platform.split_once('/').unwrap();
        let mut entry = serde_json::to_value(of.root.descriptor()).unwrap();
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry
    };
    for image in [&inner, &s390x] {
        source.seed_untagged("app", image);
    }
    let root = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
        "manifests": [entry(&inner, "linux/amd64"), entry(&s390x, "linux/s390x")]});
    let bytes = serde_json::to_vec(&root).unwrap().into();
    source.seed_document("app", "v1", &Document { media_type: media_type::OCI_INDEX.to_owned(), bytes });

    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Sparse)).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.check_whole("app", &inner.digest()), Ok(()));
    assert!(target.manifest("app", &s390x.digest()).is_none());
}

#[tokio::test]
async fn a_blob_that_the_target_lost_is_sent_again_for_a_list_with_gaps_too() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::builder().sparse_lists().start().await);
    source.seed("app", "v1", &hello_world());
    let child = &hello_world().children[0];
    let blob = child.blobs[0].digest();
    let body =
        json!({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown", "detail": blob}]}).to_string();
    let lost = Fault::on(Method::PUT, Endpoint::Manifest).reference(&child.digest()).times(1);
    target.fault(lost, Effect::Status { code: 400, headers: vec![], body });

    let report = run(&engine(), &mirror(&source, &target, AMD64, PlatformMode::Sparse)).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.check_whole("app", &child.digest()), Ok(()));
}

#[tokio::test]
async fn lists_that_are_nested_without_end_are_not_followed() {
    let (source, target) = pair().await;
    let innermost = Image::oci_index([Image::oci("linux/amd64").layer(1, 9).build()]);
    let deep = (0..50).fold(innermost, |inner, _| Image::oci_index([inner]));
    source.seed("app", "v1", &deep);

    for mode in [PlatformMode::Rewrite, PlatformMode::Sparse] {
        let report = run(&engine(), &mirror(&source, &target, AMD64, mode)).await;
        assert!(failures(&report)[0].contains("nested deeper than 8"), "{:?}", failures(&report));
    }

    assert!(source.count(&Method::GET, Endpoint::Manifest) <= 20, "{}", source.summary());
}
