//! What the tasks of one run share that are done in one process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Task;
use crate::content::{Error, Location, Pull};
use crate::oci::{Digest, Host};
use crate::registry::Access;
use crate::transfer::engine::Engine;
use crate::transfer::knowledge::Knowledge;
use crate::transfer::listings::Listings;
use crate::transfer::once::Once;
use crate::transfer::referrers::Hung;
use crate::transfer::relay::Relays;
use crate::transfer::stock::Seats;
use crate::transfer::store::Store;
use crate::transfer::verify::Checked;

/// Lives as long as one of the tasks is under way.
pub(in crate::transfer) struct Shift {
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) listings: Arc<Listings>,
    pub(super) seats: Seats,
    pub(super) relays: Arc<Relays<<Store as Pull>::Blob>>,
    hung: Once<Location, Option<Arc<Hung>>>,
    /// What was looked at in a target, by source and target.
    checked: Mutex<HashMap<(Location, Location), Arc<Checked>>>,
    /// Registries that are known to have no pulls left.
    out_of_pulls: Mutex<HashSet<Host>>,
}

/// The shifts of a process, by the run that they work for.
pub(in crate::transfer) type Shifts = Mutex<HashMap<Run, Weak<Shift>>>;

/// A run, as its tasks name it: the rule, what it does, and when it began.
type Run = (Arc<str>, Digest, u64);

impl Engine {
    /// The shift that works for the task's run, or a new one.
    pub(super) fn shift(&self, task: &Task) -> Arc<Shift> {
        let run = (Arc::clone(&task.rule), task.fingerprint.clone(), task.begun);
        let mut shifts = self.shifts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shift) = shifts.get(&run).and_then(Weak::upgrade) {
            return shift;
        }
        shifts.retain(|_, shift| shift.strong_count() > 0);
        let shift = Arc::new(Shift {
            knowledge: self.knowledge(),
            listings: Arc::default(),
            seats: Seats::default(),
            relays: Arc::default(),
            hung: Once::default(),
            checked: Mutex::default(),
            out_of_pulls: Mutex::default(),
        });
        shifts.insert(run, Arc::downgrade(&shift));
        shift
    }
}

impl Shift {
    /// What the source's listing tells of referrers, listed once; none where it cannot be had.
    pub(super) async fn hung(&self, source: &Store) -> Option<Arc<Hung>> {
        let ask = async {
            let listed = self.listings.tags(source, Access::Pull).await?;
            Ok(listed.map(|tags| Arc::new(Hung::among(&*tags))))
        };
        let hung: Result<_, Error> = self.hung.get(source.location(), ask).await;
        hung.ok().flatten()
    }

    pub(super) fn checked(&self, source: &Location, target: &Location) -> Arc<Checked> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(checked.entry((source.clone(), target.clone())).or_default())
    }

    /// Whether nobody has told yet that this registry has no pulls left.
    pub(super) fn is_news(&self, host: &Host) -> bool {
        self.out_of_pulls.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone())
    }
}
