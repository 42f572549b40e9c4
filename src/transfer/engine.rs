//! What runs rules and imports: the registries, the limits that all of them share, and who is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::crew::Shifts;
use super::hearsay::Hearsay;
use super::knowledge::Knowledge;
use super::listings::Listings;
use super::memory::Memory;
use super::mode::Mode;
use super::moves::{Moves, Moving};
use super::shares::{Claimant, Shares};
use crate::events::Observer;
use crate::oci::Host;
use crate::registry::{Registries, Settings};

/// Limits over all rules together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Images being copied at once.
    pub max_images: usize,
    /// Blobs being transferred at once. Each takes about 1.2 MiB of memory.
    pub max_blobs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_images: 32, max_blobs: 32 }
    }
}

/// Runs rules and imports. Share it in an [`Arc`]; all methods may run side by side.
pub struct Engine {
    pub(super) registries: Registries,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) images: Arc<Shares>,
    pub(super) limits: Limits,
    blobs: Arc<Shares>,
    learnt: Arc<Learnt>,
    pass: Mutex<Weak<Listings>>,
    pub(super) shifts: Shifts,
}

/// What a process learns while it runs.
#[derive(Default)]
struct Learnt {
    knowledge: Shared,
    hearsay: Arc<Hearsay>,
    planned_knowledge: Shared,
    memory: Arc<Memory>,
    moves: OnceLock<Arc<dyn Moves>>,
    successes: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Engine {
    /// An engine that talks to these registries.
    pub fn new(registries: Registries, limits: Limits, observer: Arc<dyn Observer>) -> Self {
        Self {
            registries,
            observer,
            images: Arc::new(Shares::new(limits.max_images)),
            blobs: Arc::new(Shares::new(limits.max_blobs)),
            limits,
            learnt: Arc::default(),
            pass: Mutex::default(),
            shifts: Shifts::default(),
        }
    }

    /// The same engine under other settings: it knows what this one has learnt, and goes on with the connections,
    /// logins and permits of what has not changed. Runs that this one has begun end as they began.
    #[must_use]
    pub fn reconfigured(&self, settings: HashMap<Host, Settings>, limits: Limits) -> Self {
        let permits = |permits: &Arc<Shares>, before: usize, now: usize| {
            if before == now { Arc::clone(permits) } else { Arc::new(Shares::new(now)) }
        };
        Self {
            registries: self.registries.reconfigured(settings),
            observer: Arc::clone(&self.observer),
            images: permits(&self.images, self.limits.max_images, limits.max_images),
            blobs: permits(&self.blobs, self.limits.max_blobs, limits.max_blobs),
            limits,
            learnt: Arc::clone(&self.learnt),
            pass: Mutex::default(),
            shifts: Shifts::default(),
        }
    }

    /// What all of its work shares.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The registries, for commands that only look.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// What is known of the targets, shared by all who hold it: runs that overlap learn from each other, and what they
    /// learnt ends with the last of them.
    pub fn knowledge(&self) -> Arc<Knowledge> {
        self.learnt.knowledge.get(|| Knowledge::beside(&self.learnt.hearsay))
    }

    /// What other processes say, and what they are told: of blobs that runs and imports find or bring.
    pub fn hearsay(&self) -> &Arc<Hearsay> {
        &self.learnt.hearsay
    }

    /// From now on all that is written under a tag, or deleted, is told to others who write to the same targets. Once for
    /// an engine and all that are made of it.
    pub fn tell_moves(&self, moves: Arc<dyn Moves>) {
        self.learnt.moves.get_or_init(|| moves);
    }

    /// The knowledge of plans, which learn from each other what a run would do.
    pub fn planned_knowledge(&self) -> Arc<Knowledge> {
        self.learnt.planned_knowledge.get(Knowledge::default)
    }

    /// Begins a pass: runs that begin while this is held read each listing once for all of them. A run outside of a
    /// pass reads its own, so that none works with what was listed before it was due.
    pub fn begin_pass(&self) -> Arc<Listings> {
        let listings = Arc::default();
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&listings);
        listings
    }

    /// Forgets when a rule last succeeded, since there is no such rule any more.
    pub fn forget_rule(&self, rule: &str) {
        self.learnt.successes.lock().unwrap_or_else(PoisonError::into_inner).remove(rule);
    }

    /// When a rule last succeeded in this process.
    pub(super) fn last_success(&self, rule: &Arc<str>) -> Option<std::time::Instant> {
        let successes = self.learnt.successes.lock().unwrap_or_else(PoisonError::into_inner);
        successes.get(rule).map(|at| at.into_std())
    }

    pub(super) fn note_success(&self, rule: &Arc<str>) {
        let mut successes = self.learnt.successes.lock().unwrap_or_else(PoisonError::into_inner);
        successes.insert(Arc::clone(rule), Instant::now());
    }

    /// What the work of a run, an import or a deletion shares. What only looks is no event, and nothing that a run could
    /// count on; nor does it count on what a run knows.
    pub(super) fn context(&self, rule: &Arc<str>, mode: Mode, cancel: CancellationToken) -> Context {
        let (knowledge, observer) = match mode {
            Mode::Plan => (self.planned_knowledge(), Arc::new(()) as Arc<dyn Observer>),
            _ if mode.changes() => (self.knowledge(), Arc::clone(&self.observer)),
            _ => (Arc::default(), Arc::new(()) as _),
        };
        Context {
            claimant: Claimant { rule: Arc::clone(rule), last_success: self.last_success(rule) },
            knowledge,
            memory: Arc::clone(&self.learnt.memory),
            moving: Moving::among(self.learnt.moves.get().cloned()),
            listings: self.pass.lock().unwrap_or_else(PoisonError::into_inner).upgrade().unwrap_or_default(),
            images: Arc::clone(&self.images),
            blobs: Arc::clone(&self.blobs),
            observer,
            cancel,
            fence: None,
        }
    }
}

/// In a daemon whose runs always overlap, what was learnt ends after this time, so that it can neither grow nor grow
/// stale without bound.
const KNOWLEDGE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Knowledge that lives as long as somebody holds it.
#[derive(Default)]
struct Shared(Mutex<Option<(Weak<Knowledge>, Instant)>>);

impl Shared {
    fn get(&self, fresh: impl FnOnce() -> Knowledge) -> Arc<Knowledge> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = shared.as_ref().filter(|(_, since)| since.elapsed() < KNOWLEDGE_LIFETIME);
        young.and_then(|(current, _)| current.upgrade()).unwrap_or_else(|| {
            let fresh = Arc::new(fresh());
            *shared = Some((Arc::downgrade(&fresh), Instant::now()));
            fresh
        })
    }
}
