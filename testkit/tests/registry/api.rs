//! It answers as distribution does.

use testkit::client::{self, Place};
use testkit::content::{self, every_kind, media_type};
use testkit::{FakeRegistry, Image};

use crate::wire::{ask, send};

const ACCEPT: (&str, &str) = (
    "accept",
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json;q=0.5",
);

#[tokio::test]
async fn every_kind_of_image_comes_back_as_it_was_pushed() {
    let registry = FakeRegistry::start().await;
    for (name, image) in every_kind() {
        client::push(registry.host(), "pushed", name, &image).await;
        registry.seed("seeded", name, &image);

        let pushed = Place::new(registry.host(), "pushed", name);
        let seeded = Place::new(registry.host(), "seeded", name);
        assert_eq!(client::same_tree(pushed, seeded).await, Ok(()), "{name}");
        assert_eq!(registry.manifest("pushed", name), Some(image.root), "{name}");
    }
    assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
    assert_eq!(registry.open_sessions(), 0);
}

#[tokio::test]
async fn a_manifest_is_found_only_by_who_accepts_its_type() {
    let registry = FakeRegistry::start().await;
    let digest = registry.seed("app", "1", &Image::oci("linux/amd64").build());

    let found = ask(registry.host(), "GET /v2/app/manifests/1", &[ACCEPT]).await;
    assert_eq!((found.status, found.header("content-type")), (200, Some(media_type::OCI_MANIFEST)));
    assert_eq!(found.header("docker-content-digest"), Some(digest.as_str()));

    let docker_only = [("accept", media_type::DOCKER_MANIFEST)];
    let missed = ask(registry.host(), "GET /v2/app/manifests/1", &docker_only).await;
    assert_eq!(missed.status, 404);
    assert!(missed.text().contains("MANIFEST_UNKNOWN"), "{}", missed.text());
    assert_eq!(ask(registry.host(), "GET /v2/app/manifests/1", &[("accept", "*/*")]).await.status, 404);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let registry = FakeRegistry::start().await;
    let blob = registry.put_blob("app", "12345");
    let line = format!("HEAD /v2/app/blobs/{blob}");

    let reply = ask(registry.host(), &line, &[]).await;

    assert_eq!((reply.status, reply.header("content-length")), (200, Some("5")));
    assert_eq!(reply.header("docker-content-digest"), Some(blob.as_str()));
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn a_manifest_with_unknown_parts_is_refused_and_the_parts_are_named() {
    let registry = FakeRegistry::start().await;
    let image = Image::docker("linux/amd64").layer(1, 10).build();
    let parts = image.root.parts().expect("an image");
    registry.put_blob("app", image.blobs[0].bytes.clone());

    let typed = [("content-type", media_type::DOCKER_MANIFEST)];
    let reply = send(registry.host(), "PUT /v2/app/manifests/1", &typed, &image.root.bytes).await;

    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("MANIFEST_BLOB_UNKNOWN"), "{}", reply.text());
    assert!(reply.text().contains(&parts.blobs[1].digest), "the layer is missing");
    assert!(!reply.text().contains(&parts.blobs[0].digest), "the config is there");
    assert!(registry.manifest("app", "1").is_none());
}

#[tokio::test]
async fn a_list_with_unknown_children_is_refused() {
    let registry = FakeRegistry::start().await;
    let list = content::hello_world();

    let typed = [("content-type", media_type::DOCKER_LIST)];
    let reply = send(registry.host(), "PUT /v2/app/manifests/1", &typed, &list.root.bytes).await;

    assert_eq!(reply.status, 400);
    assert!(reply.text().contains(&list.children[2].digest()), "{}", reply.text());
}

#[tokio::test]
async fn documents_that_contradict_themselves_are_refused() {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("linux/amd64").build();
    registry.seed_untagged("app", &image);
    let put = async |line: &str, content_type: &str, body: &[u8]| {
        send(registry.host(), line, &[("content-type", content_type)], body).await
    };

    let other_type = put("PUT /v2/app/manifests/1", media_type::OCI_INDEX, &image.root.bytes).await;
    assert!(other_type.text().contains("MANIFEST_INVALID"), "{}", other_type.text());

    let line = format!("PUT /v2/app/manifests/{}", content::digest(b"something else"));
    let other_digest = put(&line, media_type::OCI_MANIFEST, &image.root.bytes).await;
    assert!(other_digest.text().contains("DIGEST_INVALID"), "{}", other_digest.text());

    let huge = vec![b' '; (4 << 20) + 1];
    assert_eq!(put("PUT /v2/app/manifests/1", media_type::OCI_MANIFEST, &huge).await.status, 413);
}

#[tokio::test]
async fn a_blob_is_sent_in_parts() {
    let registry = FakeRegistry::start().await;
    let blob = registry.put_blob("app", "0123456789");
    let line = format!("GET /v2/app/blobs/{blob}");

    let part = ask(registry.host(), &line, &[("range", "bytes=4-")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "456789"));
    assert_eq!(part.header("content-range"), Some("bytes 4-9/10"));

    let beyond = ask(registry.host(), &line, &[("range", "bytes=10-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let registry = FakeRegistry::builder().page_size(2).start().await;
    for tag in ["c", "a", "b"] {
        registry.seed("app", tag, &Image::oci("linux/amd64").build());
    }

    let first = ask(registry.host(), "GET /v2/app/tags/list?n=1000", &[]).await;
    assert_eq!(first.text(), r#"{"name":"app","tags":["a","b"]}"#);
    assert_eq!(first.header("link"), Some(r#"</v2/app/tags/list?last=b&n=2>; rel="next""#));

    let second = ask(registry.host(), "GET /v2/app/tags/list?last=b&n=2", &[]).await;
    assert_eq!(second.text(), r#"{"name":"app","tags":["c"]}"#);
    assert_eq!(second.header("link"), None);

    let catalog = ask(registry.host(), "GET /v2/_catalog", &[]).await;
    assert_eq!(catalog.text(), r#"{"repositories":["app"]}"#);
}

#[tokio::test]
async fn a_repository_without_tags_lists_null_and_an_unknown_one_is_an_error() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "1", &Image::oci("linux/amd64").build());
    assert!(registry.remove_manifest("app", "1"));

    let untagged = ask(registry.host(), "GET /v2/app/tags/list", &[]).await;
    assert_eq!(untagged.text(), r#"{"name":"app","tags":null}"#);

    let unknown = ask(registry.host(), "GET /v2/other/tags/list", &[]).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("NAME_UNKNOWN"), "{}", unknown.text());
}

#[tokio::test]
async fn deleting_a_digest_takes_its_tags_along() {
    let registry = FakeRegistry::start().await;
    let digest = registry.seed("app", "1", &Image::oci("linux/amd64").build());
    registry.retag("app", "2", &digest);

    assert_eq!(ask(registry.host(), "DELETE /v2/app/manifests/1", &[]).await.status, 202);
    assert_eq!(registry.tags("app"), ["2"]);

    let line = format!("DELETE /v2/app/manifests/{digest}");
    assert_eq!(ask(registry.host(), &line, &[]).await.status, 202);
    assert_eq!(registry.tags("app"), Vec::<String>::new());
    assert_eq!(ask(registry.host(), &line, &[]).await.status, 404);
}

#[tokio::test]
async fn what_is_removed_behind_the_scenes_makes_its_tags_incomplete() {
    let registry = FakeRegistry::start().await;
    let list = content::hello_world();
    registry.seed("app", "1", &list);
    registry.seed("other", "1", &list);
    let layer = list.children[1].blobs[1].digest();

    assert!(registry.remove_blob("app", &layer));

    let reason = registry.check_whole("app", "1").expect_err("a layer is missing");
    assert!(reason.contains(&layer), "{reason}");
    assert_eq!(registry.incomplete_tags(), [format!("app:1: {reason}")]);
    assert_eq!(registry.check_whole("other", "1"), Ok(()));
}

#[tokio::test]
async fn content_is_found_under_the_digest_that_it_was_put_under() {
    let registry = FakeRegistry::start().await;
    let (sha512, other) = (content::sha512(b"blob"), format!("sha256:{}", "0".repeat(64)));
    registry.put_blob_as("app", &sha512, "blob");
    let document = Image::oci("linux/amd64").build().root;
    registry.put_document_as("app", &other, &document);

    assert_eq!(ask(registry.host(), &format!("GET /v2/app/blobs/{sha512}"), &[]).await.body, b"blob");
    let accept = [("accept", document.media_type.as_str())];
    let reply = ask(registry.host(), &format!("GET /v2/app/manifests/{other}"), &accept).await;
    assert_eq!(reply.header("docker-content-digest"), Some(other.as_str()));
    assert_eq!(reply.body, document.bytes);
}

#[tokio::test]
async fn the_digest_header_can_be_left_out() {
    let registry = FakeRegistry::builder().digest_header(false).start().await;
    registry.seed("app", "1", &Image::oci("linux/amd64").build());

    let reply = ask(registry.host(), "HEAD /v2/app/manifests/1", &[ACCEPT]).await;

    assert_eq!((reply.status, reply.header("docker-content-digest")), (200, None));
}

#[tokio::test]
async fn there_are_no_referrers_and_no_other_verbs() {
    let registry = FakeRegistry::start().await;
    assert_eq!(ask(registry.host(), "GET /v2/app/referrers/sha256:00", &[]).await.status, 404);
    assert_eq!(ask(registry.host(), "PATCH /v2/app/tags/list", &[]).await.status, 405);
    assert_eq!(ask(registry.host(), "GET /v2/", &[]).await.status, 200);
}
