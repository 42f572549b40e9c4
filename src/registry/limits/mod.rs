//! The line before a registry: connections → adaptive window → requests per second; and the bandwidth of what passes.
//!
//! Waiting holds nothing: a request gets all that it needs at once. Only a blob's transfer holds a connection of one
//! registry while it waits for the other's; transfers take the two in one order, by host, so that none waits for
//! another in a circle (`transfer::lanes`).

mod admission;
mod allotments;
mod bandwidth;
mod part;
mod pauses;
pub(super) mod quota;
mod rate;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, futures::Notified};

pub use allotments::{Allotments, Shared};
pub use part::{Part, WHOLE, Wish};
pub use rate::Rate;

use crate::events::{Observer, ThrottleReason};
use crate::oci::Host;
use admission::{Admission, Wanted};
use bandwidth::Bandwidth;
pub(super) use pauses::Pauses;

/// What a request does, as registries tell requests apart when they limit them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Reading, whatever it is.
    Read,
    /// Everything about uploads but their bytes: sessions and mounts.
    Upload,
    /// The bytes of uploads, which take as long as they take.
    Body,
    /// Putting or deleting documents.
    ManifestWrite,
}

impl Class {
    const COUNT: usize = 4;
    const ALL: [Self; Self::COUNT] = [Self::Read, Self::Upload, Self::Body, Self::ManifestWrite];

    fn index(self) -> usize {
        self as usize
    }
}

/// Why something cannot go yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    reason: ThrottleReason,
    /// When it may be worth another look; `None`: when something is given back.
    until: Option<Instant>,
    /// It is a part of a shared limit that is lacking, and was not before.
    news: bool,
}

/// The limits of one registry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Requests in flight, those whose bodies still move among them.
    pub max_connections: Option<usize>,
    /// Requests per second.
    pub rate: Option<Rate>,
    /// Bytes of blobs per second, both directions together.
    pub bandwidth: Option<u64>,
    /// Pulls of an announced quota that are left to others.
    pub pull_reserve: u64,
}

/// Requests in flight to one registry where nothing else is configured.
const MAX_CONNECTIONS: usize = 32;

impl Limits {
    /// Requests in flight, at most.
    pub fn max_connections(&self) -> usize {
        self.max_connections.unwrap_or(MAX_CONNECTIONS)
    }
}

/// The line before one registry.
pub(super) struct Line {
    host: Host,
    state: Mutex<Admission>,
    changed: Notify,
    /// One queue for each kind of waiting: its head alone looks at the state, the others stand behind it in order.
    queues: [tokio::sync::Mutex<()>; 2 * Class::COUNT + 1],
    bandwidth: Option<Bandwidth>,
    observer: Arc<dyn Observer>,
    shared: Option<SharedLine>,
}

/// What of a line's limits many processes keep together, and who is told when a part is lacking.
struct SharedLine {
    flow: bool,
    connections: bool,
    lacking: Arc<Notify>,
}

impl Line {
    pub(super) fn new(host: &Host, limits: &Limits, observer: Arc<dyn Observer>) -> Self {
        let max_connections = limits.max_connections();
        Self {
            host: host.clone(),
            state: Mutex::new(Admission::new(host, max_connections, limits.rate)),
            changed: Notify::new(),
            queues: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            bandwidth: limits.bandwidth.map(Bandwidth::new),
            observer,
            shared: None,
        }
    }

    /// The same where many processes keep what is configured together: nothing may go before it has a part. The default
    /// number of connections is no limit of the registry's, and stays each process's own.
    pub(super) fn shared(self, limits: &Limits, lacking: Arc<Notify>) -> Self {
        let now = now();
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let flow = limits.rate.is_some() || limits.bandwidth.is_some();
        let connections = limits.max_connections.is_some();
        Self {
            state: Mutex::new(state.shared(flow, connections, now)),
            bandwidth: self.bandwidth.map(|bandwidth| bandwidth.shared(now)),
            shared: Some(SharedLine { flow, connections, lacking }),
            ..self
        }
    }

    /// Waits until a request may be made, on a connection of its own or in a lane.
    ///
    /// Cancel safe: who stops waiting has taken nothing.
    pub(super) async fn enter(self: &Arc<Self>, class: Class, in_lane: bool) -> Pass {
        let wanted = if in_lane { Wanted::InLane(class) } else { Wanted::Request(class) };
        let _turn = self.queues[queue(wanted)].lock().await;
        self.wait_at_the_head(wanted).await;
        let connection = Connection { line: Arc::clone(self), wanted };
        Pass { class, sent: now(), in_window: true, connection }
    }

    /// Waits for the connections of `count` streams of bytes. Requests of a lane need no connection of their own.
    ///
    /// Where there are fewer in all, those have to do. Who waits for the second one holds the first, and is the only one
    /// to do so. Cancel safe.
    pub(super) async fn lanes(self: &Arc<Self>, count: usize) -> Lane {
        let mut held = Vec::new();
        if count > 0 {
            let _turn = self.queues[queue(Wanted::Lane)].lock().await;
            while held.len() < count && self.wait_for_lane(held.len()).await {
                held.push(Connection { line: Arc::clone(self), wanted: Wanted::Lane });
            }
        }
        Lane(held.into())
    }

    /// Waits for one more lane than are held; false if there are no more in all, which may come to be so meanwhile.
    async fn wait_for_lane(&self, held: usize) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if held > 0 && held >= self.state().most_lanes(now()) {
                return false;
            }
            if self.admit_or_wait(Wanted::Lane, changed.as_mut()).await {
                return true;
            }
        }
    }

    /// How long a stream has to wait after these bytes.
    pub(super) fn charge(&self, bytes: usize) -> Duration {
        let pause = self.bandwidth.as_ref().map_or(Duration::ZERO, |bandwidth| bandwidth.charge(bytes, now()));
        if !pause.is_zero() {
            self.observer.throttled(&self.host, ThrottleReason::Bandwidth, pause);
        }
        pause
    }

    async fn wait_at_the_head(&self, wanted: Wanted) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.admit_or_wait(wanted, changed.as_mut()).await {
                return;
            }
        }
    }

    /// Takes what is wanted, or waits until it may be worth another look.
    async fn admit_or_wait(&self, wanted: Wanted, changed: std::pin::Pin<&mut Notified<'_>>) -> bool {
        let Err(held) = self.state().admit(wanted, now()) else { return true };
        if let Some(shared) = self.shared.as_ref().filter(|_| held.news) {
            shared.lacking.notify_one();
        }
        let started = now();
        look_again(changed, held.until).await;
        self.observer.throttled(&self.host, held.reason, now() - started);
        false
    }

    /// Which of its limits are shared.
    fn shares(&self, what: Shared) -> bool {
        self.shared.as_ref().is_some_and(|shared| match what {
            Shared::Flow => shared.flow,
            Shared::Connections => shared.connections,
            Shared::Pulls => false,
        })
    }

    /// A part of what many keep together is ours.
    fn give(&self, what: Shared, part: Part) {
        match what {
            Shared::Flow => {
                self.state().give_flow(part, now());
                if let Some(bandwidth) = &self.bandwidth {
                    bandwidth.give(part);
                }
            }
            Shared::Connections => self.state().give_connections(part),
            Shared::Pulls => {}
        }
        self.changed.notify_waiters();
    }

    /// What is wanted of it.
    fn wish(&self, what: Shared) -> Wish {
        match what {
            Shared::Flow => {
                let bytes = self.bandwidth.as_ref().map_or(0, |bandwidth| bandwidth.want(now()));
                Wish { want: self.state().want_flow(now()).max(bytes), bound: 0 }
            }
            Shared::Connections => self.state().wish_for_connections(now()),
            Shared::Pulls => Wish::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Admission> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those on held connections must not stand behind those that wait for one.
fn queue(wanted: Wanted) -> usize {
    match wanted {
        Wanted::Request(class) => class.index(),
        Wanted::InLane(class) => Class::COUNT + class.index(),
        Wanted::Lane => 2 * Class::COUNT,
    }
}

async fn look_again(changed: std::pin::Pin<&mut Notified<'_>>, until: Option<Instant>) {
    match until {
        Some(until) => tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(until.into()) => {}
        },
        None => changed.await,
    }
}

/// The right to have made one request. Dropped when the answer is read, or none came.
pub(super) struct Pass {
    class: Class,
    sent: Instant,
    in_window: bool,
    connection: Connection,
}

/// What an answer tells of a registry's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// It has done what was asked, or said why not.
    Bearable,
    /// It asks for less.
    TooMuch,
    /// Nothing: no answer, or one that another limit explains.
    Unknown,
}

impl Pass {
    /// The answer has begun: its place in the window goes to another request, and the window learns.
    pub(super) fn answered(&mut self, load: Load) {
        if !std::mem::take(&mut self.in_window) {
            return;
        }
        let line = &self.connection.line;
        let mut state = line.state();
        state.answered(self.class);
        match load {
            Load::Bearable => state.window(self.class).succeeded(),
            Load::TooMuch => state.window(self.class).throttled(self.sent, now()),
            Load::Unknown => {}
        }
        drop(state);
        line.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.answered(Load::Unknown);
    }
}

/// The connections that are held for the bytes of one blob. Clones share them.
#[derive(Clone)]
pub(super) struct Lane(#[expect(dead_code, reason = "held, not read")] Arc<[Connection]>);

impl Lane {
    /// None at all, for what is asked beside an answer whose connection is held.
    pub(super) fn none() -> Self {
        Self(Arc::new([]))
    }
}

/// A connection, given back when dropped.
struct Connection {
    line: Arc<Line>,
    wanted: Wanted,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.line.state().leave(self.wanted);
        self.line.changed.notify_waiters();
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
