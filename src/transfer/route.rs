//! One source repository and one target repository, and what both have.

use super::context::Context;
use super::tally::Tally;
use crate::content::{Cause, Error, Pull, Push};
use crate::oci::{Digest, Manifest, TagOrDigest};

/// The way of one image from a source repository into a target repository.
pub(super) struct Route<'a, S, T> {
    pub(super) source: &'a S,
    pub(super) target: &'a T,
    pub(super) context: &'a Context,
    pub(super) tally: &'a Tally,
}

/// What is known of the target's tag before anyone asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Unknown,
    /// The target's listing does not have it.
    Absent,
}

/// What the two sides have under the names in question.
pub(super) enum Comparison {
    /// The same document.
    Same(Digest),
    /// The source's document is to be brought over; fetched already where that cost nothing more.
    Different(Digest, Option<Manifest>),
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Asks both sides together; only the source, and for the document straight away, if the target is known not to
    /// have the tag.
    pub(super) async fn compare(
        &self,
        from: &TagOrDigest,
        to: &TagOrDigest,
        before: Before,
    ) -> Result<Comparison, Error> {
        if before == Before::Absent {
            let manifest = self.source.manifest(from).await?.ok_or_else(|| self.missing(from))?;
            return Ok(Comparison::Different(manifest.digest().clone(), Some(manifest)));
        }
        let (source, target) = tokio::try_join!(self.resolve_source(from), resolve_target(self.target, to))?;
        let is_same = match &target {
            Some(found) => is_same(self.target, to, found, &source).await?,
            None => false,
        };
        Ok(if is_same { Comparison::Same(source) } else { Comparison::Different(source, None) })
    }

    /// A digest is its own answer; a tag costs a HEAD.
    pub(super) async fn resolve_source(&self, from: &TagOrDigest) -> Result<Digest, Error> {
        match from {
            TagOrDigest::Digest(digest) => Ok(digest.clone()),
            TagOrDigest::Tag(_) => self.source.resolve(from).await?.ok_or_else(|| self.missing(from)),
        }
    }

    fn missing(&self, from: &TagOrDigest) -> Error {
        Error::new(format!("looking up manifest {from} of {}", self.source.location()), Cause::NotFound)
    }
}

/// What the target has under a name. Some registries forbid what is not there (Artifactory): where no tag's absence
/// decides, that is taken for absence.
pub(super) async fn resolve_target(target: &impl Pull, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
    match (target.resolve(at).await, at) {
        (Err(error), TagOrDigest::Digest(_)) if error.is_forbidden() => Ok(None),
        (found, _) => found,
    }
}

/// Whether what the target has is the source's document. If the two sides name documents by different algorithms, its
/// bytes tell.
pub(super) async fn is_same(
    target: &impl Pull,
    at: &TagOrDigest,
    found: &Digest,
    source: &Digest,
) -> Result<bool, Error> {
    if found == source || found.algorithm() == source.algorithm() {
        return Ok(found == source);
    }
    Ok(target.manifest(at).await?.is_some_and(|manifest| source.matches(manifest.bytes())))
}
