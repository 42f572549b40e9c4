//! Images as trees of bytes.
//!
//! An [`Image`] is what a registry stores and nothing else: documents and blobs, as bytes with a
//! media type. Everything is deterministic, so a digest may stand in an assertion, and no document
//! is canonical JSON: it is indented by three spaces, as Docker writes it, so that a client which
//! parses and writes a document again is caught by its digest.

mod build;
mod descriptor;
mod digest;
mod json;
pub mod media_type;
mod platform;
mod random;
mod referrers;
mod samples;

use bytes::Bytes;

pub use build::ImageBuilder;
pub use descriptor::{Descriptor, Parts};
pub use digest::{Sha256, digest, matches, sha512};
pub use platform::Platform;
pub(crate) use random::split_mix;
pub use random::{Repeated, pseudo_random};
pub use samples::{every_kind, hello_world, schema_1};

/// A manifest, or a list of manifests: the exact bytes and the media type they are stored under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What a registry sends as `Content-Type`.
    pub media_type: String,
    /// The JSON, never re-serialised.
    pub bytes: Bytes,
}

impl Document {
    /// The SHA-256 of the bytes, as `sha256:<hex>`.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The descriptor that a list or a config entry has for this document.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.bytes)
    }

    /// The children and blobs that this document names.
    ///
    /// # Errors
    /// If the bytes are no JSON object of that shape.
    pub fn parts(&self) -> Result<Parts, serde_json::Error> {
        Parts::of(&self.bytes)
    }
}

/// A config, a layer, or any other bytes that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What the manifest calls it; a registry does not know it.
    pub media_type: String,
    /// The content.
    pub bytes: Bytes,
}

impl Blob {
    /// The SHA-256 of the bytes, as `sha256:<hex>`.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The descriptor that a manifest has for this blob.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.bytes)
    }
}

/// An image, a list of images or an artifact, with everything it refers to.
///
/// ```
/// use testkit::Image;
///
/// let amd64 = Image::docker("linux/amd64").layer(1, 4096).layer(2, 100).build();
/// let arm64 = Image::docker("linux/arm64/v8").layer(3, 4096).build();
/// let list = Image::docker_list([amd64, arm64]);
///
/// assert_eq!(list.documents().count(), 3);
/// assert_eq!(list.blobs().count(), 5, "two configs, three layers");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The document that a tag points at.
    pub root: Document,
    /// The images of a list; empty for a plain image.
    pub children: Vec<Image>,
    /// The config and the layers of a plain image, in that order, without those that live
    /// elsewhere.
    pub blobs: Vec<Blob>,
    /// What a list that holds this image says of its platform.
    pub platform: Option<Platform>,
}

impl Image {
    /// A Docker schema 2 image; layers are added to the builder.
    pub fn docker(platform: impl Into<Platform>) -> ImageBuilder {
        ImageBuilder::docker(platform.into())
    }

    /// An OCI image; layers are added to the builder.
    pub fn oci(platform: impl Into<Platform>) -> ImageBuilder {
        ImageBuilder::oci(platform.into())
    }

    /// An OCI artifact: an image manifest with the empty config `{}`.
    pub fn artifact(artifact_type: &str) -> ImageBuilder {
        ImageBuilder::artifact(artifact_type)
    }

    /// A Docker manifest list of `children`.
    pub fn docker_list(children: impl IntoIterator<Item = Image>) -> Image {
        build::list(media_type::DOCKER_LIST, children)
    }

    /// An OCI image index of `children`, which may be indexes themselves.
    pub fn oci_index(children: impl IntoIterator<Item = Image>) -> Image {
        build::list(media_type::OCI_INDEX, children)
    }

    /// The digest of the root.
    #[must_use]
    pub fn digest(&self) -> String {
        self.root.digest()
    }

    /// Every document of the tree, children before what refers to them.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.postorder().into_iter().map(|image| &image.root)
    }

    /// Every blob of the tree; a blob that two images share comes twice.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.postorder().into_iter().flat_map(|image| &image.blobs)
    }

    fn postorder(&self) -> Vec<&Image> {
        let mut images: Vec<_> = self.children.iter().flat_map(Image::postorder).collect();
        images.push(self);
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_children_first() {
        let leaf = Image::oci("linux/amd64").layer(1, 10).build();
        let inner = Image::oci_index([leaf.clone()]);
        let outer = Image::oci_index([inner.clone(), Image::artifact("text/plain").build()]);

        let order: Vec<_> = outer.documents().map(Document::digest).collect();

        assert_eq!(order[0], leaf.digest());
        assert_eq!(order[1], inner.digest());
        assert_eq!(order[3], outer.digest());
    }

    #[test]
    fn every_part_that_a_document_names_is_in_the_tree() {
        for (name, image) in every_kind() {
            let documents: Vec<_> = image.documents().map(Document::digest).collect();
            let blobs: Vec<_> = image.blobs().map(Blob::digest).collect();
            for document in image.documents() {
                let parts = document.parts().expect("the kit's documents parse");
                assert!(parts.manifests.iter().all(|child| documents.contains(&child.digest)), "{name}");
                assert!(parts.own_blobs().all(|blob| blobs.contains(&blob.digest)), "{name}");
            }
        }
    }
}
