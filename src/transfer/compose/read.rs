//! What a reference contributes to a list: itself, or the entries of the list that it is.

use std::collections::BTreeMap;

use super::{Composer, Part};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::{Content, Descriptor, Index, Manifest, Platform, Reference};
use crate::registry::{Access, Remote};
use crate::transfer::config::read_config;
use crate::transfer::platforms::platform_config;

/// What a reference points at, as a list takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The image, or what a list has, in its order.
    pub parts: Vec<Part>,
    /// A list's own annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Composer<'_> {
    /// Reads a reference: a GET for its document, and one for an image's config, which names the platform.
    ///
    /// # Errors
    /// If it is not there, or cannot be listed.
    pub async fn read(&self, named: &Reference) -> Result<Contents, Error> {
        let remote = self.remote(&Location::from(named), Access::Pull)?;
        self.context.unless_stopped(self.contents(&remote, named)).await?
    }

    async fn contents(&self, remote: &Remote, named: &Reference) -> Result<Contents, Error> {
        let at = named.selector();
        let what = || format!("fetching manifest {at} of {}", remote.location());
        let manifest = remote.manifest(&at).await?;
        let manifest = manifest.ok_or_else(|| Error::new(what(), Cause::NotFound).at(&remote.location().host))?;
        let contents = match manifest.content() {
            Content::Index(index) => entries(named, &manifest, index)
                .map_err(|reason| Error::new(format!("listing what is in {named}"), Cause::Protocol(reason)))?,
            Content::Image(_) => {
                let part = Part { named: named.clone(), descriptor: described(remote, &manifest).await? };
                Contents { parts: vec![part], annotations: BTreeMap::new() }
            }
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
    Ok(Contents { parts, annotations: list.annotations().cloned().unwrap_or_default() })
}

/// How a list names an image: with what its config says that it runs on. An artifact, which runs on nothing, has its
/// type there.
async fn described(remote: &Remote, image: &Manifest) -> Result<Descriptor, Error> {
    let named = Descriptor { annotations: None, artifact_type: None, ..image.as_referrer() };
    let Some(config) = platform_config(image) else {
        return Ok(Descriptor { artifact_type: image.artifact_type().map(str::to_owned), ..named });
    };
    let Some(config) = read_config(remote, config).await? else {
        let what = format!("reading the config of {} in {}", image.digest(), remote.location());
        let reason = "it is larger than 4 MiB, which is no image's: nothing was read".to_owned();
        return Err(Error::new(what, Cause::Protocol(reason)));
    };
    Ok(Descriptor { platform: Some(Platform::of_config(&config).unwrap_or_default()), ..named })
}
