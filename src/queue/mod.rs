//! Who: many processes that share the work of one mirror, over NATS JetStream.

mod settings;
pub mod shares;

pub use settings::{Login, Settings};
