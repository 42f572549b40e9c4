//! Tags that a registry will not move.

use regferry::content::{Error, Push, Put};
use regferry::oci::TagOrDigest;
use regferry::registry::Access;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Immutability, Method};

use crate::support::{location, manifest, registries};

/// Puts another image under a tag that is there.
async fn moved(registry: &FakeRegistry) -> Result<Put, Error> {
    registry.seed("app", "1", &Image::oci("linux/amd64").build());
    let image = Image::oci("linux/arm64").build();
    registry.seed_untagged("app", &image);
    let remote = registries().remote(&location(registry.host(), "app"), Access::Push).unwrap();
    remote.put_manifest(&manifest(&image.root), &TagOrDigest::Tag("1".parse().unwrap())).await
}

#[tokio::test]
async fn the_refusal_to_move_a_tag_is_understood_and_not_tried_again() {
    for kind in [Immutability::LikeEcr, Immutability::LikeHarbor] {
        let registry = FakeRegistry::builder().immutable_tags(kind).start().await;
        let error = moved(&registry).await.unwrap_err();
        assert!(error.is_immutable(), "{error}");
        assert_eq!(registry.count(&Method::PUT, Endpoint::Manifest), 1);
    }
}

#[tokio::test]
async fn the_words_of_other_registries_are_known_too() {
    for (code, error, message) in [
        (400, "MANIFEST_INVALID", "cannot update tag 1. The repository has enabled tag immutability"),
        (405, "REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed on this registry, repository or image."),
        (409, "TAG_IMMUTABLE", "no"),
    ] {
        let registry = FakeRegistry::start().await;
        let body = format!(r#"{{"errors":[{{"code":"{error}","message":"{message}"}}]}}"#);
        registry.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::Status { code, headers: Vec::new(), body });
        assert!(moved(&registry).await.unwrap_err().is_immutable(), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_for_other_reasons_is_not_taken_for_it() {
    for (code, error) in [(400, "MANIFEST_INVALID"), (403, "DENIED"), (412, "PROJECTPOLICYVIOLATION")] {
        let registry = FakeRegistry::start().await;
        let body = format!(r#"{{"errors":[{{"code":"{error}","message":"no"}}]}}"#);
        registry.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::Status { code, headers: Vec::new(), body });
        assert!(!moved(&registry).await.unwrap_err().is_immutable(), "{error}");
    }
}
