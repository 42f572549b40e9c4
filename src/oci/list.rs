//! A list as it is written down: the same bytes for the same parts.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::ser::{PrettyFormatter, Serializer};

use super::{Descriptor, Digest, ManifestError, Platform, media_type};

/// The two types of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListType {
    /// Docker's manifest list.
    #[serde(rename = "application/vnd.docker.distribution.manifest.list.v2+json")]
    Docker,
    /// The OCI image index.
    #[serde(rename = "application/vnd.oci.image.index.v1+json")]
    Oci,
}

impl ListType {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Docker => media_type::DOCKER_LIST,
            Self::Oci => media_type::OCI_INDEX,
        }
    }
}

/// Its media type, or `docker` or `oci`.
impl FromStr for ListType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "docker" | media_type::DOCKER_LIST => Ok(Self::Docker),
            "oci" | media_type::OCI_INDEX => Ok(Self::Oci),
            other => Err(format!(
                "{other:?} is no type of a list: write docker ({}) or oci ({})",
                media_type::DOCKER_LIST,
                media_type::OCI_INDEX
            )),
        }
    }
}

/// A list's JSON as `docker manifest` writes it: its keys in its order, indented by three spaces. Of the same images in
/// the same order it is what `docker manifest push` sends, to the byte. What an OCI index has beside those keys stands
/// behind them.
///
/// # Errors
/// None that a list can cause.
pub fn list_json(
    media_type: &str,
    manifests: &[Descriptor],
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, ManifestError> {
    let manifests = manifests.iter().map(Listed::of).collect();
    let list = List { schema_version: 2, media_type, manifests, annotations };
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"   "));
    list.serialize(&mut serializer).map_err(|error| ManifestError::Json(error.to_string()))?;
    Ok(bytes)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Listed<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Listed<'a> {
    fn of(child: &'a Descriptor) -> Self {
        Self {
            media_type: &child.media_type,
            size: child.size,
            digest: &child.digest,
            platform: child.platform.as_ref(),
            artifact_type: child.artifact_type.as_deref(),
            annotations: child.annotations.as_ref(),
        }
    }
}
