//! One image of a run on its way to one target, and what it shares with others.

use std::sync::Arc;

use super::notes::Notes;
use super::original::{Original, Serving};
use super::referrers::Hung;
use super::relay::Relays;
use super::route::Before;
use super::store::Store;
use super::verify::Checked;
use crate::content::Pull;
use crate::events::ImageReport;
use crate::oci::TagOrDigest;
use crate::registry::{Seat, Waited};

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
    pub(super) source: Store,
    pub(super) target: Store,
    /// The rule's other targets for the same source.
    pub(super) siblings: Vec<Store>,
    pub(super) seat: Option<Arc<Seat>>,
    pub(super) relays: Arc<Relays<<Store as Pull>::Blob>>,
    /// What the source's listing tells of referrers, if it was listed.
    pub(super) hung: Option<Arc<Hung>>,
    pub(super) notes: Arc<Notes>,
    pub(super) checked: Arc<Checked>,
}

/// Where an image stands in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) repository: usize,
    pub(super) item: usize,
    pub(super) target: usize,
}

impl Way {
    /// Waits for the source's pulls: a layout counts none.
    pub(super) async fn pulls(&self) -> Waited {
        match &self.seat {
            Some(seat) => seat.wait().await,
            None => Waited::Left(u64::MAX),
        }
    }
}

impl Job {
    /// A report of it before it is done.
    pub(super) fn report(&self) -> ImageReport {
        let (source, target) = (self.way.source.location(), self.way.target.location());
        ImageReport::new(source.reference(&self.original.from), target.reference(&self.to))
    }
}
