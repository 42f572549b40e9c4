//! The daemon's state as a document: the shape of `GET /api/v1/status`. Fields are added, never renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::RunOutcome;

/// The state at one moment. Times are RFC 3339 in UTC, to the second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version that runs.
    pub version: String,
    /// When the daemon began.
    pub started: Timestamp,
    /// Whether it runs rules: not any more once it stops.
    pub ready: bool,
    /// Its configuration.
    pub config: Configuration,
    /// Its rules, in the configuration's order.
    pub rules: Vec<Rule>,
}

/// What the daemon works by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file.
    pub file: Option<String>,
    /// When what holds was read.
    pub loaded: Option<Timestamp>,
    /// What became of the last look at the file since the start.
    pub last_reload: Option<Reload>,
}

/// The file was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When.
    pub at: Timestamp,
    /// Whether it holds now; if not, what was there before does.
    pub successful: bool,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it does now.
    pub state: State,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// When a run last ended with every image in place, since the daemon's start.
    pub last_success: Option<Timestamp>,
    /// The last run that ended.
    pub last_run: Option<Run>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its time.
    #[default]
    Idle,
    /// A run is under way.
    Running,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// How.
    pub outcome: RunOutcome,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Images whose target was written.
    pub copied: usize,
    /// Images that were in place.
    pub unchanged: usize,
    /// Images left alone on purpose.
    pub skipped: usize,
    /// Images that failed.
    pub failed: usize,
    /// Bytes of blobs sent.
    pub bytes: u64,
    /// What failed first, with advice.
    pub error: Option<String>,
}
