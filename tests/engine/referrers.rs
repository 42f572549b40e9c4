//! Signatures and what else refers to an image: found, brought before the tag moves, and listed at the target.

use std::sync::Arc;

use regferry::events::ImageOutcome;
use regferry::transfer::{ArtifactTypes, Mode, PlatformMode, Platforms, Referrers, Rule};
use testkit::content::{Document, hello_world};
use testkit::{Endpoint, FakeRegistry, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, rule, run};

fn mirror(source: &FakeRegistry, target: &FakeRegistry, referrers: Referrers) -> Arc<Rule> {
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);
    Arc::new(Rule { referrers, ..(*rule).clone() })
}

fn signature(of: &Image, kind: &str, seed: u64) -> Image {
    Image::artifact(kind).layer(seed, 40).subject(of).build()
}

/// A registry with or without the referrers API.
async fn registry(with_api: bool) -> FakeRegistry {
    let builder = FakeRegistry::builder();
    if with_api { builder.with_referrers().start().await } else { builder.start().await }
}

/// Hangs something on an image, as a client that follows the spec does.
fn hang(registry: &FakeRegistry, with_api: bool, on: &Image, what: &[&Image]) {
    what.iter().for_each(|one| drop(registry.seed_untagged("app", one)));
    if !with_api {
        let tag = on.digest().replacen(':', "-", 1);
        registry.seed_document("app", &tag, &Document::referrers(what.iter().map(|one| &one.root)));
    }
}

#[tokio::test]
async fn what_refers_to_an_image_and_to_its_children_comes_along_whatever_api_the_sides_have() {
    for (there, here) in [(true, true), (true, false), (false, true), (false, false)] {
        let (source, target) = (registry(there).await, registry(here).await);
        let image = hello_world();
        source.seed("app", "v1", &image);
        let (of_list, of_child) = (signature(&image, "text/sig", 1), signature(&image.children[1], "text/sbom", 2));
        let of_sbom = signature(&of_child, "text/sig", 3);
        hang(&source, there, &image, &[&of_list]);
        hang(&source, there, &image.children[1], &[&of_child]);
        hang(&source, there, &of_child, &[&of_sbom]);
        let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));

        let report = run(&engine, &rule).await;

        assert_eq!(failures(&report), Vec::<String>::new(), "{there} {here}");
        assert_eq!(report.images[0].referrers, 3, "{there} {here}");
        for one in [&of_list, &of_child, &of_sbom] {
            assert_eq!(target.check_whole("app", &one.digest()), Ok(()), "{there} {here}");
        }
        if !here {
            let index = target.manifest("app", &image.digest().replacen(':', "-", 1)).unwrap();
            assert_eq!(index.parts().unwrap().manifests[0].digest, of_list.digest());
        }
        target.clear_requests();
        let again = run(&engine, &rule).await;
        assert_eq!(again.images[0].outcome, ImageOutcome::Unchanged, "{there} {here}");
        assert!(target.requests().iter().all(|r| r.method == Method::GET || r.method == Method::HEAD));
    }
}

#[tokio::test]
async fn a_signature_is_there_before_the_tag_points_at_the_image() {
    let (source, target) = (registry(true).await, registry(true).await);
    let image = hello_world();
    source.seed("app", "v1", &image);
    let signature = signature(&image, "text/sig", 1);
    hang(&source, true, &image, &[&signature]);

    run(&engine(), &mirror(&source, &target, Referrers::All)).await;

    let puts: Vec<String> = target
        .requests()
        .into_iter()
        .filter(|r| r.method == Method::PUT && r.endpoint == Endpoint::Manifest)
        .filter_map(|r| r.reference)
        .collect();
    let place = |reference: &str| puts.iter().position(|put| put == reference).unwrap();
    assert!(place(&signature.digest()) < place("v1"), "{puts:?}");
}

#[tokio::test]
async fn an_unchanged_image_that_was_signed_since_gets_its_signature() {
    let (source, target) = (registry(true).await, registry(false).await);
    let image = hello_world();
    source.seed("app", "v1", &image);
    let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));
    run(&engine, &rule).await;
    let signature = signature(&image, "text/sig", 1);
    hang(&source, true, &image, &[&signature]);

    let report = run(&engine, &rule).await;

    assert_eq!((report.images[0].outcome, report.images[0].referrers), (ImageOutcome::Copied, 1));
    assert_eq!(target.check_whole("app", &signature.digest()), Ok(()));
}

#[tokio::test]
async fn cosigns_tags_come_along_and_a_signature_that_is_added_too() {
    let (source, target) = (registry(false).await, registry(false).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    let tag = format!("{}.sig", image.digest().replacen(':', "-", 1));
    source.seed("app", &tag, &Image::artifact("text/one").layer(2, 10).build());
    let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));

    let first = run(&engine, &rule).await;
    assert_eq!((failures(&first), first.images.len()), (vec![], 1), "a signature is no image of its own");
    let more = Image::artifact("text/one").layer(2, 10).layer(3, 10).build();
    source.seed("app", &tag, &more);
    let second = run(&engine, &rule).await;

    assert_eq!(second.images[0].outcome, ImageOutcome::Copied);
    assert_eq!(target.manifest("app", &tag).unwrap().digest(), more.digest());
}

#[tokio::test]
async fn unchanged_and_unsigned_costs_nothing_more_without_the_api() {
    let (source, target) = (registry(false).await, registry(false).await);
    source.seed("app", "v1", &hello_world());
    let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));
    run(&engine, &rule).await;
    source.clear_requests();
    target.clear_requests();

    run(&engine, &rule).await;

    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1", "that there is no API is known");
    assert_eq!(target.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn unchanged_and_signed_costs_a_question_a_document_at_the_source_alone() {
    let (source, target) = (registry(true).await, registry(true).await);
    let image = hello_world();
    source.seed("app", "v1", &image);
    let signature = signature(&image, "text/sig", 1);
    hang(&source, true, &image, &[&signature]);
    let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));
    run(&engine, &rule).await;
    run(&engine, &rule).await;
    source.clear_requests();
    target.clear_requests();

    run(&engine, &rule).await;

    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 1, GET referrers 5", "a list, three images, a signature");
    assert_eq!(target.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn only_the_wanted_types_come_along() {
    let (source, target) = (registry(true).await, registry(true).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    let (sbom, other) = (signature(&image, "application/spdx+json", 1), signature(&image, "text/x", 2));
    hang(&source, true, &image, &[&sbom, &other]);
    let tag = format!("{}.sig", image.digest().replacen(':', "-", 1));
    source.seed("app", &tag, &Image::artifact("text/one").layer(2, 10).build());

    let types = ArtifactTypes::new(&["application/spdx*".to_owned()]).unwrap();
    let report = run(&engine(), &mirror(&source, &target, Referrers::OfTypes(types))).await;

    assert_eq!((failures(&report), report.images[0].referrers), (vec![], 1));
    assert_eq!(target.check_whole("app", &sbom.digest()), Ok(()));
    assert!(target.manifest("app", &other.digest()).is_none() && target.manifest("app", &tag).is_none());
}

#[tokio::test]
async fn referrers_that_refer_to_each_other_in_a_circle_end() {
    let (source, target) = (registry(false).await, registry(false).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    let (a, b) = (signature(&image, "text/a", 1), signature(&image, "text/b", 2));
    // Nobody can make two documents that name each other's digest; an index under a tag can say so.
    hang(&source, false, &image, &[&a]);
    hang(&source, false, &a, &[&b]);
    hang(&source, false, &b, &[&a, &b]);

    let report = run(&engine(), &mirror(&source, &target, Referrers::All)).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.check_whole("app", &b.digest()), Ok(()));
}

#[tokio::test]
async fn other_entries_of_the_targets_list_stay() {
    let (source, target) = (registry(true).await, registry(false).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    target.seed("app", "v1", &image);
    let (ours, theirs) = (signature(&image, "text/a", 1), signature(&image, "text/b", 2));
    hang(&source, true, &image, &[&ours]);
    hang(&target, false, &image, &[&theirs]);

    run(&engine(), &mirror(&source, &target, Referrers::All)).await;

    let index = target.manifest("app", &image.digest().replacen(':', "-", 1)).unwrap();
    let listed: Vec<String> = index.parts().unwrap().manifests.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(listed, [theirs.digest(), ours.digest()]);
}

#[tokio::test]
async fn a_plan_tells_of_referrers_and_brings_none() {
    let (source, target) = (registry(true).await, registry(true).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    target.seed("app", "v1", &image);
    hang(&source, true, &image, &[&signature(&image, "text/a", 1)]);

    let rule = mirror(&source, &target, Referrers::All);
    let plan = engine().run(&rule, Mode::Plan, &CancellationToken::new()).await;

    assert_eq!((plan.images[0].outcome, plan.images[0].referrers), (ImageOutcome::Copied, 1));
    assert!(target.requests().iter().all(|r| r.method == Method::GET || r.method == Method::HEAD));
}

#[tokio::test]
async fn without_the_key_no_referrer_is_looked_for() {
    let (source, target) = (registry(true).await, registry(true).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    hang(&source, true, &image, &[&signature(&image, "text/a", 1)]);
    run(&engine(), &mirror(&source, &target, Referrers::None)).await;
    assert_eq!(source.count(&Method::GET, Endpoint::Referrers), 0);
}

#[tokio::test]
async fn an_image_that_went_with_its_signatures_comes_back_with_them() {
    for with_api in [true, false] {
        let (source, target) = (registry(with_api).await, registry(with_api).await);
        let image = Image::oci("linux/amd64").layer(1, 10).build();
        source.seed("app", "v1", &image);
        let signature = signature(&image, "text/sig", 1);
        hang(&source, with_api, &image, &[&signature]);
        let tags = [".sig", ""].map(|suffix| format!("{}{suffix}", image.digest().replacen(':', "-", 1)));
        let by_tag = Image::artifact("text/one").layer(2, 10).build();
        source.seed("app", &tags[0], &by_tag);
        let (engine, rule) = (engine(), mirror(&source, &target, Referrers::All));
        for _ in 0..2 {
            assert_eq!(failures(&run(&engine, &rule).await), Vec::<String>::new());
        }
        for gone in ["v1", &image.digest(), &signature.digest(), &tags[0], &tags[1], &by_tag.digest()] {
            target.remove_manifest("app", gone);
        }

        let report = run(&engine, &rule).await;

        assert_eq!((report.images[0].outcome, report.images[0].referrers), (ImageOutcome::Copied, 2), "{with_api}");
        assert_eq!(target.check_whole("app", &signature.digest()), Ok(()), "{with_api}");
        assert_eq!(target.check_whole("app", &tags[0]), Ok(()), "{with_api}");
    }
}

#[tokio::test]
async fn what_refers_to_images_that_are_left_out_of_a_list_stays_away() {
    for with_api in [true, false] {
        let (source, target) = (registry(with_api).await, FakeRegistry::builder().sparse_lists().start().await);
        let image = hello_world();
        source.seed("app", "v1", &image);
        let (wanted, unwanted) =
            (signature(&image.children[0], "text/sig", 1), signature(&image.children[2], "text/sig", 2));
        hang(&source, with_api, &image.children[0], &[&wanted]);
        hang(&source, with_api, &image.children[2], &[&unwanted]);
        let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Sparse).unwrap();
        let rule = Rule { platforms: Some(platforms), ..(*mirror(&source, &target, Referrers::All)).clone() };
        let (engine, rule) = (engine(), Arc::new(rule));

        for outcome in [ImageOutcome::Copied, ImageOutcome::Unchanged] {
            let report = run(&engine, &rule).await;
            assert_eq!((failures(&report), report.images[0].outcome), (vec![], outcome), "{with_api}");
        }

        assert_eq!(target.check_whole("app", &wanted.digest()), Ok(()), "{with_api}");
        assert!(target.manifest("app", &unwanted.digest()).is_none(), "{with_api}");
        assert_eq!(target.tags("app"), [image.children[0].digest().replacen(':', "-", 1), "v1".to_owned()]);
    }
}

#[tokio::test]
async fn without_overwriting_a_signature_that_the_target_has_of_its_own_stays() {
    let (source, target) = (registry(false).await, registry(false).await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    target.seed("app", "v1", &image);
    let tag = format!("{}.sig", image.digest().replacen(':', "-", 1));
    let (theirs, own) =
        (Image::artifact("text/one").layer(2, 10).build(), Image::artifact("text/one").layer(3, 10).build());
    source.seed("app", &tag, &theirs);
    target.seed("app", &tag, &own);
    let rule = Rule { overwrite: false, ..(*mirror(&source, &target, Referrers::All)).clone() };

    let report = run(&engine(), &Arc::new(rule)).await;

    assert_eq!(target.manifest("app", &tag).unwrap().digest(), own.digest());
    assert_eq!((failures(&report), report.images[0].outcome), (vec![], ImageOutcome::Unchanged));
}
