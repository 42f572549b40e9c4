//! Some platforms of an image: one by itself, several as a smaller list.

use regferry::events::ImageOutcome;
use serde_json::Value;
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};

use super::{done, of, only, pair, run};
use crate::support::engine;

#[tokio::test]
async fn one_platform_of_a_list_is_written_by_itself_byte_for_byte() {
    let (source, target) = pair().await;
    let digest = source.seed("app", "v1", &hello_world());
    let arm64 = &hello_world().children[1];

    let imported = done(&engine(), &only(of(&source, &target, &["app:v1", "other:v1"]), &["linux/arm64"])).await;

    assert_eq!(imported.source_digest.to_string(), digest);
    assert_eq!(imported.digest.to_string(), arm64.digest());
    for repository in ["app", "other"] {
        assert_eq!(target.manifest(repository, "v1").as_ref(), Some(&arm64.root));
        assert_eq!(target.check_whole(repository, "v1"), Ok(()));
    }
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), arm64.blobs.len(), "{}", source.summary());
    assert_eq!(source.summary(), format!("HEAD manifest 1, GET manifest 2, GET blob {}", arm64.blobs.len()));
}

#[tokio::test]
async fn several_platforms_are_a_smaller_list_and_the_same_wherever_it_is_made() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    let wanted = ["linux/amd64", "linux/arm64"];

    let first = done(&engine(), &only(of(&source, &target, &["app:v1"]), &wanted)).await;

    let list: Value = serde_json::from_slice(&target.manifest("app", "v1").unwrap().bytes).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
    assert_ne!(first.digest, first.source_digest);
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    let again = done(&engine(), &only(of(&source, &target, &["app:v1", "b:v1"]), &wanted)).await;
    let outcomes: Vec<_> = again.images.iter().map(|image| image.outcome).collect();
    assert_eq!(outcomes, [ImageOutcome::Unchanged, ImageOutcome::Copied]);
    assert_eq!(again.digest, first.digest);
}

#[tokio::test]
async fn a_choice_of_all_that_there_is_keeps_the_sources_digest() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    let all = only(of(&source, &target, &["app:v1"]), &["linux/amd64", "linux/arm64", "windows/amd64"]);

    let imported = done(&engine(), &all).await;

    assert_eq!(imported.digest, imported.source_digest);
    assert_eq!(target.manifest("app", "v1"), Some(hello_world().root));
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_an_error_that_names_those_that_are_before_anyone_is_asked_at_the_target() {
    for wanted in [&["linux/s390x"][..], &["linux/amd64", "linux/s390x"]] {
        let (source, target) = pair().await;
        source.seed("app", "v1", &hello_world());

        let error = run(&engine(), &only(of(&source, &target, &["app:v1"]), wanted)).await.unwrap_err().to_string();

        assert!(error.contains("linux/s390x") && !error.contains("for linux/amd64"), "{error}");
        assert!(error.contains("there are: linux/amd64, linux/arm64/v8, windows"), "{error}");
        assert_eq!(target.summary(), "no requests");
    }
}

#[tokio::test]
async fn an_image_that_is_no_list_is_taken_as_it_is_if_it_is_for_the_platform() {
    let (source, target) = pair().await;
    let digest = source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 10).build());

    for wanted in [&["linux/amd64"][..], &["linux/amd64", "linux/amd64"]] {
        let imported = done(&engine(), &only(of(&source, &target, &["app:v1"]), wanted)).await;
        assert_eq!((imported.digest.to_string(), imported.source_digest.to_string()), (digest.clone(), digest.clone()));
    }
    for wanted in [&["linux/arm64"][..], &["linux/amd64", "linux/arm64"]] {
        let error = run(&engine(), &only(of(&source, &target, &["b:v1"]), wanted)).await.unwrap_err().to_string();
        assert!(error.contains("there are: linux/amd64"), "{error}");
    }
    assert_eq!(target.repositories(), ["app"]);
}

#[tokio::test]
async fn an_artifact_is_for_no_platform() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &Image::artifact("text/plain").layer(1, 10).build());

    for wanted in [&["linux/arm64"][..], &["linux/amd64", "linux/arm64"]] {
        let error = run(&engine(), &only(of(&source, &target, &["b:v1"]), wanted)).await.unwrap_err().to_string();
        assert!(error.contains("it names no platform"), "{error}");
    }
}

#[tokio::test]
async fn an_image_that_a_list_names_for_two_platforms_is_found_for_either() {
    let (source, target) = pair().await;
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    let other = Image { platform: Some("linux/arm64".into()), ..image.clone() };
    source.seed("app", "v1", &Image::oci_index([image.clone(), other]));

    for platform in ["linux/amd64", "linux/arm64"] {
        let imported = done(&engine(), &only(of(&source, &target, &["app:v1"]), &[platform])).await;
        assert_eq!(imported.digest.to_string(), image.digest());
    }
}

#[tokio::test]
async fn a_conflict_is_told_with_the_digest_that_would_be_written() {
    let (source, target) = pair().await;
    let list = source.seed("app", "v1", &hello_world());
    // What stands there is the whole list: not what is wanted.
    target.seed("app", "v1", &hello_world());
    target.clear_requests();

    let import = only(of(&source, &target, &["app:v1"]), &["linux/arm64"]);
    let error = run(&engine(), &import).await.unwrap_err().to_string();

    assert!(error.contains(&list) && error.contains(&hello_world().children[1].digest()), "{error}");
    assert_eq!(target.summary(), "HEAD manifest 1");
}

/// A tag that another writes while the image is on its way is not moved either.
#[tokio::test]
async fn a_tag_that_appears_meanwhile_is_not_moved_without_force() {
    for force in [false, true] {
        let (source, target) = pair().await;
        let digest = source.seed("app", "v1", &hello_world());
        let other = target.seed_untagged("app", &Image::oci("linux/amd64").layer(9, 10).build());
        // Seen to be free by the first request.
        let seen = target.after_requests(2);
        let writing = async {
            let _held = seen.await;
            target.retag("app", "v1", &other);
        };
        let import = regferry::transfer::Import { force, ..of(&source, &target, &["app:v1"]) };

        let engine = engine();
        let (imported, ()) = tokio::join!(run(&engine, &import), writing);

        let image = &imported.unwrap().images[0];
        assert_eq!(image.error.is_none(), force, "{:?}", image.error);
        let there = target.manifest("app", "v1").unwrap().digest();
        assert_eq!(there, if force { digest } else { other });
    }
}

#[tokio::test]
async fn the_choice_is_made_once_for_all_targets() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let import = only(of(&source, &target, &["a:v1", "b:v1", "c:v1"]), &["linux/amd64", "linux/arm64"]);

    done(&engine(), &import).await;

    // The list and its two images, each once.
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 3, "{}", source.summary());
}
