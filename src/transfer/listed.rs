//! What a document lists.

use std::collections::HashSet;

use super::memory::Memory;
use crate::content::{Cause, Error};
use crate::oci::{Digest, Manifest, ManifestError};

/// A document lists no more than this.
const MOST: usize = 10_000;

/// All documents that a document lists, in lists inside of it too: of one that is no list, none. What `fetch` does not
/// find lists nothing. Asked for once in a process, if all was found.
pub(super) async fn listed_below<F>(
    root: &Digest,
    memory: &Memory,
    fetch: impl Fn(Digest) -> F,
) -> Result<Vec<Digest>, Error>
where
    F: Future<Output = Result<Option<Manifest>, Error>>,
{
    if let Some(listed) = memory.listed.get(root) {
        return Ok(listed);
    }
    let (mut below, mut lists, mut seen) = (Vec::new(), vec![root.clone()], HashSet::new());
    let mut is_complete = true;
    while let Some(digest) = lists.pop() {
        let list = fetch(digest).await?;
        is_complete &= list.is_some();
        for child in list.iter().flat_map(Manifest::children) {
            if seen.insert(child.digest.clone()) {
                below.push(child.digest.clone());
                lists.extend(child.is_index().then(|| child.digest.clone()));
            }
        }
        if seen.len() > MOST {
            let reason = format!("it lists more than {MOST} documents");
            let cause = Cause::Document(ManifestError::Unknown { what: reason });
            return Err(Error::new(format!("walking manifest {root}"), cause));
        }
    }
    if is_complete {
        memory.listed.insert(root.clone(), below.clone());
    }
    Ok(below)
}
