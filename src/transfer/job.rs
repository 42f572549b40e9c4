//! One image of a run on its way to one target, and what it shares with others.

use std::sync::Arc;

use super::notes::Notes;
use super::original::{Original, Serving};
use super::referrers::Hung;
use super::relay::Relays;
use super::route::Before;
use super::verify::Checked;
use crate::content::Pull;
use crate::events::ImageReport;
use crate::oci::TagOrDigest;
use crate::registry::{Remote, Seat};

/// One image of a run, on its way to one target.
pub(super) struct Job {
    pub(super) way: Arc<Way>,
    pub(super) original: Arc<Original>,
    pub(super) to: TagOrDigest,
    pub(super) before: Before,
    /// Once it is under way, also while it waits.
    pub(super) serving: Option<Serving>,
}

/// What the images of one repository have in common.
pub(super) struct Way {
    pub(super) source: Remote,
    pub(super) target: Remote,
    /// The rule's other targets for the same source.
    pub(super) siblings: Vec<Remote>,
    pub(super) seat: Arc<Seat>,
    pub(super) relays: Arc<Relays<<Remote as Pull>::Blob>>,
    /// What the source's listing tells of referrers, if it was listed.
    pub(super) hung: Option<Arc<Hung>>,
    pub(super) notes: Arc<Notes>,
    pub(super) checked: Checked,
}

/// Where an image stands in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) repository: usize,
    pub(super) item: usize,
    pub(super) target: usize,
}

impl Job {
    /// A report of it before it is done.
    pub(super) fn report(&self) -> ImageReport {
        let (source, target) = (self.way.source.location(), self.way.target.location());
        ImageReport::new(source.reference(&self.original.from), target.reference(&self.to))
    }
}
