//! References from one document to its parts.

use serde::{Deserialize, Serialize};

use super::{Platform, digest};

/// How a document names a part of it: by type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the part's content.
    pub media_type: String,
    /// The digest of the part's content, as `sha256:<hex>`.
    pub digest: String,
    /// The number of bytes of the part's content.
    pub size: u64,
    /// Where a foreign layer stands; empty for all else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The platform of a list's child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// The descriptor of these bytes.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, digest(bytes), bytes.len() as u64)
    }

    /// The descriptor of content that is not at hand.
    #[must_use]
    pub fn new(media_type: &str, digest: String, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, urls: Vec::new(), platform: None }
    }
}

/// What a document names: a list its `manifests`, an image its `config` and `layers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The children of a list.
    pub manifests: Vec<Descriptor>,
    /// The config, then the layers, foreign ones included.
    pub blobs: Vec<Descriptor>,
}

impl Parts {
    /// Reads them out of a document's bytes.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let Named { manifests, config, layers } = serde_json::from_slice(bytes)?;
        Ok(Self { manifests, blobs: config.into_iter().chain(layers).collect() })
    }

    /// The blobs that a registry has to have: all but the foreign ones.
    pub fn own_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter().filter(|blob| blob.urls.is_empty())
    }
}

// The fields of any document that name its parts; all else is skipped.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}
