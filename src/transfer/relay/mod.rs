//! Blobs on their way to several targets: read once from the source, written to each.
//!
//! The first who needs a blob leads: it opens the source's stream. Whoever comes while the beginning of the stream is
//! still at hand joins; all others wait until a target has the blob, and take it from there. See [`Tap`] for what
//! happens to a target that is too slow for the others.

mod tap;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

pub(super) use tap::Tap;

use crate::content::{Error, Location, Trail};
use crate::oci::Digest;
use tap::Flow;

/// The blobs that a run fetches for several targets.
pub(super) struct Relays<B> {
    open: Mutex<HashMap<Digest, Arc<Relay<B>>>>,
    /// Targets that were too slow for the others once: nobody waits for them again.
    slow: Mutex<HashSet<Location>>,
}

/// One blob, as long as somebody takes part in fetching it.
struct Relay<B> {
    parts: Mutex<usize>,
    shared: Mutex<Option<Shared<B>>>,
    changed: Arc<Notify>,
}

/// The stream, when it is open, and where its hash stood on its way.
type Shared<B> = (Arc<Flow<B>>, Arc<Trail>);

/// What somebody who needs a blob is to do.
pub(super) enum Entry<B> {
    /// Nobody fetches it: open the source's stream.
    Lead(Part<B>),
    /// Somebody does, and the beginning is still at hand.
    Join(Part<B>),
    /// Somebody does: look again when this is over.
    Wait(OwnedNotified),
}

/// Takes part in fetching a blob, until it is dropped. Drop it after what came of it is known: others look then.
pub(super) struct Part<B> {
    relays: Arc<Relays<B>>,
    digest: Digest,
    relay: Arc<Relay<B>>,
}

impl<B> Default for Relays<B> {
    fn default() -> Self {
        Self { open: Mutex::default(), slow: Mutex::default() }
    }
}

impl<B: Stream<Item = Result<Bytes, Error>> + Send + 'static> Relays<B> {
    /// `from_start` says whether all of the blob is needed.
    pub(super) fn enter(self: &Arc<Self>, digest: &Digest, from_start: bool) -> Entry<B> {
        let mut open = locked(&self.open);
        let Some(relay) = open.get(digest) else {
            let relay = Arc::new(Relay { parts: Mutex::new(1), shared: Mutex::default(), changed: Arc::default() });
            open.insert(digest.clone(), Arc::clone(&relay));
            return Entry::Lead(Part { relays: Arc::clone(self), digest: digest.clone(), relay });
        };
        if from_start && locked(&relay.shared).as_ref().is_some_and(|(flow, _)| flow.has_beginning()) {
            *locked(&relay.parts) += 1;
            return Entry::Join(Part { relays: Arc::clone(self), digest: digest.clone(), relay: Arc::clone(relay) });
        }
        Entry::Wait(Arc::clone(&relay.changed).notified_owned())
    }
}

impl<B> Relays<B> {
    /// Remembers that this target was too slow for the others.
    pub(super) fn note_slow(&self, target: &Location) {
        locked(&self.slow).insert(target.clone());
    }
}

impl<B: Stream<Item = Result<Bytes, Error>> + Send + 'static> Part<B> {
    /// Shares a stream, which is at the beginning of a blob of this size, with `target` as its first reader.
    pub(super) fn share(&self, bytes: B, size: u64, trail: &Arc<Trail>, target: &Location) -> Tap<B> {
        let flow = Arc::new(Flow::new(bytes, size));
        let tap = Tap::first(&flow);
        self.mind_the_slow(&flow, target);
        *locked(&self.relay.shared) = Some((flow, Arc::clone(trail)));
        self.relay.changed.notify_waiters();
        tap
    }

    /// The stream that another shares; `None` if its beginning is gone meanwhile.
    pub(super) fn join(&self, target: &Location) -> Option<(Tap<B>, Arc<Trail>)> {
        let shared = locked(&self.relay.shared);
        let (flow, trail) = shared.as_ref()?;
        let tap = Tap::next(flow)?;
        self.mind_the_slow(flow, target);
        Some((tap, Arc::clone(trail)))
    }

    fn mind_the_slow(&self, flow: &Flow<B>, target: &Location) {
        if locked(&self.relays.slow).contains(target) {
            flow.wait_for_nobody();
        }
    }
}

impl<B> Drop for Part<B> {
    fn drop(&mut self) {
        let mut open = locked(&self.relays.open);
        let mut parts = locked(&self.relay.parts);
        *parts -= 1;
        if *parts == 0 {
            open.remove(&self.digest);
        }
        drop((open, parts));
        self.relay.changed.notify_waiters();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
