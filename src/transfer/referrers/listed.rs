//! What a repository lists as referring to a document.

use crate::content::{Error, Pull};
use crate::oci::{Content, Descriptor, Digest, Manifest, Tag, TagOrDigest};

/// Referrers, and where they were found.
pub(super) struct Listed {
    /// Whether the registry keeps the list by itself.
    pub(super) by_api: bool,
    pub(super) entries: Vec<Descriptor>,
}

/// Asks the registry's API, and where it has none, looks under the subject's tag, if that may be there.
///
/// Source: distribution spec, "Listing Referrers" and "Referrers Tag Schema".
pub(super) async fn listed<S: Pull>(
    source: &S,
    subject: &Digest,
    may_have: impl Fn(&Tag) -> bool,
) -> Result<Listed, Error> {
    if let Some(entries) = source.referrers(subject).await? {
        return Ok(Listed { by_api: true, entries });
    }
    let tag = subject.referrers_tag();
    if !may_have(&tag) {
        return Ok(Listed { by_api: false, entries: Vec::new() });
    }
    let index = source.manifest(&TagOrDigest::Tag(tag)).await?;
    Ok(Listed { by_api: false, entries: index.as_ref().map(entries).unwrap_or_default() })
}

/// The entries of a list of referrers; what is no list has none.
fn entries(index: &Manifest) -> Vec<Descriptor> {
    match index.content() {
        Content::Index(index) => index.manifests.clone(),
        Content::Image(_) => Vec::new(),
    }
}
