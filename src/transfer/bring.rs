//! One image on its way along a route: planned, published, and planned again if the target says that something is gone.

use std::collections::HashSet;

use super::documents::Documents;
use super::knowledge::Flight;
use super::plan::CopyPlan;
use super::route::Route;
use crate::content::{Error, Pull, Push};
use crate::oci::{Digest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Brings the document with all that it names to the target, and then under `to`.
    ///
    /// Several tags of one document do not do the same work twice: the second waits for the first.
    pub(super) async fn bring(&self, documents: &Documents, digest: &Digest, to: &TagOrDigest) -> Result<(), Error> {
        let (knowledge, location) = (&self.context.knowledge, self.target.location());
        let alone = knowledge.flight(Flight::Image(location.clone(), digest.clone()));
        let _alone = self.context.unless_stopped(alone).await?;

        match self.try_to_bring(documents, digest, to).await {
            Err(error) => {
                // The registry lost something that it had said to have, or that this run believed in: what it names
                // is brought again, once.
                let lost = error.missing_parts().ok_or_else(|| error.clone())?;
                knowledge.forget(location);
                let plan = self.plan(documents, digest, &lost.iter().cloned().collect()).await?;
                self.publish(&plan, to).await
            }
            Ok(()) => Ok(()),
        }
    }

    /// What bringing the document over would take.
    pub(super) async fn plan(
        &self,
        documents: &Documents,
        digest: &Digest,
        lost: &HashSet<Digest>,
    ) -> Result<CopyPlan, Error> {
        let plan = self.context.unless_stopped(self.walk(documents, digest, lost)).await??;
        self.context.observer.planned(plan.missing_bytes());
        Ok(plan)
    }

    async fn try_to_bring(&self, documents: &Documents, digest: &Digest, to: &TagOrDigest) -> Result<(), Error> {
        if self.context.knowledge.has_manifest(self.target.location(), digest) && self.put_again(digest, to).await? {
            return Ok(());
        }
        let plan = self.plan(documents, digest, &HashSet::new()).await?;
        self.publish(&plan, to).await
    }

    /// Gives a document that this run has brought another tag. The target has its bytes: the source, which may count
    /// pulls, is not asked again.
    async fn put_again(&self, digest: &Digest, to: &TagOrDigest) -> Result<bool, Error> {
        let at = TagOrDigest::Digest(digest.clone());
        if *to == at {
            return Ok(true);
        }
        match self.context.unless_stopped(self.target.manifest(&at)).await? {
            Ok(Some(manifest)) => self.put(&manifest, to).await.map(|()| true),
            // Where the target counts pulls and has none left, the source is asked after all.
            Ok(None) => Ok(false),
            Err(error) if error.no_pulls().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
