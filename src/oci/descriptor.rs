//! Descriptors: a digest, how large it is and what it is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform, Size, media_type};

/// What a manifest says of a blob or of another manifest. Source: OCI image-spec, "OCI Content Descriptors".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's media type.
    #[serde(default)]
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes. Declared by whoever wrote the manifest: checked, never allocated from.
    pub size: u64,
    /// What the manifest that this points at runs on; only in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of artifact; only for manifests of artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// Whether this points at another document rather than at a blob. An index may list blobs too (build caches do).
    pub fn is_manifest(&self) -> bool {
        media_type::is_manifest(&self.media_type)
    }

    /// Whether this points at a list.
    pub fn is_index(&self) -> bool {
        media_type::is_index(&self.media_type)
    }

    /// Whether registries keep the content at all.
    pub fn is_foreign_layer(&self) -> bool {
        media_type::is_foreign_layer(&self.media_type)
    }
}

/// `sha256:ab12cd34ef56… (48.0 MiB)`, as messages show it.
impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.digest.short(), Size(self.size))
    }
}
