//! Who: many processes that share the work of one mirror, over NATS JetStream.

#![expect(dead_code, reason = "the work on top of it follows")]

mod bucket;
mod cluster;
mod connect;
mod error;
mod link;
mod names;
mod settings;
mod stored;
mod streams;

pub use bucket::{Bucket, Change, Entry, Watch};
pub use cluster::Cluster;
pub use error::Error;
pub use settings::{Login, Settings};
