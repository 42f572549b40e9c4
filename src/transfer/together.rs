//! An image and what refers to it, brought together.

use std::collections::HashSet;

use super::documents::Documents;
use super::mode::Mode;
use super::plan::CopyPlan;
use super::referrers::{Hanging, Search};
use super::route::Route;
use super::shape::Shape;
use super::shares::Permit;
use crate::content::{Error, Pull, Push};
use crate::events::ImageReport;
use crate::oci::{Digest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Waits until an image may be worked on for this target.
    pub(super) async fn permit(&self) -> Result<Permit, Error> {
        let permit = self.context.images.acquire(&self.target.location().host, &self.context.claimant);
        self.context.unless_stopped(permit).await
    }

    /// What refers to an image and is not at the target, if it is wanted there. `documents` are the image's, if the
    /// target does not have them.
    pub(super) async fn hanging(
        &self,
        search: Search<'_>,
        (root, as_written): (&Digest, bool),
        documents: Option<&Documents>,
    ) -> Result<Vec<Hanging>, Error> {
        if search.wanted.is_none() {
            return Ok(Vec::new());
        }
        // What the target has lost of an image it may have lost with all that refers to it, whatever is remembered.
        let search = Search { anew: search.anew || documents.is_some(), ..search };
        self.context.unless_stopped(self.missing_referrers(search, root, as_written, documents)).await?
    }

    /// An image in place may have got a signature since. Returns whether it had.
    pub(super) async fn complete(
        &self,
        search: Search<'_>,
        mode: Mode,
        documents: &Documents,
        root: (&Digest, bool),
        report: &mut ImageReport,
    ) -> Result<bool, Error> {
        let missing = self.hanging(search, root, None).await?;
        if missing.is_empty() {
            return Ok(false);
        }
        report.referrers = missing.len() as u64;
        if mode.changes() {
            let _permit = self.permit().await?;
            self.attach(documents, missing).await?;
        }
        Ok(true)
    }

    /// Brings an image that the target does not have. What refers to it is there before the tag points at it: whoever
    /// wants a signature finds one. Returns the plan instead, if that is all that is wanted.
    pub(super) async fn bring_together(
        &self,
        search: Search<'_>,
        mode: Mode,
        documents: &Documents,
        shape: &Shape,
        to: &TagOrDigest,
        report: &mut ImageReport,
    ) -> Result<Option<CopyPlan>, Error> {
        let missing = self.hanging(search, (&shape.root, shape.as_written), Some(documents)).await?;
        report.referrers = missing.len() as u64;
        if mode == Mode::Plan {
            return self.plan(documents, shape, &HashSet::new()).await.map(Some);
        }
        if !missing.is_empty() {
            self.bring(documents, shape, &TagOrDigest::Digest(shape.root.clone())).await?;
            self.attach(documents, missing).await?;
        }
        self.bring(documents, shape, to).await.map(|_| None)
    }
}
