//! From one real registry to another: what arrives is what was there, byte for byte.

use testkit::DistributionServer;
use testkit::client::{self, Place};
use testkit::content::every_kind;
use testkit::server::skopeo;

use crate::support::Ferry;

#[tokio::test]
async fn every_kind_of_image_is_copied_byte_for_byte() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    for (kind, image) in every_kind() {
        client::push(source.host(), kind, "v1", &image).await;
        let from = format!("{}/{kind}:v1", source.host());
        let to = format!("{}/{kind}:v1", target.host());

        let printed = Ferry::new(&["copy", &from, &to]).run().await.success();

        assert_eq!(printed, format!("{to} {}\n", image.digest()), "{kind}");
        let (there, here) = (Place::new(source.host(), kind, "v1"), Place::new(target.host(), kind, "v1"));
        assert_eq!(client::same_tree(there, here).await, Ok(()), "{kind}");
        for reference in [&from, &to] {
            let raw = Ferry::new(&["inspect", "--raw", reference]).run().await;
            assert_eq!((raw.code, raw.stdout.as_slice()), (Some(0), &*image.root.bytes), "{kind}: {}", raw.stderr);
            assert_eq!(skopeo_raw(reference).await, image.root.bytes, "{kind}");
        }
    }
}

#[tokio::test]
async fn skopeo_copies_from_the_target_and_keeps_every_digest() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    for (kind, image) in every_kind().into_iter().filter(|(kind, _)| skopeo_can_copy(kind)) {
        client::push(source.host(), kind, "v1", &image).await;
        let from = format!("{}/{kind}:v1", source.host());
        let to = format!("{}/{kind}:v1", target.host());
        Ferry::new(&["copy", &from, &to]).run().await.success();

        let again = format!("{}/again/{kind}:v1", source.host());
        skopeo_copy(&to, &again).await;

        let again = format!("again/{kind}");
        let (there, here) = (Place::new(target.host(), kind, "v1"), Place::new(source.host(), &again, "v1"));
        assert_eq!(client::same_tree(there, here).await, Ok(()), "{kind}");
    }
}

async fn skopeo_raw(reference: &str) -> Vec<u8> {
    skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")]).await
}

/// Skopeo 1.9 does not follow an index into an index, and wants the bytes of foreign layers.
fn skopeo_can_copy(kind: &str) -> bool {
    !matches!(kind, "nested-index" | "foreign")
}

async fn skopeo_copy(from: &str, to: &str) {
    let (from, to) = (format!("docker://{from}"), format!("docker://{to}"));
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&["copy", "--all", "--preserve-digests", plain[0], plain[1], &from, &to]).await;
}
