//! Listeners of events: metrics, the status, the log and notifications.

mod log;
mod metrics;
pub mod notify;
mod repeats;
pub mod status;

pub use log::Log;
pub use metrics::{Metrics, NoMetrics};
pub use notify::Notifier;
pub use status::Status;
