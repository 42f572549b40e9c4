//! All manifests of a repository, with their tags: what `az acr manifest list-metadata` prints, of any registry.
//!
//! Azure's registries have a listing of their own, which knows untagged manifests too. Of all others it is put together
//! from the tags, from the documents that they reach, and from their configs: [`walk`].

mod entry;
mod reached;
mod walk;

pub use entry::{Entry, Order};
pub use reached::Reached;

use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::store::Store;
use crate::content::{Cause, Error, Location, Pull as _};
use crate::oci::Host;

/// Where a registry's manifests are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalogue {
    /// In Azure's own listing.
    Azure,
    /// Behind the tags.
    Tags,
}

impl Catalogue {
    /// What a registry of this name has.
    pub fn of(host: &Host) -> Self {
        const AZURE: [&str; 3] = [".azurecr.io", ".azurecr.cn", ".azurecr.us"];
        if AZURE.iter().any(|domain| host.name().ends_with(domain)) { Self::Azure } else { Self::Tags }
    }
}

impl Engine {
    /// All manifests of a repository, by their digests. Nothing is written. May be dropped at any time.
    ///
    /// By the tags it costs their listing, a HEAD for each tag, a GET for each manifest and one for each config. Where
    /// Azure's listing is refused (anonymous pulls have no right to it), the tags are asked as well.
    ///
    /// # Errors
    /// If there is no such repository, or not all of it can be read.
    pub async fn inventory(
        &self,
        location: &Location,
        catalogue: Catalogue,
        cancel: &CancellationToken,
    ) -> Result<Vec<Entry>, Error> {
        let source = self.source(location)?.on_behalf_of(&Default::default(), cancel);
        if catalogue == Catalogue::Azure
            && let Store::Registry(remote) = &source
            && let Some(listed) = remote.azure_manifests().await?
        {
            return Ok(listed.into_iter().map(Entry::from).collect());
        }
        let tags = source.tags().await?;
        let missing = || Error::new(format!("listing the tags of {location}"), Cause::NotFound).at(&location.host);
        walk::walk(&source, tags.ok_or_else(missing)?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azures_registries_are_known_by_their_names() {
        for (host, catalogue) in [
            ("acme.azurecr.io", Catalogue::Azure),
            ("acme.azurecr.cn", Catalogue::Azure),
            ("acme-x1.azurecr.us:443", Catalogue::Azure),
            ("azurecr.io.example", Catalogue::Tags),
            ("notazurecr.io", Catalogue::Tags),
            ("mcr.microsoft.com", Catalogue::Tags),
        ] {
            assert_eq!(Catalogue::of(&host.parse().unwrap()), catalogue, "{host}");
        }
    }
}
