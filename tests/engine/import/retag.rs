//! Inside of one registry no byte is sent.

use testkit::content::{Descriptor, digest, hello_world, media_type};
use testkit::{Endpoint, FakeRegistry, Image, Method};

use super::{done, of, only};
use crate::support::engine;

#[tokio::test]
async fn another_tag_in_the_same_repository_asks_for_no_blob_at_all() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", &hello_world());

    done(&engine(), &of(&registry, &registry, &["app:v2", "app:v3"])).await;

    assert_eq!(registry.tags("app"), ["v1", "v2", "v3"]);
    // The digest, what the two tags are now, and once more before each is written; the document, and where it goes.
    assert_eq!(registry.summary(), "HEAD manifest 5, GET manifest 2, PUT manifest 2");
}

#[tokio::test]
async fn one_platform_gets_a_tag_in_the_same_repository_without_a_blob() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", &hello_world());

    done(&engine(), &only(of(&registry, &registry, &["app:v1-arm64"]), &["linux/arm64"])).await;
    done(&engine(), &only(of(&registry, &registry, &["app:v1-linux"]), &["linux/arm64", "linux/amd64"])).await;

    assert_eq!(registry.tags("app"), ["v1", "v1-arm64", "v1-linux"]);
    assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
    let blobs = registry.requests().into_iter().filter(|r| matches!(r.endpoint, Endpoint::Blob | Endpoint::Upload));
    assert_eq!(blobs.count(), 0, "{}", registry.summary());
}

#[tokio::test]
async fn another_repository_of_the_same_registry_costs_a_mount_a_blob_and_nothing_else() {
    let registry = FakeRegistry::start().await;
    // More than two GiB, of which nobody reads a byte.
    let large = Descriptor::new(media_type::OCI_LAYER, digest(b"three gigabytes"), 3 << 30);
    let image = Image::oci("linux/amd64").layer(1, 10).layer_elsewhere(large.clone()).build();
    registry.put_blob_as("app", &large.digest, "stands for them");
    registry.seed("app", "v1", &image);

    let imported = done(&engine(), &of(&registry, &registry, &["team/app:v1"])).await;

    assert_eq!(imported.images[0].blobs.mounted, 3);
    let requests = registry.requests();
    let of_blobs: Vec<_> =
        requests.iter().filter(|r| matches!(r.endpoint, Endpoint::Blob | Endpoint::Upload)).collect();
    assert_eq!(of_blobs.len(), 3, "{}", registry.summary());
    assert!(of_blobs.iter().all(|request| request.is_mount()), "{of_blobs:?}");
    assert_eq!(registry.count(&Method::PUT, Endpoint::Manifest), 1);
}
