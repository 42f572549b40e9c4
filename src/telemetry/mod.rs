//! Listeners of events: metrics, the status and the log.

mod log;
mod metrics;
mod repeats;
pub mod status;

pub use log::Log;
pub use metrics::{Metrics, NoMetrics};
pub use status::Status;
