//! The shapes of the documents, field by field in the order in which Docker writes them.
//!
//! They are structs and not `json!` values because the order of a `serde_json` map depends on the
//! features that other crates of a build turn on, and with the order the digests would change.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::{Descriptor, Platform};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<'a> {
    pub(super) schema_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<&'a str>,
    pub(super) config: &'a Descriptor,
    pub(super) layers: &'a [Descriptor],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<'a, D> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'a str,
    pub(super) manifests: Vec<D>,
}

#[derive(Serialize)]
pub(super) struct Config<'a> {
    #[serde(flatten)]
    pub(super) platform: &'a Platform,
    pub(super) created: &'a str,
    pub(super) config: Runtime,
    pub(super) rootfs: RootFs,
}

#[derive(Serialize)]
pub(super) struct Runtime {
    #[serde(rename = "Env")]
    pub(super) env: [&'static str; 1],
    #[serde(rename = "Cmd")]
    pub(super) cmd: [&'static str; 1],
}

#[derive(Serialize)]
pub(super) struct RootFs {
    pub(super) r#type: &'static str,
    pub(super) diff_ids: Vec<String>,
}

/// Three spaces a level: valid, stable, and nobody's default.
pub(super) fn render(value: &impl Serialize) -> Bytes {
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
    value.serialize(&mut serializer).expect("the kit's documents have only string keys, and a Vec takes everything");
    bytes.into()
}
