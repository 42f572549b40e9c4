//! From layers to an image, from images to a list.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::json::{self, Config, List, Manifest, RootFs, Runtime};
use super::{Blob, Descriptor, Document, Image, Platform, media_type, pseudo_random};

/// An image without its layers yet. See [`Image::docker`], [`Image::oci`] and [`Image::artifact`].
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    kind: Kind,
    layers: Vec<Layer>,
    media_type_inside: bool,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Docker(Platform),
    Oci(Platform),
    Artifact(String),
}

#[derive(Clone, Debug)]
enum Layer {
    Here(Blob),
    Elsewhere(Descriptor),
}

impl ImageBuilder {
    pub(super) fn docker(platform: Platform) -> Self {
        Self::new(Kind::Docker(platform))
    }

    pub(super) fn oci(platform: Platform) -> Self {
        Self::new(Kind::Oci(platform))
    }

    pub(super) fn artifact(artifact_type: &str) -> Self {
        Self::new(Kind::Artifact(artifact_type.to_owned()))
    }

    fn new(kind: Kind) -> Self {
        Self { kind, layers: Vec::new(), media_type_inside: true, subject: None, annotations: BTreeMap::new() }
    }

    /// Adds a layer of `size` pseudo-random bytes; the same seed and size give the same layer in
    /// every image.
    #[must_use]
    pub fn layer(self, seed: u64, size: usize) -> Self {
        self.layer_bytes(pseudo_random(seed, size))
    }

    /// Adds a layer of these bytes, which may be none.
    #[must_use]
    pub fn layer_bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        let media_type = self.layer_type().to_owned();
        self.layers.push(Layer::Here(Blob { media_type, bytes: bytes.into() }));
        self
    }

    /// Adds a layer whose bytes are not in the tree: one that is too large for memory, or one that
    /// is missing on purpose.
    #[must_use]
    pub fn layer_elsewhere(mut self, descriptor: Descriptor) -> Self {
        self.layers.push(Layer::Elsewhere(descriptor));
        self
    }

    /// Adds a foreign layer, as Windows images have them: `url` says where it stands, no registry
    /// has its bytes.
    #[must_use]
    pub fn foreign_layer(self, url: &str, size: u64) -> Self {
        let media_type = match self.kind {
            Kind::Docker(_) => media_type::DOCKER_FOREIGN_LAYER,
            Kind::Oci(_) | Kind::Artifact(_) => media_type::OCI_FOREIGN_LAYER,
        };
        // The bytes exist nowhere, so the digest of the address is as good as any.
        let mut descriptor = Descriptor::new(media_type, super::digest(url.as_bytes()), size);
        descriptor.urls.push(url.to_owned());
        self.layer_elsewhere(descriptor)
    }

    /// Leaves `mediaType` out of the manifest, as some builders of OCI images do.
    #[must_use]
    pub fn without_media_type(mut self) -> Self {
        self.media_type_inside = false;
        self
    }

    /// Lets the manifest refer to `image`, as a signature does to what it signs.
    #[must_use]
    pub fn subject(mut self, image: &Image) -> Self {
        self.subject = Some(image.root.descriptor());
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The finished image.
    #[must_use]
    pub fn build(mut self) -> Image {
        let config = self.config();
        // The image spec, manifest.md, "Guidelines for Artifact Usage": no content means the empty
        // descriptor as the only layer.
        if matches!(self.kind, Kind::Artifact(_)) && self.layers.is_empty() {
            self.layers.push(Layer::Here(config.clone()));
        }
        let root = self.manifest(&config.descriptor());
        let mut blobs = vec![config];
        blobs.extend(self.layers.into_iter().filter_map(Layer::here));
        Image { root, children: Vec::new(), blobs, platform: self.kind.platform().cloned() }
    }

    fn config(&self) -> Blob {
        let config_type = match &self.kind {
            Kind::Docker(_) => media_type::DOCKER_CONFIG,
            Kind::Oci(_) => media_type::OCI_CONFIG,
            Kind::Artifact(_) => media_type::OCI_EMPTY,
        };
        let bytes = match self.kind.platform() {
            Some(platform) => json::render(&self.image_config(platform)),
            None => Bytes::from_static(b"{}"),
        };
        Blob { media_type: config_type.to_owned(), bytes }
    }

    fn image_config<'a>(&self, platform: &'a Platform) -> Config<'a> {
        Config {
            platform,
            created: "2024-01-01T00:00:00Z",
            config: Runtime { env: ["PATH=/bin"], cmd: ["/hello"] },
            // Layers are not compressed, so the digest of a layer is its diff ID.
            rootfs: RootFs {
                r#type: "layers",
                diff_ids: self.layers.iter().map(|layer| layer.descriptor().digest).collect(),
            },
        }
    }

    fn manifest(&self, config: &Descriptor) -> Document {
        let document_type = match &self.kind {
            Kind::Docker(_) => media_type::DOCKER_MANIFEST,
            Kind::Oci(_) | Kind::Artifact(_) => media_type::OCI_MANIFEST,
        };
        let layers: Vec<_> = self.layers.iter().map(Layer::descriptor).collect();
        let bytes = json::render(&Manifest {
            schema_version: 2,
            media_type: self.media_type_inside.then_some(document_type),
            artifact_type: self.kind.artifact_type(),
            config,
            layers: &layers,
            subject: self.subject.as_ref(),
            annotations: &self.annotations,
        });
        Document { media_type: document_type.to_owned(), bytes }
    }

    fn layer_type(&self) -> &'static str {
        match &self.kind {
            Kind::Docker(_) => media_type::DOCKER_LAYER,
            Kind::Oci(_) => media_type::OCI_LAYER,
            Kind::Artifact(_) => "application/octet-stream",
        }
    }
}

impl Kind {
    fn platform(&self) -> Option<&Platform> {
        match self {
            Kind::Docker(platform) | Kind::Oci(platform) => Some(platform),
            Kind::Artifact(_) => None,
        }
    }

    fn artifact_type(&self) -> Option<&str> {
        match self {
            Kind::Artifact(artifact_type) => Some(artifact_type),
            Kind::Docker(_) | Kind::Oci(_) => None,
        }
    }
}

impl Layer {
    fn descriptor(&self) -> Descriptor {
        match self {
            Layer::Here(blob) => blob.descriptor(),
            Layer::Elsewhere(descriptor) => descriptor.clone(),
        }
    }

    fn here(self) -> Option<Blob> {
        match self {
            Layer::Here(blob) => Some(blob),
            Layer::Elsewhere(_) => None,
        }
    }
}

/// A list of either kind; they differ in their media type alone.
pub(super) fn list(media_type: &str, children: impl IntoIterator<Item = Image>) -> Image {
    let children: Vec<_> = children.into_iter().collect();
    let manifests = children
        .iter()
        .map(|child| Descriptor { platform: child.platform.clone(), ..child.root.descriptor() })
        .collect();
    let bytes = json::render(&List { schema_version: 2, media_type, manifests });
    let root = Document { media_type: media_type.to_owned(), bytes };
    Image { root, children, blobs: Vec::new(), platform: None }
}
