//! The cluster's queue against real `nats-server` processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod buckets;
mod hands;
mod images;
mod knowing;
mod refusals;
mod runs;
mod seen;
mod sharing;
mod support;
