//! Who: many processes that share the work of one mirror, over NATS JetStream.

mod settings;

pub use settings::{Login, Settings};
