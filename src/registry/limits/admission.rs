//! Who may go now. Pure: the clock is a parameter, and nothing waits here.

use std::time::Instant;

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
    connections: usize,
    lanes: usize,
    windows: [Window; Class::COUNT],
    class_rates: [Option<Pacer>; Class::COUNT],
    rate: Option<Pacer>,
}

impl Admission {
    pub(super) fn new(host: &Host, max_connections: usize, rate: Option<Rate>) -> Self {
        Self {
            connections: max_connections,
            lanes: max_lanes(max_connections),
            windows: Class::ALL.map(|_| Window::new(max_connections)),
            class_rates: Class::ALL.map(|class| rate::published(host, class).map(Pacer::new)),
            rate: rate.map(Pacer::new),
        }
    }

    /// Takes what is wanted.
    ///
    /// # Errors
    /// What it has to wait for: until an instant, or until something is given back.
    pub(super) fn admit(&mut self, wanted: Wanted, now: Instant) -> Result<(), Held> {
        let connections = wanted.connections();
        if self.connections < connections || (wanted == Wanted::Lane && self.lanes == 0) {
            return Err(Held { reason: ThrottleReason::Connections, until: None });
        }
        if let Wanted::Request(class) | Wanted::InLane(class) = wanted {
            self.admit_request(class, now)?;
        }
        self.connections -= connections;
        self.lanes -= wanted.lanes();
        Ok(())
    }

    fn admit_request(&mut self, class: Class, now: Instant) -> Result<(), Held> {
        let window = &mut self.windows[class.index()];
        window.check(now)?;
        let mut pacers = [&mut self.class_rates[class.index()], &mut self.rate];
        for pacer in pacers.iter_mut().filter_map(|pacer| pacer.as_mut()) {
            pacer.check().map_err(|next| Held { reason: ThrottleReason::Rate, until: Some(next) })?;
        }
        pacers.into_iter().filter_map(Option::as_mut).for_each(Pacer::spend);
        window.enter(now);
        Ok(())
    }

    /// Gives a request's place in its class's window back.
    pub(super) fn answered(&mut self, class: Class) {
        self.windows[class.index()].leave();
    }

    /// Gives connections back.
    pub(super) fn leave(&mut self, wanted: Wanted) {
        self.connections += wanted.connections();
        self.lanes += wanted.lanes();
    }

    pub(super) fn window(&mut self, class: Class) -> &mut Window {
        &mut self.windows[class.index()]
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
pub(super) fn max_lanes(max_connections: usize) -> usize {
    max_connections - max_connections / 4
}
