//! What has passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::Kind;

/// What went through a proxy: complete when the contender has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// By kind and the answer's status.
    pub(crate) requests: BTreeMap<(Kind, u16), u64>,
    /// Bytes of bodies that came from the registry.
    pub(crate) received: u64,
    /// Bytes of bodies that went to it.
    pub(crate) sent: u64,
    pub(crate) connections: u64,
}

impl Traffic {
    pub(crate) fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests of one kind that were answered so.
    pub(crate) fn count(&self, kind: Kind, status: u16) -> u64 {
        self.requests.get(&(kind, status)).copied().unwrap_or_default()
    }

    /// Requests of one kind, whatever the answer.
    pub(crate) fn of_kind(&self, wanted: Kind) -> u64 {
        self.requests.iter().filter(|((kind, _), _)| *kind == wanted).map(|(_, count)| count).sum()
    }
}

/// Counts while it passes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: Mutex<BTreeMap<(Kind, u16), u64>>,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) connections: AtomicU64,
}

impl Tally {
    pub(super) fn answered(&self, kind: Kind, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((kind, status)).or_default() += 1;
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            connections: self.connections.load(Relaxed),
        }
    }
}
