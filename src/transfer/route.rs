//! One source repository, one target repository, and one image on its way.

use super::context::Context;
use super::documents::Documents;
use super::knowledge::Flight;
use super::plan::CopyPlan;
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
        let (source, target) = tokio::try_join!(self.resolve_source(from), self.target.resolve(to))?;
        Ok(if target.as_ref() == Some(&source) {
            Comparison::Same(source)
        } else {
            Comparison::Different(source, None)
        })
    }

    /// A digest is its own answer; a tag costs a HEAD.
    pub(super) async fn resolve_source(&self, from: &TagOrDigest) -> Result<Digest, Error> {
        match from {
            TagOrDigest::Digest(digest) => Ok(digest.clone()),
            TagOrDigest::Tag(_) => self.source.resolve(from).await?.ok_or_else(|| self.missing(from)),
        }
    }

    /// Brings the document with all that it names to the target, and then under `to`.
    ///
    /// Several tags of one document do not do the same work twice: the second waits for the first.
    pub(super) async fn bring(
        &self,
        documents: &Documents<'_, S>,
        digest: &Digest,
        to: &TagOrDigest,
    ) -> Result<(), Error> {
        let knowledge = &self.context.knowledge;
        let location = self.target.location();
        let _alone =
            self.context.unless_stopped(knowledge.flight(Flight::Image(location.clone(), digest.clone()))).await?;

        if knowledge.has_manifest(location, digest) && self.put_again(digest, to).await? {
            return Ok(());
        }
        let plan = self.plan(documents, digest).await?;
        match self.publish(&plan, to).await {
            // The registry lost something that it had said to have, or that this run believed in: look again, once.
            Err(error) if error.is_part_unknown() => {
                knowledge.forget(location);
                let plan = self.plan(documents, digest).await?;
                self.publish(&plan, to).await
            }
            result => result,
        }
    }

    /// What bringing the document over would take.
    pub(super) async fn plan(&self, documents: &Documents<'_, S>, digest: &Digest) -> Result<CopyPlan, Error> {
        let plan = self.context.unless_stopped(self.walk(documents, digest)).await??;
        self.context.observer.planned(plan.missing_bytes());
        Ok(plan)
    }

    /// Gives a document that this run has brought another tag. The target has its bytes: the source, which may count
    /// pulls, is not asked again.
    async fn put_again(&self, digest: &Digest, to: &TagOrDigest) -> Result<bool, Error> {
        let at = TagOrDigest::Digest(digest.clone());
        if *to == at {
            return Ok(true);
        }
        let Some(manifest) = self.context.unless_stopped(self.target.manifest(&at)).await?? else {
            return Ok(false);
        };
        self.put(&manifest, to).await.map(|()| true)
    }

    fn missing(&self, from: &TagOrDigest) -> Error {
        Error::new(format!("looking up manifest {from} of {}", self.source.location()), Cause::NotFound)
    }
}
