//! What a replica learns of its cluster.

use crate::oci::Host;

/// What a replica learns of its cluster. All but what is counted is how things are now.
#[derive(Debug, Clone, Copy)]
pub enum ClusterNews<'a> {
    /// Whether NATS is reached.
    Connected(bool),
    /// How many replicas are heard of, this one among them.
    Replicas(usize),
    /// How much work waits or is being done, over all replicas.
    Backlog {
        /// Of what kind.
        queue: Queue,
        /// How many messages.
        messages: u64,
    },
    /// This replica was given work that was begun before: its replica died, or gave it back.
    Redelivered(Queue),
    /// This replica put work aside that had been begun too often.
    DeadLetter(Queue),
    /// How many leases this replica holds.
    Leases {
        /// On what.
        kind: LeaseKind,
        /// How many.
        held: usize,
    },
    /// Which part of a registry's limits this replica may use, from 0 to 1; none where it keeps none of them.
    Share {
        /// The registry.
        registry: &'a Host,
        /// The part.
        part: Option<f64>,
    },
}

/// What work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Runs of rules.
    Runs,
    /// Their images.
    Images,
}

impl Queue {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Runs, Self::Images];

    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Images => "images",
        }
    }
}

/// What a lease is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseKind {
    /// A rule: its run is this replica's.
    Rule,
    /// An image that is being written.
    Image,
}

impl LeaseKind {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Rule, Self::Image];

    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Image => "image",
        }
    }
}
