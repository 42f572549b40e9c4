//! Deleting tags and documents, and telling what cannot be deleted from what is not there.

use regferry::content::{Deleted, Error, Push};
use regferry::oci::Tag;
use regferry::registry::{Access, Remote};
use testkit::registry::Builder;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Immutability, Method, client};

use crate::support::{digest, location, registries};

fn image() -> Image {
    Image::oci("linux/amd64").build()
}

fn remote(host: &str) -> Remote {
    registries().remote(&location(host, "app"), Access::Push).unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// A registry with one image under two tags.
async fn tagged(builder: Builder) -> FakeRegistry {
    let registry = builder.start().await;
    let digest = registry.seed("app", "1", &image());
    registry.retag("app", "2", &digest);
    registry
}

/// What a registry does when it is told to delete tag `1`, which it answers so.
async fn deleted_as(code: u16, error: &str) -> Result<Deleted, Error> {
    let registry = tagged(FakeRegistry::builder()).await;
    let body = format!(r#"{{"errors":[{{"code":"{error}","message":"no"}}]}}"#);
    let body = if error.is_empty() { String::new() } else { body };
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::Status { code, headers: Vec::new(), body });
    remote(registry.host()).delete_tag(&tag("1")).await
}

#[tokio::test]
async fn a_tag_goes_alone_and_a_document_with_its_tags() {
    let registry = tagged(FakeRegistry::builder()).await;
    let remote = remote(registry.host());

    assert_eq!(remote.delete_tag(&tag("1")).await.unwrap(), Deleted::Done);
    assert_eq!(registry.tags("app"), ["2"]);
    assert_eq!(remote.delete_tag(&tag("1")).await.unwrap(), Deleted::Gone);

    assert_eq!(remote.delete_manifest(&digest(&image())).await.unwrap(), Deleted::Done);
    assert_eq!(registry.tags("app"), Vec::<String>::new());
    assert_eq!(remote.delete_manifest(&digest(&image())).await.unwrap(), Deleted::Gone);
}

#[tokio::test]
async fn what_a_registry_does_not_delete_stays_and_is_no_error() {
    for (builder, documents) in [
        (FakeRegistry::builder().keeps_tags(), Deleted::Done),
        (FakeRegistry::builder().without_delete(), Deleted::Unsupported),
    ] {
        let registry = tagged(builder).await;
        let remote = remote(registry.host());
        assert_eq!(remote.delete_tag(&tag("1")).await.unwrap(), Deleted::Unsupported);
        assert_eq!(registry.tags("app"), ["1", "2"]);
        assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 1);
        assert_eq!(remote.delete_manifest(&digest(&image())).await.unwrap(), documents);
    }
}

#[tokio::test]
async fn a_real_registry_is_understood_with_deletion_on_and_off() {
    for (server, documents, again) in [
        (DistributionServer::start(), Deleted::Done, Deleted::Gone),
        (DistributionServer::builder().without_delete().start(), Deleted::Unsupported, Deleted::Unsupported),
    ] {
        client::push(server.host(), "app", "1", &image()).await;
        let remote = remote(server.host());
        assert_eq!(remote.delete_tag(&tag("1")).await.unwrap(), Deleted::Unsupported);
        assert_eq!(remote.delete_manifest(&digest(&image())).await.unwrap(), documents);
        assert_eq!(remote.delete_manifest(&digest(&image())).await.unwrap(), again);
    }
}

#[tokio::test]
async fn every_word_for_deleted_gone_and_unsupported_is_known() {
    for code in [200, 202, 204] {
        assert_eq!(deleted_as(code, "").await.unwrap(), Deleted::Done, "{code}");
    }
    for error in ["", "MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "TAG_UNKNOWN"] {
        assert_eq!(deleted_as(404, error).await.unwrap(), Deleted::Gone, "{error}");
    }
    for (code, error) in [(405, ""), (405, "UNSUPPORTED"), (400, "UNSUPPORTED"), (400, "DIGEST_INVALID"), (400, "")] {
        assert_eq!(deleted_as(code, error).await.unwrap(), Deleted::Unsupported, "{code} {error}");
    }
}

#[tokio::test]
async fn other_refusals_to_delete_are_errors() {
    for (code, error) in [
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (409, "CONFLICT"),
        (400, "GOOGLE_MANIFEST_DANGLING_TAG"),
        (405, "REGISTRY_DISALLOWED_OPERATION"),
    ] {
        let refused = deleted_as(code, error).await.unwrap_err().to_string();
        assert!(refused.starts_with("deleting 1 from 127.0.0.1:"), "{refused}");
        assert!(refused.contains(&format!("{code} {error}")), "{refused}");
    }
}

#[tokio::test]
async fn an_immutable_tag_is_not_deleted_and_the_error_says_so() {
    let registry = tagged(FakeRegistry::builder().immutable_tags(Immutability::LikeHarbor)).await;
    assert!(remote(registry.host()).delete_tag(&tag("1")).await.unwrap_err().is_immutable());
    assert_eq!(registry.tags("app"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_tried_again_when_the_registry_is_in_trouble() {
    let registry = tagged(FakeRegistry::builder()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest).times(1), Effect::status(503));
    assert_eq!(remote(registry.host()).delete_tag(&tag("1")).await.unwrap(), Deleted::Done);
}

/// The scopes of the tokens that were asked for.
fn scopes(registry: &FakeRegistry) -> Vec<String> {
    registry.requests().iter().filter_map(|request| request.parameter("scope")).collect()
}

#[tokio::test]
async fn the_right_to_delete_is_asked_for_with_the_first_deletion_only() {
    let registry = tagged(FakeRegistry::builder().anonymous_tokens()).await;
    let remote = remote(registry.host());
    remote.find_blob(&blob()).await.unwrap();
    assert_eq!(scopes(&registry), ["repository:app:pull,push"]);

    assert_eq!(remote.delete_tag(&tag("1")).await.unwrap(), Deleted::Done);
    assert_eq!(remote.delete_tag(&tag("2")).await.unwrap(), Deleted::Done);
    assert_eq!(scopes(&registry), ["repository:app:pull,push", "repository:app:pull,push,delete"]);
}

#[tokio::test]
async fn who_may_push_may_delete_where_no_right_to_delete_is_known() {
    let registry = tagged(FakeRegistry::builder().anonymous_tokens().without_delete_scope()).await;
    assert_eq!(remote(registry.host()).delete_tag(&tag("1")).await.unwrap(), Deleted::Done);
    assert_eq!(scopes(&registry), ["repository:app:pull,push,delete", "repository:app:pull,push"]);
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_says_nothing_of_what_can_be_deleted() {
    for code in [400, 404, 405] {
        let registry = tagged(FakeRegistry::builder().anonymous_tokens()).await;
        registry.fault(Fault::on(Method::GET, Endpoint::Token), Effect::status(code));
        let error = remote(registry.host()).delete_tag(&tag("1")).await.unwrap_err();
        assert!(error.is_of_login() && error.to_string().contains("(logging in)"), "{error}");
    }
}

fn blob() -> regferry::oci::Descriptor {
    let json = serde_json::to_value(image().blobs[0].descriptor()).unwrap();
    serde_json::from_value(json).unwrap()
}
