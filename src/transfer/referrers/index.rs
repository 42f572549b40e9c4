//! Putting a list of referrers under its subject's tag.

use std::collections::HashSet;

use super::super::abreast::side_by_side;
use super::super::compare::resolve_target;
use crate::content::{Cause, Error, Pull, Put};
use crate::oci::{Digest, Manifest, TagOrDigest, referrers_index_without};

/// Puts a list by `put`, and again without what is not there, if the registry says that something is not: whoever
/// deleted a referrer may have left it in the list, and then no other would ever be listed. Returns what was put.
///
/// What is `needed` stays in the list, whatever the registry says of it.
pub(in super::super) async fn put_index<T: Pull, F>(
    target: &T,
    index: Manifest,
    needed: &HashSet<Digest>,
    put: impl Fn(Manifest) -> F,
) -> Result<Manifest, Error>
where
    F: Future<Output = Result<Put, Error>>,
{
    let error = match put(index.clone()).await {
        Ok(_) => return Ok(index),
        Err(error) if error.missing_parts().is_some() => error,
        Err(error) => return Err(error),
    };
    let look = |digest: Digest| async {
        let found = resolve_target(target, &TagOrDigest::Digest(digest.clone())).await?;
        Ok::<_, Error>(found.is_none().then_some(digest))
    };
    let suspects: HashSet<Digest> = index.children().map(|entry| entry.digest.clone()).collect();
    let looked = side_by_side(suspects.difference(needed).cloned().map(look)).await;
    let dead: HashSet<Digest> = looked.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let living = referrers_index_without(&index, |digest| dead.contains(digest)).map_err(|cause| {
        Error::new(format!("mending a list of referrers of {}", target.location()), Cause::Document(cause))
    })?;
    match living {
        Some(living) => put(living.clone()).await.map(|_| living),
        None => Err(error),
    }
}
