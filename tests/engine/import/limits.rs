//! What `az acr import` is known to refuse.

use regferry::transfer::Import;
use testkit::Image;
use testkit::content::{Descriptor, digest, media_type};

use super::{done, of, pair};
use crate::support::engine;

#[tokio::test]
async fn a_list_of_more_than_fifty_manifests_is_imported() {
    let (source, target) = pair().await;
    let image = |number: u64| Image::oci(format!("linux/arch{number}").as_str()).layer(number, 10).build();
    let list = Image::oci_index((0..120).map(image));
    source.seed("app", "v1", &list);

    done(&engine(), &of(&source, &target, &["app:v1"])).await;

    assert_eq!(target.manifest("app", "v1"), Some(list.root.clone()));
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

/// What is planned and announced is its size. `retag.rs` mounts such a layer, and the end-to-end tests move a gibibyte: to
/// move three would show nothing more.
#[tokio::test]
async fn a_layer_of_more_than_two_gibibytes_is_taken_for_what_it_is() {
    let (source, target) = pair().await;
    let large = Descriptor::new(media_type::OCI_LAYER, digest(b"three gibibytes"), 3 << 30);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer_elsewhere(large).build());

    let planned = done(&engine(), &Import { dry_run: true, ..of(&source, &target, &["app:v1"]) }).await;

    assert!(planned.images[0].bytes > 3 << 30, "{planned:?}");
}
