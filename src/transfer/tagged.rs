//! What stands behind the tags of a repository.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::abreast::side_by_side;
use super::context::Context;
use super::listed::listed_below;
use crate::content::{Cause, Error, Pull};
use crate::oci::{Digest, Manifest, ManifestError, Tag, TagOrDigest};

/// What a user does where a registry deletes neither tags nor documents.
pub(super) const TURN_DELETION_ON: &str = "turn deletion on there (distribution: REGISTRY_STORAGE_DELETE_ENABLED=true)";

/// So many tags are named where there may be any number.
const NAMED: usize = 10;

/// What the tags of a repository point at.
pub(super) type Pointed = BTreeMap<Tag, Digest>;

/// What tags point at; not those that are gone meanwhile.
pub(super) async fn pointed<T: Pull>(target: &T, context: &Context, tags: Vec<Tag>) -> Result<Pointed, Error> {
    let look = |tag: Tag| async move {
        let at = TagOrDigest::Tag(tag.clone());
        let found = context.unless_stopped(target.resolve(&at)).await??;
        Ok(found.map(|digest| (tag, digest)))
    };
    let looked: Result<Vec<_>, Error> = side_by_side(tags.into_iter().map(look)).await.into_iter().collect();
    Ok(looked?.into_iter().flatten().collect())
}

/// All documents that each of these lists, in lists inside of it too.
pub(super) async fn below<T: Pull>(
    target: &T,
    context: &Context,
    roots: &HashSet<Digest>,
) -> Result<HashMap<Digest, Vec<Digest>>, Error> {
    let look = |root: Digest| async move {
        let listed = listed_below(&root, None, &context.memory, |digest| fetched(target, digest));
        let listed = context.unless_stopped(listed).await??;
        Ok((root, listed))
    };
    let looked: Vec<Result<_, Error>> = side_by_side(roots.iter().cloned().map(look)).await;
    looked.into_iter().collect()
}

async fn fetched<T: Pull>(target: &T, digest: Digest) -> Result<Option<Manifest>, Error> {
    match target.manifest(&TagOrDigest::Digest(digest)).await {
        // That old, it is no list.
        Err(error) if matches!(error.cause(), Cause::Document(ManifestError::Schema1)) => Ok(None),
        found => found,
    }
}

/// The first of some tags.
pub(super) fn named(tags: &[Tag]) -> String {
    let first: Vec<&str> = tags.iter().take(NAMED).map(Tag::as_str).collect();
    let more = if tags.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}
