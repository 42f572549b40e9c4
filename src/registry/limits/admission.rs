//! Who may go now. Pure: the clock is a parameter, and nothing waits here.

use std::time::Instant;

use super::part::{self, Ours, Part, Wish};
use super::rate::{self, Pacer, Rate};
use super::window::Window;
use super::{Class, Held};
use crate::events::ThrottleReason;
use crate::oci::Host;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To make a request on a connection that is still to be had.
    Request(Class),
    /// To make a request on a connection that is held already.
    InLane(Class),
    /// A connection for the bytes of one blob.
    Lane,
}

/// The state of one registry's limits. All that a request needs is had at once or not at all: who waits holds nothing.
pub(super) struct Admission {
    max_connections: usize,
    connections: usize,
    lanes: usize,
    windows: [Window; Class::COUNT],
    class_rates: [Option<Pacer>; Class::COUNT],
    rate: Option<Paced>,
    shared: SharedLimits,
}

/// A rate, and how it is kept.
struct Paced {
    rate: Rate,
    pacer: Pacer,
}

/// What is this process's of the limits that others use too.
#[derive(Default)]
struct SharedLimits {
    flow: Option<Ours>,
    connections: Option<Connections>,
}

struct Connections {
    ours: Ours,
    /// The most that were held since it was last asked.
    peak: usize,
}

impl Admission {
    pub(super) fn new(host: &Host, max_connections: usize, rate: Option<Rate>) -> Self {
        Self {
            max_connections,
            connections: 0,
            lanes: 0,
            windows: Class::ALL.map(|_| Window::new(max_connections)),
            class_rates: Class::ALL.map(|class| rate::published(host, class).map(Pacer::new)),
            rate: rate.map(Paced::new),
            shared: SharedLimits::default(),
        }
    }

    /// From here on only a part of these is ours: none yet.
    pub(super) fn shared(mut self, flow: bool, connections: bool, now: Instant) -> Self {
        self.shared = SharedLimits {
            flow: flow.then(|| Ours::none(now)),
            connections: connections.then(|| Connections { ours: Ours::none(now), peak: 0 }),
        };
        self
    }

    /// Takes what is wanted.
    ///
    /// # Errors
    /// What it has to wait for: until an instant, or until something is given back.
    pub(super) fn admit(&mut self, wanted: Wanted, now: Instant) -> Result<(), Held> {
        let connections = wanted.connections();
        let most = self.most_connections(now);
        if self.connections + connections > most || (wanted == Wanted::Lane && self.lanes >= max_lanes(most)) {
            let news = self.shared.connections.as_mut().is_some_and(|shared| shared.ours.lacks(now));
            return Err(Held { reason: ThrottleReason::Connections, until: None, news });
        }
        if let Wanted::Request(class) | Wanted::InLane(class) = wanted {
            self.admit_request(class, now)?;
        }
        self.connections += connections;
        self.lanes += wanted.lanes();
        if let Some(shared) = &mut self.shared.connections {
            shared.peak = shared.peak.max(self.connections);
        }
        Ok(())
    }

    fn admit_request(&mut self, class: Class, now: Instant) -> Result<(), Held> {
        if let Some(flow) = self.shared.flow.as_mut().filter(|flow| flow.share(now) == 0) {
            return Err(Held { reason: ThrottleReason::Cluster, until: None, news: flow.lacks(now) });
        }
        let window = &mut self.windows[class.index()];
        window.check(now)?;
        let mut pacers = [self.class_rates[class.index()].as_mut(), self.rate.as_mut().map(|rate| &mut rate.pacer)];
        for pacer in pacers.iter_mut().flatten() {
            pacer.check().map_err(|next| Held { reason: ThrottleReason::Rate, until: Some(next), news: false })?;
        }
        pacers.into_iter().flatten().for_each(Pacer::spend);
        window.enter(now);
        if let Some(flow) = &mut self.shared.flow {
            flow.uses(1.0, now);
        }
        Ok(())
    }

    /// How many lanes there may be at most now.
    pub(super) fn most_lanes(&self, now: Instant) -> usize {
        max_lanes(self.most_connections(now))
    }

    fn most_connections(&self, now: Instant) -> usize {
        let shared = self.shared.connections.as_ref();
        shared.map_or(self.max_connections, |shared| part::connections(self.max_connections, shared.ours.share(now)))
    }

    /// A part of what flows is ours now.
    pub(super) fn give_flow(&mut self, given: Part, now: Instant) {
        let Some(flow) = &mut self.shared.flow else { return };
        let had_none = flow.share(now) == 0;
        flow.give(given);
        if given.share == 0 {
            return;
        }
        if let Some(Paced { rate, pacer }) = &mut self.rate {
            let rate = rate.part(given.share);
            // What it had saved up is another's since then.
            if had_none { pacer.restart(rate) } else { pacer.retune(rate) }
        }
    }

    /// A part of the connections is ours now. Those that are more end by themselves.
    pub(super) fn give_connections(&mut self, given: Part) {
        if let Some(shared) = &mut self.shared.connections {
            shared.ours.give(given);
        }
    }

    /// How much of what flows is wanted.
    pub(super) fn want_flow(&mut self, now: Instant) -> u32 {
        let whole = self.rate.as_ref().map(|paced| paced.rate);
        let Some(flow) = &mut self.shared.flow else { return 0 };
        let used = flow.used_a_second(now);
        match whole {
            Some(whole) => {
                let granted = whole.part(flow.share(now)).per_second;
                flow.want(used, granted, whole.per_second, whole.least())
            }
            // Bandwidth alone says how much, but without any part no request is made.
            None => flow.want(0.0, 0.0, 1.0, 0),
        }
    }

    /// How many of the connections are wanted, and how many cannot be given back.
    pub(super) fn wish_for_connections(&mut self, now: Instant) -> Wish {
        let (most, all, held) = (self.most_connections(now), self.max_connections, self.connections);
        let Some(shared) = &mut self.shared.connections else { return Wish::default() };
        let used = std::mem::replace(&mut shared.peak, held) as f64;
        Wish {
            want: shared.ours.want(used, most as f64, all as f64, part::share_of(1, all)),
            bound: part::share_of(held, all),
        }
    }

    /// Gives a request's place in its class's window back.
    pub(super) fn answered(&mut self, class: Class) {
        self.windows[class.index()].leave();
    }

    /// Gives connections back.
    pub(super) fn leave(&mut self, wanted: Wanted) {
        self.connections -= wanted.connections();
        self.lanes -= wanted.lanes();
    }

    pub(super) fn window(&mut self, class: Class) -> &mut Window {
        &mut self.windows[class.index()]
    }
}

impl Paced {
    fn new(rate: Rate) -> Self {
        Self { rate, pacer: Pacer::new(rate) }
    }
}

impl Wanted {
    fn connections(self) -> usize {
        match self {
            Self::Request(_) | Self::Lane => 1,
            Self::InLane(_) => 0,
        }
    }

    fn lanes(self) -> usize {
        usize::from(self == Self::Lane)
    }
}

/// The connections that bytes of blobs may take: where there are enough, a quarter is left to short requests.
fn max_lanes(max_connections: usize) -> usize {
    max_connections - max_connections / 4
}
