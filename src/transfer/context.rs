//! What all work of one run shares.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::knowledge::Knowledge;
use super::listings::Listings;
use super::memory::Memory;
use super::moves::Moving;
use super::shares::{Claimant, Shares};
use crate::content::{Cause, Error, Fence};
use crate::events::Observer;

/// Shared by everything that one run of a rule, or one import, does. Cheap to clone.
#[derive(Clone)]
pub(super) struct Context {
    /// The rule, as limits see it.
    pub(super) claimant: Claimant,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) memory: Arc<Memory>,
    pub(super) moving: Moving,
    pub(super) listings: Arc<Listings>,
    pub(super) images: Arc<Shares>,
    pub(super) blobs: Arc<Shares>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) cancel: CancellationToken,
    /// Says whether the work is still this process's, where another may take it over.
    pub(super) fence: Option<Arc<dyn Fence>>,
}

impl Context {
    /// The same for work that another process may take over, and does at other times.
    pub(super) fn fenced(self, fence: Arc<dyn Fence>) -> Self {
        Self { memory: Arc::new(self.memory.among_others()), fence: Some(fence), ..self }
    }

    /// Does `work` unless the run is stopped first; for everything but commits.
    ///
    /// On the heap: what is handed on from future to future by value is moved each time.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.cancel.run_until_cancelled(Box::pin(work)).await.ok_or_else(|| self.stopped())
    }

    pub(super) fn stopped(&self) -> Error {
        Error::new(format!("working on {}", self.claimant.rule), Cause::Cancelled)
    }
}
