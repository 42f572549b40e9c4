//! Who: many processes that share the work of one mirror, over NATS JetStream.
//!
//! [`Cluster`] is the connection with the streams and buckets; [`Replica`] works for it, by somebody's [`Hands`]: it takes
//! runs (`runs.rs`), whose images go out through a crew (`crew.rs`), and image jobs (`jobs.rs`), which come back as results.
//! Who may write is a [`Lease`]'s to say. What a process may believe without asking, `belief.rs` says of its leases, and
//! `seen/` of the targets' tags, whose moves all tell each other (`moves.rs`).

mod belief;
mod bucket;
mod claim;
mod cluster;
mod connect;
mod crew;
mod desk;
mod error;
mod hands;
mod inbox;
mod job_fence;
mod jobs;
mod knowing;
mod lease;
mod link;
mod message;
mod moves;
mod names;
mod order;
mod pull;
mod replica;
mod reports;
mod results;
mod runs;
mod seen;
mod settings;
pub mod shares;
mod sharing;
mod stored;
mod strangers;
mod streams;
mod suspects;
mod tally;
mod ticks;
mod troubles;

pub use bucket::{Bucket, Change, Entry, Watch};
pub use cluster::Cluster;
pub use error::Error;
pub use hands::Hands;
pub use knowing::Knowing;
pub use lease::Lease;
pub use moves::ToldMoves;
pub use order::Order;
pub use replica::{Part, Replica};
pub use reports::{RunNews, RunState, Runs, Told};
pub use settings::{Login, Settings};
pub use sharing::Sharing;
pub use ticks::ToldTicks;
