//! The log: one line for each image that changed or failed, quiet when nothing happens.
//!
//! Messages are fixed texts, and what differs stands in fields whose names and units do not change: `rule`, `image`,
//! `digest`, `registry`; `bytes`; `seconds` and `pause` in seconds; `copied`, `unchanged`, `failed` images, and
//! `deleted` tags; `error` and `warning`, the texts; `times` and `since` of what came before, `untold` of what came and
//! has no line of its own.

mod commands;
mod daemon;
mod lines;
mod past;

use std::sync::Arc;

use crate::events::Observer;

use commands::Commands;
use daemon::Daemon;

/// How much of what happens is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// All of it: the log is all that a daemon tells. What fails at every tick is told once, then once an hour.
    Everything,
    /// What does not stand in a command's result: requests, retries, and what goes well.
    BesideResults,
}

impl Log {
    /// The listener that writes.
    pub fn observer(self) -> Arc<dyn Observer> {
        match self {
            Self::Everything => Arc::new(Daemon::default()),
            Self::BesideResults => Arc::new(Commands),
        }
    }
}
