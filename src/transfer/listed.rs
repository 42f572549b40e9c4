//! What a document lists.

use std::collections::HashSet;

use super::memory::Memory;
use super::platforms::{Fate, Platforms};
use crate::content::{Cause, Error};
use crate::oci::{Descriptor, Digest, Manifest, ManifestError};

/// A document lists no more than this.
const MOST: usize = 10_000;

/// All documents that a document lists, in lists inside of it too, or those that are taken where platforms are chosen:
/// of one that is no list, none. What `fetch` does not find lists nothing. Asked for once in a process, if all was
/// found.
pub(super) async fn listed_below<F>(
    root: &Digest,
    chosen: Option<&Platforms>,
    memory: &Memory,
    fetch: impl Fn(Digest) -> F,
) -> Result<Vec<Digest>, Error>
where
    F: Future<Output = Result<Option<Manifest>, Error>>,
{
    let remembered = (root.clone(), chosen.map(|platforms| platforms.wanted().to_vec()).unwrap_or_default());
    if let Some(listed) = memory.facts.listed.get(&remembered) {
        return Ok(listed);
    }
    let (mut below, mut lists, mut seen) = (Vec::new(), vec![(root.clone(), chosen)], HashSet::new());
    let mut is_complete = true;
    while let Some((digest, chosen)) = lists.pop() {
        let list = fetch(digest).await?;
        is_complete &= list.is_some();
        for (child, chosen) in list.iter().flat_map(|list| taken(list, chosen)) {
            if seen.insert(child.digest.clone()) {
                below.push(child.digest.clone());
                lists.extend(child.is_index().then(|| (child.digest.clone(), chosen)));
            }
        }
        if seen.len() > MOST {
            let reason = format!("it lists more than {MOST} documents");
            let cause = Cause::Document(ManifestError::Unknown { what: reason });
            return Err(Error::new(format!("walking manifest {root}"), cause));
        }
    }
    if is_complete {
        memory.facts.listed.insert(remembered, below.clone());
    }
    Ok(below)
}

/// The documents of a list that are taken, each with what is chosen below it: a list that names a platform goes as it is.
fn taken<'l, 'p>(list: &'l Manifest, chosen: Option<&'p Platforms>) -> Vec<(&'l Descriptor, Option<&'p Platforms>)> {
    let Some(platforms) = chosen else { return list.children().map(|child| (child, None)).collect() };
    let children =
        platforms.choose(list).into_iter().filter(|(child, fate)| child.is_manifest() && *fate != Fate::Drop);
    children.map(|(child, fate)| (child, (fate == Fate::LookInside).then_some(platforms))).collect()
}
