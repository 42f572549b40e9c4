//! Images that more than one test wants.

use bytes::Bytes;

use super::{Document, Image, Platform, media_type};

/// The manifest list of the README's demo: `hello-world` for linux/amd64, linux/arm64 and
/// windows/amd64 10.0.17763.1697.
#[must_use]
pub fn hello_world() -> Image {
    let windows = Platform::from("windows/amd64").os_version("10.0.17763.1697");
    Image::docker_list([
        Image::docker("linux/amd64").layer(1, 2_479).build(),
        Image::docker("linux/arm64/v8").layer(2, 3_208).build(),
        Image::docker(windows).layer(3, 118_203).layer(4, 1_153).build(),
    ])
}

/// One image of every kind that a registry may hold, with a name that is fit for a tag.
///
/// All but `foreign` are accepted by a registry as it comes; a foreign layer wants one that is told
/// to allow it.
#[must_use]
pub fn every_kind() -> Vec<(&'static str, Image)> {
    let oci = |platform: &str, seed| Image::oci(platform).layer(seed, 5_000).layer(99, 700).build();
    vec![
        ("docker", Image::docker("linux/amd64").layer(10, 20_000).layer(11, 1).build()),
        ("docker-list", hello_world()),
        ("oci", oci("linux/amd64", 20)),
        ("oci-index", Image::oci_index([oci("linux/amd64", 21), oci("linux/arm64", 22), oci("linux/s390x", 23)])),
        ("nested-index", nested_index()),
        ("without-media-type", Image::oci("linux/amd64").layer(40, 300).without_media_type().build()),
        ("no-layers", Image::oci("linux/amd64").build()),
        ("empty-layer", Image::docker("linux/amd64").layer_bytes(Bytes::new()).layer(50, 64).build()),
        ("artifact", Image::artifact("application/vnd.example.sbom").layer(60, 1_000).build()),
        ("bare-artifact", Image::artifact("application/vnd.example.marker").build()),
        ("foreign", foreign()),
    ]
}

/// An image of Docker's old schema 1. Its digest at a registry is that of what its signatures sign, and not the one that
/// its bytes have.
#[must_use]
pub fn schema_1() -> Image {
    let text = r#"{"schemaVersion":1,"name":"app","tag":"old","fsLayers":[],"history":[],"signatures":[]}"#;
    let root =
        Document { media_type: media_type::DOCKER_SCHEMA_1.to_owned(), bytes: Bytes::from_static(text.as_bytes()) };
    Image { root, children: Vec::new(), blobs: Vec::new(), platform: Some(Platform::from("linux/386")) }
}

fn nested_index() -> Image {
    let inner = Image::oci_index([
        Image::oci("linux/arm/v6").layer(30, 900).build(),
        Image::oci("linux/arm/v7").layer(31, 900).build(),
    ]);
    Image::oci_index([Image::oci("linux/amd64").layer(32, 900).build(), inner])
}

fn foreign() -> Image {
    let windows = Platform::from("windows/amd64").os_version("10.0.20348.2227");
    Image::docker(windows).foreign_layer("https://layers.example/nanoserver", 104_857_600).layer(70, 2_000).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_world_never_changes() {
        let expected = "sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be";
        assert_eq!(hello_world().digest(), expected, "a digest that moves breaks whoever wrote it down");
    }

    #[test]
    fn the_windows_child_carries_its_build() {
        let parts = hello_world().root.parts().expect("a list");
        let versions: Vec<_> = parts.manifests.iter().map(|child| child.platform.clone()?.os_version).collect();
        assert_eq!(versions, [None, None, Some("10.0.17763.1697".to_owned())]);
    }
}
