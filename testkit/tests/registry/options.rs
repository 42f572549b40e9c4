//! What some registries refuse, and others take.

use testkit::content::hello_world;
use testkit::{FakeRegistry, Image, Immutability};

use crate::wire::{Reply, ask, send};

async fn put(registry: &FakeRegistry, tag: &str, image: &Image) -> Reply {
    registry.seed_untagged("app", image);
    let line = format!("PUT /v2/app/manifests/{tag}");
    send(registry.host(), &line, &[("content-type", &image.root.media_type)], &image.root.bytes).await
}

#[tokio::test]
async fn a_tag_is_not_moved_where_tags_are_immutable() {
    let (old, new) = (Image::oci("linux/amd64").build(), Image::oci("linux/arm64").build());
    for (kind, moved, again) in [(Immutability::LikeEcr, 400, 201), (Immutability::LikeHarbor, 412, 412)] {
        let registry = FakeRegistry::builder().immutable_tags(kind).start().await;
        assert_eq!(put(&registry, "1", &old).await.status, 201);

        let refused = put(&registry, "1", &new).await;
        assert!(refused.status == moved && refused.text().contains("immutable"), "{}", refused.text());
        assert_eq!(put(&registry, "1", &old).await.status, again);
        assert_eq!(put(&registry, "2", &new).await.status, 201);
        assert_eq!(put(&registry, &new.digest(), &new).await.status, 201);
        assert_eq!(registry.manifest("app", "1"), Some(old.root.clone()));
    }
}

#[tokio::test]
async fn a_list_may_lack_children_where_lists_may_be_sparse() {
    let list = hello_world();
    for (registry, status) in [(FakeRegistry::builder(), 400), (FakeRegistry::builder().sparse_lists(), 201)] {
        let registry = registry.start().await;
        registry.seed_untagged("app", &list.children[0]);
        let type_of_list = [("content-type", list.root.media_type.as_str())];
        let put = send(registry.host(), "PUT /v2/app/manifests/1", &type_of_list, &list.root.bytes).await;
        assert_eq!(put.status, status);
    }
}

#[tokio::test]
async fn a_catalog_may_be_missing_or_a_secret() {
    let missing = FakeRegistry::builder().without_catalog().start().await;
    assert_eq!(ask(missing.host(), "GET /v2/_catalog", &[]).await.status, 404);
    let secret = FakeRegistry::builder().secret_catalog().start().await;
    assert_eq!(ask(secret.host(), "GET /v2/_catalog", &[]).await.status, 401);
}

#[tokio::test]
async fn a_right_to_delete_may_be_unknown() {
    let registry = FakeRegistry::builder().anonymous_tokens().without_delete_scope().start().await;
    assert_eq!(ask(registry.host(), "GET /token?scope=repository:a:pull,push,delete", &[]).await.status, 400);
    assert_eq!(ask(registry.host(), "GET /token?scope=repository:a:pull,push", &[]).await.status, 200);
}
