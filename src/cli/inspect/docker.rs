//! What `docker manifest inspect` prints, so that scripts that read it keep working.
//!
//! Source: Docker's command line, `cli/command/manifest/inspect.go`, and the types that it prints. Of a list Docker shows
//! the platforms and leaves annotations out; an image's document it shows as it is, on many lines.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::indent::indented;
use crate::cli::Failure;
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, Reference, list_json, media_type};
use crate::transfer::{Reached, Store, read_image_config};

/// As `docker manifest inspect`.
pub(in crate::cli) fn manifest(manifest: &Manifest) -> Result<String, Failure> {
    match manifest.content() {
        Content::Index(index) => {
            let listed: Vec<Descriptor> = index.manifests.iter().map(as_docker_shows).collect();
            let json = list_json(manifest.media_type(), &listed, &BTreeMap::new()).map_err(Failure::failed)?;
            Ok(String::from_utf8(json).map_err(Failure::failed)? + "\n")
        }
        Content::Image(_) => Ok(indented(document(manifest)?, "\t")),
    }
}

/// As `docker manifest inspect --verbose`: an object for an image, a list of them for a list. Costs a GET for each
/// document that is listed. What is not there or cannot be read is left out.
pub(super) async fn detail(store: &Store, reference: &Reference, root: Manifest) -> Result<String, Failure> {
    let Content::Index(index) = root.content().clone() else {
        let config = read_image_config(store, &root).await?.unwrap_or_default();
        let platform = Platform::of_config(&config);
        return Ok(indented(&json(&Detail::of(reference, &root, platform.as_ref())?)?, "\t"));
    };
    let reached = Reached::<Manifest>::below(store, root).await?;
    for (digest, refused) in reached.refused() {
        tracing::warn!("{digest} is left out: {refused}");
    }
    let named = index.manifests.iter().filter_map(|child| Some((child, reached.get(&child.digest)?)));
    let details: Vec<Detail<'_>> = named
        .map(|(child, document)| {
            let reference = Reference { digest: Some(child.digest.clone()), ..reference.clone() };
            Detail::of(&reference, document, child.platform.as_ref())
        })
        .collect::<Result<_, _>>()?;
    Ok(indented(&json(&details)?, "\t"))
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::failed)
}

/// A document's bytes, which are JSON: it was read as such.
fn document(manifest: &Manifest) -> Result<&str, Failure> {
    std::str::from_utf8(manifest.bytes()).map_err(Failure::failed)
}

/// A child with a platform, be it an empty one, and nothing else that is optional.
fn as_docker_shows(child: &Descriptor) -> Descriptor {
    let platform = Some(child.platform.clone().unwrap_or_default());
    Descriptor { platform, artifact_type: None, annotations: None, ..child.clone() }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detail<'a> {
    #[serde(rename = "Ref")]
    reference: String,
    descriptor: Described<'a>,
    raw: String,
    #[serde(rename = "SchemaV2Manifest", skip_serializing_if = "Option::is_none")]
    docker: Option<&'a RawValue>,
    #[serde(rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
    oci: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
}

impl<'a> Detail<'a> {
    fn of(reference: &Reference, manifest: &'a Manifest, platform: Option<&'a Platform>) -> Result<Self, Failure> {
        let parsed: &RawValue = serde_json::from_str(document(manifest)?).map_err(Failure::failed)?;
        let is = |wanted: &str| (manifest.media_type() == wanted).then_some(parsed);
        Ok(Self {
            reference: reference.to_string(),
            descriptor: Described {
                media_type: manifest.media_type(),
                digest: manifest.digest(),
                size: manifest.bytes().len(),
                platform,
            },
            raw: STANDARD.encode(manifest.bytes()),
            docker: is(media_type::DOCKER_MANIFEST),
            oci: is(media_type::OCI_MANIFEST),
        })
    }
}
