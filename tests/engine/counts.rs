//! Requests are what registries throttle and charge for: they are counted here, so that they cannot grow unseen.

use regferry::events::{ImageOutcome, RunOutcome};
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};

use crate::support::{copy, engine, failures, location, rule, run};

async fn two() -> (FakeRegistry, FakeRegistry) {
    (FakeRegistry::start().await, FakeRegistry::start().await)
}

fn clear(registries: [&FakeRegistry; 2]) {
    registries.into_iter().for_each(FakeRegistry::clear_requests);
}

#[tokio::test]
async fn an_unchanged_image_costs_one_head_on_each_side() {
    let (source, target) = two().await;
    source.seed("up/hello", "latest", &hello_world());
    let rule = rule("hello", location(source.host(), "up/hello"), location(target.host(), "hello"), &["latest"]);
    assert_eq!(run(&engine(), &rule).await.outcome, RunOutcome::Success);
    clear([&source, &target]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.images[0].outcome, ImageOutcome::Unchanged);
    assert_eq!(report.images[0].requests, 2);
    assert_eq!(source.summary(), "HEAD manifest 1");
    assert_eq!(target.summary(), "HEAD manifest 1");
}

#[tokio::test]
async fn unchanged_tags_behind_a_pattern_cost_one_listing_a_side_beside_their_heads() {
    let (source, target) = two().await;
    for tag in ["1", "2", "3"] {
        source.seed("app", tag, &Image::oci("linux/amd64").layer(tag.parse().unwrap(), 100).build());
    }
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);
    run(&engine(), &rule).await;
    clear([&source, &target]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.images.len(), 3);
    assert_eq!(source.summary(), "GET tags 1, HEAD manifest 3");
    assert_eq!(target.summary(), "GET tags 1, HEAD manifest 3");
}

#[tokio::test]
async fn a_new_image_is_fetched_once_document_by_document_and_blob_by_blob() {
    let (source, target) = two().await;
    let image = hello_world();
    source.seed("up/hello", "latest", &image);
    let rule = rule("hello", location(source.host(), "up/hello"), location(target.host(), "hello"), &["l*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    let blobs = distinct_blobs(&image);
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), image.documents().count(), "{}", source.summary());
    assert_eq!(source.count(&Method::HEAD, Endpoint::Manifest), 0, "the listing told that the tag is new");
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), blobs, "{}", source.summary());
    // Nothing is asked of a repository that does not exist yet; an upload is POST and PUT.
    assert_eq!(target.count(&Method::HEAD, Endpoint::Blob), 0, "{}", target.summary());
    assert_eq!(target.count(&Method::HEAD, Endpoint::Manifest), 0, "{}", target.summary());
    assert_eq!(target.count(&Method::POST, Endpoint::Upload), blobs);
    assert_eq!(target.count(&Method::PUT, Endpoint::Upload), blobs);
    assert_eq!(target.count(&Method::PATCH, Endpoint::Upload), 0);
    assert_eq!(target.count(&Method::PUT, Endpoint::Manifest), image.documents().count());
    assert!(target.check_whole("hello", "latest").is_ok());
}

#[tokio::test]
async fn a_layer_of_ten_repositories_is_fetched_once_uploaded_once_and_mounted_nine_times() {
    let (source, target) = two().await;
    let engine = engine();
    let mut shared = String::new();
    let rules: Vec<_> = (0..10)
        .map(|n| {
            let image = Image::oci("linux/amd64").layer(7, 50_000).layer(100 + n, 1_000).build();
            shared = image.blobs().find(|blob| blob.bytes.len() == 50_000).unwrap().digest();
            source.seed(&format!("up/{n}"), "v1", &image);
            rule(
                &format!("r{n}"),
                location(source.host(), &format!("up/{n}")),
                location(target.host(), &format!("down/{n}")),
                &["v1"],
            )
        })
        .collect();

    let knowledge = engine.knowledge();
    let reports = futures_util::future::join_all(rules.iter().map(|rule| run(&engine, rule))).await;
    drop(knowledge);

    assert!(reports.iter().all(|report| report.outcome == RunOutcome::Success));
    let of_the_shared = |registry: &FakeRegistry, method: Method, endpoint: Endpoint| {
        registry
            .requests()
            .iter()
            .filter(|r| r.method == method && r.endpoint == endpoint && r.reference.as_deref() == Some(&shared))
            .count()
    };
    assert_eq!(of_the_shared(&source, Method::GET, Endpoint::Blob), 1);
    assert_eq!(of_the_shared(&target, Method::PUT, Endpoint::Upload), 1);
    assert_eq!(target.requests().iter().filter(|r| r.is_mount() && r.reference.as_deref() == Some(&shared)).count(), 9);
    assert_eq!(reports.iter().map(|report| report.images[0].blobs.mounted).sum::<u64>(), 9);
    for n in 0..10 {
        assert!(target.check_whole(&format!("down/{n}"), "v1").is_ok());
    }
}

#[tokio::test]
async fn the_session_of_a_mount_that_was_not_done_is_used_for_the_upload() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::builder().without_mount().start().await);
    let image = Image::oci("linux/amd64").layer(7, 5_000).build();
    source.seed("a", "v1", &image);
    source.seed("b", "v1", &image);
    let engine = engine();
    let _knowledge = engine.knowledge();
    copy(&engine, &format!("{}/a:v1", source.host()), &format!("{}/a:v1", target.host())).await;
    target.clear_requests();

    copy(&engine, &format!("{}/b:v1", source.host()), &format!("{}/b:v1", target.host())).await;

    let blobs = distinct_blobs(&image);
    assert_eq!(target.count(&Method::POST, Endpoint::Upload), blobs, "{}", target.summary());
    assert_eq!(target.count(&Method::PUT, Endpoint::Upload), blobs, "{}", target.summary());
    assert_eq!(target.count(&Method::DELETE, Endpoint::Upload), 0, "{}", target.summary());
    assert_eq!(target.open_sessions(), 0);
}

#[tokio::test]
async fn a_blob_of_an_earlier_run_is_mounted_once_this_run_has_seen_it() {
    let (source, target) = two().await;
    let layer = |n| Image::oci("linux/amd64").layer(7, 50_000).layer(n, 100).build();
    source.seed("a", "v1", &layer(1));
    source.seed("a", "v2", &layer(2));
    source.seed("b", "v1", &layer(3));
    copy(&engine(), &format!("{}/a:v1", source.host()), &format!("{}/a:v1", target.host())).await;
    clear([&source, &target]);

    // Another process: it learns of the layer when it looks for it in `a`, and mounts it into `b`.
    let engine = engine();
    let _knowledge = engine.knowledge();
    copy(&engine, &format!("{}/a:v2", source.host()), &format!("{}/a:v2", target.host())).await;
    let second = copy(&engine, &format!("{}/b:v1", source.host()), &format!("{}/b:v1", target.host())).await;

    assert_eq!(second.blobs.mounted, 1);
    assert_eq!(second.bytes, second_image_own_bytes(&layer(3)));
}

fn second_image_own_bytes(image: &Image) -> u64 {
    image.blobs().map(|blob| blob.bytes.len() as u64).filter(|size| *size != 50_000).sum()
}

#[tokio::test]
async fn several_tags_of_one_image_copy_it_once() {
    let (source, target) = two().await;
    let image = hello_world();
    let digest = source.seed("app", "1.2.3", &image);
    for alias in ["1.2", "1", "latest"] {
        source.retag("app", alias, &digest);
    }
    let rule =
        rule("app", location(source.host(), "app"), location(target.host(), "app"), &["1.2.3", "1.2", "1", "latest"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), image.documents().count(), "{}", source.summary());
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), distinct_blobs(&image), "{}", source.summary());
    for tag in ["1.2.3", "1.2", "1", "latest"] {
        assert!(target.check_whole("app", tag).is_ok());
    }
}

#[tokio::test]
async fn a_copy_inside_one_registry_moves_no_bytes() {
    let registry = FakeRegistry::start().await;
    registry.seed("dev/app", "v1", &hello_world());
    registry.clear_requests();

    let report =
        copy(&engine(), &format!("{}/dev/app:v1", registry.host()), &format!("{}/prod/app:v1", registry.host())).await;

    assert_eq!((report.outcome, report.bytes), (ImageOutcome::Copied, 0), "{:?}", report.error);
    assert_eq!(registry.count(&Method::GET, Endpoint::Blob), 0);
    assert_eq!(registry.count(&Method::PUT, Endpoint::Upload), 0);
    assert!(registry.check_whole("prod/app", "v1").is_ok());
}

#[tokio::test]
async fn a_platform_that_the_target_has_is_not_fetched_again() {
    let (source, target) = two().await;
    let amd = || Image::oci("linux/amd64").layer(1, 1_000).build();
    source.seed("app", "v1", &Image::oci_index([amd(), Image::oci("linux/arm64").layer(2, 1_000).build()]));
    source.seed("app", "v2", &Image::oci_index([amd(), Image::oci("linux/arm64").layer(3, 1_000).build()]));
    copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;
    clear([&source, &target]);

    copy(&engine(), &format!("{}/app:v2", source.host()), &format!("{}/app:v2", target.host())).await;

    // A manifest that is fetched may be a pull that is counted: the list and the new platform, not the old one.
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 2, "{}", source.summary());
    assert!(target.check_whole("app", "v2").is_ok());
}

#[tokio::test]
async fn blobs_that_a_killed_run_has_left_are_not_sent_again() {
    let (source, target) = two().await;
    let image = Image::oci("linux/amd64").layer(1, 5_000).layer(2, 7_000).build();
    source.seed("app", "v1", &image);
    // No tag was written: the listing says that there is no such repository.
    for blob in image.blobs().filter(|blob| blob.bytes.len() == 5_000) {
        target.put_blob("app", blob.bytes.clone());
    }
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!((report.images[0].blobs.copied, report.images[0].blobs.present), (2, 1));
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), 2, "{}", source.summary());
    assert_eq!(target.count(&Method::PUT, Endpoint::Upload), 2, "{}", target.summary());
}

#[tokio::test]
async fn a_document_that_several_lists_name_is_fetched_and_put_once() {
    let (source, target) = two().await;
    let leaf = || Image::oci("linux/amd64").layer(1, 100).build();
    let left = Image::oci_index([leaf(), Image::oci("linux/arm64").layer(2, 100).build()]);
    let right = Image::oci_index([leaf(), Image::oci("linux/s390x").layer(3, 100).build()]);
    source.seed("app", "v1", &Image::oci_index([left, right, leaf()]));

    let report = copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 6, "{}", source.summary());
    assert_eq!(target.count(&Method::PUT, Endpoint::Manifest), 6, "{}", target.summary());
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_costs_a_get() {
    let (source, target) = (FakeRegistry::builder().digest_header(false).start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    run(&engine(), &rule).await;
    clear([&source, &target]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.images[0].outcome, ImageOutcome::Unchanged);
    assert_eq!(source.summary(), "HEAD manifest 1, GET manifest 1");
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let (source, target) = (FakeRegistry::builder().page_size(2).start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    for tag in ["a", "b", "c", "d", "e"] {
        source.seed("app", tag, &image);
    }
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.images.len(), 5);
    assert_eq!(source.count(&Method::GET, Endpoint::Tags), 3);
    assert_eq!(target.tags("app"), ["a", "b", "c", "d", "e"]);
}

fn distinct_blobs(image: &Image) -> usize {
    let mut digests: Vec<String> = image.blobs().map(testkit::Blob::digest).collect();
    digests.sort();
    digests.dedup();
    digests.len()
}
