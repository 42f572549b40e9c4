//! The names that an import writes.

use std::collections::HashSet;

use super::super::context::Context;
use super::super::tagged::pointed;
use super::{Import, ImportError};
use crate::content::{Cause, Error, Pull};
use crate::oci::{Digest, Reference, Tag};

/// Every name at the targets, each once: those that are named, and, where all tags are wanted, one for each tag that
/// points at the digest at the source. `listed` is what the source lists, if it was asked.
pub(super) async fn names<S: Pull>(
    source: &S,
    context: &Context,
    import: &Import,
    digest: &Digest,
    listed: Option<&Result<Option<Vec<Tag>>, Error>>,
) -> Result<Vec<Reference>, ImportError> {
    let mut names = import.targets.clone();
    if !import.all_tags_in.is_empty() {
        let tags = tags_of(source, context, import, digest, listed).await?;
        if tags.is_empty() {
            return Err(ImportError::NoTags { location: source.location().clone(), digest: digest.clone() });
        }
        names.extend(import.all_tags_in.iter().flat_map(|location| {
            let name = |tag: &Tag| Reference {
                host: location.host.clone(),
                repository: location.repository.clone(),
                tag: Some(tag.clone()),
                digest: None,
            };
            tags.iter().map(name)
        }));
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// The source's tags that point at the digest: a HEAD for each that it lists. The one by which the digest was found is
/// one of them, wherever it has moved since; tags that only hang something on an image are none.
async fn tags_of<S: Pull>(
    source: &S,
    context: &Context,
    import: &Import,
    digest: &Digest,
    listed: Option<&Result<Option<Vec<Tag>>, Error>>,
) -> Result<Vec<Tag>, Error> {
    let own = import.source.tag.as_ref().filter(|_| import.source.digest.is_none());
    let missing = || Error::new(format!("listing the tags of {}", source.location()), Cause::NotFound);
    let listed = match listed {
        Some(listed) => listed.clone()?.ok_or_else(missing)?,
        None => Vec::new(),
    };
    let asked = listed.into_iter().filter(|tag| Some(tag) != own && tag.referrers_subject().is_none()).collect();
    let pointed = pointed(source, context, asked).await?;
    let others = pointed.into_iter().filter(|(_, found)| found == digest).map(|(tag, _)| tag);
    Ok(own.cloned().into_iter().chain(others).collect())
}
