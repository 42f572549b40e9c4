//! What `docker manifest inspect` prints, so that scripts that read it keep working.
//!
//! Source: Docker's command line, `cli/command/manifest/inspect.go`, and the types that it prints. Of a list Docker shows
//! the platforms and leaves annotations out; an image's document it shows as it is, on many lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::indent::indented;
use crate::cli::Failure;
use crate::oci::{Content, Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};
use crate::transfer::{Reached, Store, read_image_config};

/// As `docker manifest inspect`.
pub(super) fn manifest(manifest: &Manifest) -> Result<String, Failure> {
    match manifest.content() {
        Content::Index(index) => Ok(indented(&json(&List::of(manifest, index))?, "   ")),
        Content::Image(_) => Ok(indented(document(manifest)?, "\t")),
    }
}

/// As `docker manifest inspect --verbose`: an object for an image, a list of them for a list. Costs a GET for each
/// document that is listed.
pub(super) async fn detail(store: &Store, reference: &Reference, root: Manifest) -> Result<String, Failure> {
    let Content::Index(index) = root.content().clone() else {
        let config = read_image_config(store, &root).await?.unwrap_or_default();
        let platform = Platform::of_config(&config);
        return Ok(indented(&json(&Detail::of(reference, &root, platform.as_ref())?)?, "\t"));
    };
    let reached = Reached::below(store, root).await?;
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a Digest,
    platform: Machine<'a>,
}

/// A platform with Docker's keys, in Docker's order.
#[derive(Default, Serialize)]
struct Machine<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "os.version", skip_serializing_if = "str::is_empty")]
    os_version: &'a str,
    #[serde(rename = "os.features", skip_serializing_if = "<[String]>::is_empty")]
    os_features: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    variant: &'a str,
}

impl<'a> List<'a> {
    fn of(manifest: &'a Manifest, index: &'a Index) -> Self {
        let manifests = index.manifests.iter().map(Listed::of).collect();
        Self { schema_version: 2, media_type: manifest.media_type(), manifests }
    }
}

impl<'a> Listed<'a> {
    fn of(child: &'a Descriptor) -> Self {
        let platform = child.platform.as_ref().map(Machine::of).unwrap_or_default();
        Self { media_type: &child.media_type, size: child.size, digest: &child.digest, platform }
    }
}

impl<'a> Machine<'a> {
    fn of(platform: &'a Platform) -> Self {
        Self {
            architecture: &platform.architecture,
            os: &platform.os,
            os_version: platform.os_version.as_deref().unwrap_or_default(),
            os_features: &platform.os_features,
            variant: platform.variant.as_deref().unwrap_or_default(),
        }
    }
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
    platform: Option<Machine<'a>>,
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
                platform: platform.map(Machine::of),
            },
            raw: STANDARD.encode(manifest.bytes()),
            docker: is(media_type::DOCKER_MANIFEST),
            oci: is(media_type::OCI_MANIFEST),
        })
    }
}
