//! What the API asks of who runs the rules.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::transfer::{Import, Pushed};

/// Does what the API is asked to do.
pub trait Operations: Send + Sync {
    /// Has a rule run: now, or once more after the run that is under way.
    fn sync<'a>(&'a self, rule: &'a str, key: Option<Key>) -> BoxFuture<'a, Result<SyncAccepted, Refusal>>;

    /// Has the rules run soon that read what was pushed, once for all that is told meanwhile. Returns how many there are.
    fn pushed(&self, pushes: &[Pushed]) -> usize;

    /// Takes an import into the queue.
    ///
    /// # Errors
    /// Why it is not taken.
    fn import(&self, import: Import, key: Option<Key>) -> Result<ImportJob, Refusal>;

    /// An import that was taken, with its result; `None` if it is not known, or not any more.
    fn import_job(&self, id: &str) -> Option<ImportJob>;

    /// Imports without their results, the latest first: so many, after so many others; and how many there are in all.
    fn imports(&self, skip: usize, take: usize) -> (usize, Vec<ImportJob>);
}

/// By which a request that is sent again is known. Source: draft-ietf-httpapi-idempotency-key-header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What the client calls the request.
    pub name: String,
    /// What it asks for.
    pub request: String,
}

/// Why something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such rule.
    UnknownRule,
    /// The key was that of another request.
    KeyTaken,
    /// Too much waits already.
    Full,
    /// The daemon stops.
    Stopping,
    /// The cluster's NATS does not answer.
    Unreached,
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncAccepted {
    /// The id of the run.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// Whether it follows a run that is under way.
    pub folded: bool,
}

/// An import that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct ImportJob {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub state: JobState,
    /// What is read.
    pub source: String,
    /// What is written.
    pub targets: Vec<String>,
    /// Whether tags may be moved.
    pub force: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its work began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it did not come to a result, with advice. Where it did, each image has its own error.
    pub error: Option<String>,
    /// What `regferry import --output json` prints.
    pub result: Option<Arc<RawValue>>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for those before it.
    Queued,
    /// It is at work.
    Running,
    /// Every target has it.
    Done,
    /// At least one target does not have it.
    Failed,
}
