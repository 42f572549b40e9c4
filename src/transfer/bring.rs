//! One image on its way along a route: planned, published, and planned again if the target says that something is gone.

use std::collections::HashSet;

use super::documents::Documents;
use super::knowledge::Flight;
use super::plan::CopyPlan;
use super::route::Route;
use super::shape::Shape;
use crate::content::{Cause, Error, Pull, Push, Put};
use crate::oci::{Digest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Brings the document with all that it names to the target, and then under `to`.
    ///
    /// Several tags of one document do not do the same work twice: the second waits for the first.
    /// Returns what the target said of the document, if it had to be put.
    pub(super) async fn bring(
        &self,
        documents: &Documents,
        shape: &Shape,
        to: &TagOrDigest,
    ) -> Result<Option<Put>, Error> {
        let (knowledge, location) = (&self.context.knowledge, self.target.location());
        let alone = knowledge.flight(Flight::Image(location.clone(), shape.root.clone()));
        let _alone = self.context.unless_stopped(alone).await?;

        match self.try_to_bring(documents, shape, to).await {
            Err(error) => {
                // The registry lost something that it had said to have, or that this run believed in: what it names
                // is brought again, once.
                let lost = error.missing_parts().ok_or_else(|| error.clone())?;
                if !shape.left_out.is_empty() && lost.iter().all(|digest| shape.left_out.contains(digest)) {
                    let what = format!("pushing manifest {to} to {location}");
                    return Err(Error::new(what, Cause::SparseRefused).at(&location.host));
                }
                knowledge.forget(location);
                lost.iter().for_each(|digest| knowledge.doubt(location, digest));
                let plan = self.plan(documents, shape, &lost.iter().cloned().collect()).await?;
                self.publish(&plan, to).await
            }
            done => done,
        }
    }

    /// What bringing the document over would take.
    pub(super) async fn plan(
        &self,
        documents: &Documents,
        shape: &Shape,
        lost: &HashSet<Digest>,
    ) -> Result<CopyPlan, Error> {
        let plan = self.context.unless_stopped(self.walk(documents, shape, lost)).await??;
        self.context.observer.planned(plan.missing_bytes());
        Ok(plan)
    }

    async fn try_to_bring(&self, documents: &Documents, shape: &Shape, to: &TagOrDigest) -> Result<Option<Put>, Error> {
        if self.context.knowledge.has_manifest(self.target.location(), &shape.root) {
            if *to == TagOrDigest::Digest(shape.root.clone()) {
                return Ok(None);
            }
            if let Some(put) = self.put_again(&shape.root, to).await? {
                return Ok(Some(put));
            }
        }
        let plan = self.plan(documents, shape, &HashSet::new()).await?;
        self.publish(&plan, to).await
    }

    /// Gives a document that this run has brought another tag. The target has its bytes: the source, which may count
    /// pulls, is not asked again.
    async fn put_again(&self, digest: &Digest, to: &TagOrDigest) -> Result<Option<Put>, Error> {
        let at = TagOrDigest::Digest(digest.clone());
        match self.context.unless_stopped(self.target.manifest(&at)).await? {
            Ok(Some(manifest)) => self.put_as(&manifest, to).await.map(Some),
            // Where the target counts pulls and has none left, the source is asked after all.
            Ok(None) => Ok(None),
            Err(error) if error.no_pulls().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
