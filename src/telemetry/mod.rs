//! Listeners of events: metrics and the log.

mod log;
mod metrics;

pub use log::Log;
pub use metrics::Metrics;
