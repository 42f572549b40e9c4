//! What a reference contributes to a list: itself, or the entries of the list that it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Composer, Part};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::{Content, Descriptor, Index, Manifest, Platform, Reference};
use crate::registry::Access;
use crate::transfer::config::read_config;
use crate::transfer::platforms::platform_config;
use crate::transfer::store::Store;

/// The annotation and label. Source: OCI image-spec, "Annotations".
pub(super) const REVISION: &str = "org.opencontainers.image.revision";

/// What a reference points at, as a list takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The image, or what a list has, in its order.
    pub parts: Vec<Part>,
    /// Whether it is the image itself.
    pub is_image: bool,
    /// A list's own annotations.
    pub annotations: BTreeMap<String, String>,
    /// The revision of the source code that it was built from: as an annotation says, or a label of the config.
    pub revision: Option<String>,
}

impl Composer<'_> {
    /// Reads a reference: a GET for its document, and one for an image's config, which names the platform.
    ///
    /// # Errors
    /// If it is not there, or cannot be listed.
    pub async fn read(&self, named: &Reference) -> Result<Contents, Error> {
        let store = self.store(&Location::from(named), Access::Pull)?;
        self.context.unless_stopped(self.contents(&store, named)).await?
    }

    async fn contents(&self, store: &Store, named: &Reference) -> Result<Contents, Error> {
        let at = store.meant(named).await?;
        let what = || format!("fetching manifest {at} of {}", store.location());
        let manifest = store.manifest(&at).await?;
        let manifest = manifest.ok_or_else(|| Error::new(what(), Cause::NotFound).at(&store.location().host))?;
        let contents = match manifest.content() {
            Content::Index(index) => entries(named, &manifest, index)
                .map_err(|reason| Error::new(format!("listing what is in {named}"), Cause::Protocol(reason)))?,
            Content::Image(_) => image(store, named, &manifest).await?,
        };
        self.documents.keep(manifest);
        Ok(contents)
    }
}

fn entries(named: &Reference, list: &Manifest, index: &Index) -> Result<Contents, String> {
    if index.manifests.iter().any(|entry| !entry.is_manifest()) {
        return Err("it lists blobs, as the cache of a build does, and not images alone".to_owned());
    }
    let part = |entry: &Descriptor| Part { named: named.clone(), descriptor: entry.clone() };
    let parts = index.manifests.iter().map(part).collect();
    let annotations = list.annotations().cloned().unwrap_or_default();
    let revision = annotations.get(REVISION).cloned();
    Ok(Contents { parts, is_image: false, annotations, revision })
}

/// How a list names an image: with what its config says that it runs on. An artifact, which runs on nothing, has its
/// type there.
async fn image(store: &Store, named: &Reference, image: &Manifest) -> Result<Contents, Error> {
    let annotated = image.annotations().and_then(|annotations| annotations.get(REVISION)).cloned();
    let descriptor = Descriptor { annotations: None, artifact_type: None, ..image.as_referrer() };
    let contents = |descriptor, revision| {
        let parts = vec![Part { named: named.clone(), descriptor }];
        Contents { parts, is_image: true, annotations: BTreeMap::new(), revision }
    };
    let Some(config) = platform_config(image) else {
        let artifact_type = image.artifact_type().map(str::to_owned);
        return Ok(contents(Descriptor { artifact_type, ..descriptor }, annotated));
    };
    let Some(config) = read_config(store, config).await? else {
        let what = format!("reading the config of {} in {}", image.digest(), store.location());
        let reason = "it is larger than 4 MiB, which is no image's: nothing was read".to_owned();
        return Err(Error::new(what, Cause::Protocol(reason)));
    };
    let platform = Some(Platform::of_config(&config).unwrap_or_default());
    Ok(contents(Descriptor { platform, ..descriptor }, annotated.or_else(|| labelled(&config))))
}

/// The label of a config that names the revision. Source: OCI image-spec, "Pre-Defined Annotation Keys", which are labels
/// of configs as well.
fn labelled(config: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        config: Option<Runtime>,
    }
    #[derive(Deserialize)]
    struct Runtime {
        #[serde(rename = "Labels")]
        labels: Option<BTreeMap<String, String>>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    config.config?.labels?.remove(REVISION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_the_config_names_the_revision() {
        let named = br#"{"os":"linux","config":{"Labels":{"org.opencontainers.image.revision":"0b1a6f2c","a":"b"}}}"#;
        assert_eq!(labelled(named).as_deref(), Some("0b1a6f2c"));
        for config in ["{}", "", r#"{"config":null}"#, r#"{"config":{"Labels":null}}"#, r#"{"config":{"Labels":{}}}"#] {
            assert_eq!(labelled(config.as_bytes()), None, "{config}");
        }
    }
}
