//! All tags of an image.

use regferry::events::ImageOutcome;
use regferry::transfer::Import;
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};

use super::{done, of, pair, run};
use crate::support::{engine, location, reference};

/// A source whose image has three tags, beside another image and a signature.
async fn tagged() -> (FakeRegistry, FakeRegistry) {
    let (source, target) = pair().await;
    let digest = source.seed("app", "v1", &hello_world());
    source.retag("app", "latest", &digest);
    source.retag("app", "v1.2", &digest);
    let other = Image::oci("linux/amd64").layer(9, 10).build();
    source.seed("app", "v2", &other);
    source.seed("app", &format!("{}.sig", digest.replacen(':', "-", 1)), &other);
    (source, target)
}

fn all_in(import: Import, target: &FakeRegistry, repositories: &[&str]) -> Import {
    let all_tags_in = repositories.iter().map(|repository| location(target.host(), repository)).collect();
    Import { all_tags_in, ..import }
}

#[tokio::test]
async fn every_tag_of_the_digest_is_written_to_each_repository() {
    let (source, target) = tagged().await;

    let imported = done(&engine(), &all_in(of(&source, &target, &["a:named"]), &target, &["a", "b"])).await;

    assert_eq!(imported.images.len(), 7);
    assert_eq!(target.tags("a"), ["latest", "named", "v1", "v1.2"]);
    assert_eq!(target.tags("b"), ["latest", "v1", "v1.2"]);
    assert_eq!(target.incomplete_tags(), Vec::<String>::new());
    // Its own tag is asked for by the look-up alone, a signature's not at all.
    assert_eq!(source.count(&Method::HEAD, Endpoint::Manifest), 4, "{}", source.summary());
    assert_eq!(source.count(&Method::GET, Endpoint::Tags), 1);
}

#[tokio::test]
async fn the_tags_of_a_digest_are_found_too() {
    let (source, target) = tagged().await;
    let digest = hello_world().digest();
    let import = Import::new(reference(&format!("{}/app@{digest}", source.host())), vec![]);

    done(&engine(), &all_in(import, &target, &["a"])).await;

    assert_eq!(target.tags("a"), ["latest", "v1", "v1.2"]);
}

#[tokio::test]
async fn a_conflict_of_any_of_them_writes_none() {
    let (source, target) = tagged().await;
    target.seed("a", "v1.2", &Image::oci("linux/amd64").layer(8, 10).build());
    target.clear_requests();

    let error = run(&engine(), &all_in(of(&source, &target, &["b:v1"]), &target, &["a"])).await.unwrap_err();

    assert!(error.to_string().contains("/a:v1.2 exists as "), "{error}");
    assert_eq!(target.summary(), "HEAD manifest 4");
    assert_eq!(target.tags("a"), ["v1.2"]);
}

#[tokio::test]
async fn a_tag_that_moves_after_it_was_looked_up_is_still_one_of_them() {
    let (source, target) = tagged().await;
    let other = source.manifest("app", "v2").unwrap().digest();
    let resolved = source.after_requests(2);
    let moving = async {
        let _held = resolved.await;
        source.retag("app", "v1", &other);
    };
    let import = all_in(of(&source, &target, &[]), &target, &["a"]);

    let engine = engine();
    let (imported, ()) = tokio::join!(done(&engine, &import), moving);

    assert!(imported.images.iter().all(|image| image.outcome == ImageOutcome::Copied));
    assert_eq!(target.manifest("a", "v1"), Some(hello_world().root));
    assert_eq!(target.tags("a"), ["latest", "v1", "v1.2"]);
}

#[tokio::test]
async fn a_digest_without_tags_is_an_error_that_says_so() {
    let (source, target) = pair().await;
    let digest = source.seed_untagged("app", &hello_world());
    source.seed("app", "v2", &Image::oci("linux/amd64").layer(9, 10).build());
    let import = Import::new(reference(&format!("{}/app@{digest}", source.host())), vec![]);

    let error = run(&engine(), &all_in(import, &target, &["a"])).await.unwrap_err().to_string();

    assert!(error.contains(&format!("no tag of {}/app points at {digest}", source.host())), "{error}");
    assert_eq!(target.summary(), "no requests");
}
