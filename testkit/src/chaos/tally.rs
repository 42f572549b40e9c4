//! What passed, and what was done to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::Harm;

/// What a [`Chaos`](super::Chaos) has passed on and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The requests that came.
    pub requests: u64,
    /// The bytes of requests' bodies that went to the registry.
    pub sent: u64,
    /// The bytes of answers' bodies that went to the client.
    pub received: u64,
    /// How often each fault was committed.
    pub harms: BTreeMap<Harm, u64>,
}

impl Tally {
    /// The faults of all kinds.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.harms.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, sent, received, harms } = self;
        write!(f, "{requests} requests, {sent} bytes sent, {received} received, {} faults", self.faults())?;
        for (harm, count) in harms {
            write!(f, ", {harm:?} {count}")?;
        }
        Ok(())
    }
}

/// A number of bytes that grows.
pub(super) type Meter = Arc<AtomicU64>;

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    pub(super) sent: Meter,
    pub(super) received: Meter,
    harms: Mutex<BTreeMap<Harm, u64>>,
}

impl Counters {
    pub(super) fn came(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn committed(&self, harm: Harm) {
        *self.harms.lock().expect("no holder panics").entry(harm).or_default() += 1;
    }

    pub(super) fn snapshot(&self) -> Tally {
        Tally {
            requests: self.requests.load(Relaxed),
            sent: self.sent.load(Relaxed),
            received: self.received.load(Relaxed),
            harms: self.harms.lock().expect("no holder panics").clone(),
        }
    }
}
