//! The daemon's state as documents: the shape of what `GET /api/v1/status` and its neighbours answer. Fields are added,
//! never renamed. Times are RFC 3339 in UTC, to the second.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::{ImageOutcome, RunOutcome};

/// The state at one moment.
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
    /// The cluster that it is one of; none where it works alone.
    #[serde(default)]
    pub cluster: Option<ClusterState>,
    /// Its rules, in the configuration's order.
    pub rules: Vec<Rule>,
}

/// A cluster as one of its replicas saw it last, some seconds ago at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// Whether NATS is reached, and answers.
    pub connected: bool,
    /// Replicas that are heard of, this one among them.
    pub replicas: usize,
    /// Runs that wait or are under way, over all replicas.
    pub runs: u64,
    /// Images that wait or are under way, over all replicas.
    pub images: u64,
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

/// A rule. What a daemon of an earlier version does not say has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it does now.
    pub state: State,
    /// How it is.
    pub condition: Condition,
    /// What it waits for: the registry's quota of pulls, in words.
    pub waiting: Option<String>,
    /// Where its images come from.
    pub sources: Vec<String>,
    /// Where they go.
    pub targets: Vec<String>,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// When a run last ended with every image in place, as far back as is known.
    pub last_success: Option<Timestamp>,
    /// The last run that ended.
    pub last_run: Option<Run>,
    /// What failed last, with advice; it stays when runs succeed again.
    pub last_error: Option<Fault>,
    /// The run that is under way.
    pub run: Option<Progress>,
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

/// How a rule is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// No run of it has come to its own end yet.
    #[default]
    New,
    /// A run is under way.
    Running,
    /// A run is under way, and waits for pulls of a registry's quota.
    Waiting,
    /// Its last run failed, or took too long.
    Failing,
    /// Its last run left every image in place.
    Fresh,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When.
    pub at: Timestamp,
    /// What, and what to do about it.
    pub error: Arc<str>,
}

/// A run that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Its id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// Images that it has found so far.
    pub found: usize,
    /// Those that are done, whatever became of them.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
    /// Bytes of blobs sent for those that are done.
    pub bytes: u64,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, which no other run has.
    #[serde(default)]
    pub id: String,
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
    /// Tags deleted at targets.
    #[serde(default)]
    pub pruned: usize,
    /// Bytes of blobs sent.
    pub bytes: u64,
    /// What failed first, with advice.
    pub error: Option<Arc<str>>,
}

/// A rule with its past.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleDetail {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Its last runs, the latest first.
    pub runs: Vec<Run>,
    /// How many of its images are known.
    pub images: ImageCounts,
}

/// How many images of a rule are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImageCounts {
    /// All of them.
    pub total: usize,
    /// Those that failed when they were last looked at.
    pub failed: usize,
}

/// Some of a rule's images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImagePage {
    /// The rule.
    pub rule: String,
    /// Which page this is, from 1 on.
    pub page: usize,
    /// How many images a page has at most.
    pub per_page: usize,
    /// How many images there are on all pages.
    pub total: usize,
    /// Those of this page.
    pub images: Vec<Image>,
}

/// An image of a rule, as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// What was written, or would be.
    pub target: String,
    /// What was read.
    pub source: String,
    /// Its digest, if it is known.
    pub digest: Option<String>,
    /// The platforms that it is for; empty where nobody looked, as at what was in place already.
    pub platforms: Vec<String>,
    /// What became of it.
    pub outcome: ImageOutcome,
    /// When it was looked at.
    pub seen: Timestamp,
    /// When it was last copied, as far back as is known.
    pub copied: Option<Timestamp>,
    /// Bytes of blobs sent when it was last copied, or tried to.
    pub bytes: u64,
    /// How long that took.
    pub seconds: f64,
    /// Why it failed or was left alone, with advice.
    pub error: Option<Arc<str>>,
}

/// A registry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Registry {
    /// Its host.
    pub host: String,
    /// How it answers.
    pub health: Health,
    /// What it may be asked at most.
    pub limits: RegistryLimits,
    /// Pulls that are left, as it last announced.
    pub pulls_left: Option<PullsLeft>,
    /// Seconds of waiting, all waits together, by the limit that was waited for.
    pub throttled_seconds: BTreeMap<&'static str, f64>,
    /// Requests since the daemon's start.
    pub requests: u64,
    /// Requests that were made once more.
    pub retries: u64,
    /// When it last answered.
    pub last_answer: Option<Timestamp>,
    /// What failed last.
    pub last_error: Option<Fault>,
}

/// How a registry answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// As it should.
    Ok,
    /// It says that it is asked too much.
    Throttled,
    /// It does not answer, or with errors of its own.
    Failing,
}

/// What a registry may be asked at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RegistryLimits {
    /// Requests in flight.
    pub max_connections: usize,
    /// Requests per second.
    pub requests_per_second: Option<f64>,
    /// Bytes per second.
    pub bandwidth: Option<u64>,
    /// Pulls that are left to others.
    pub pull_reserve: u64,
}

/// Pulls of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullsLeft {
    /// How many.
    pub remaining: u64,
    /// When they are all there again, at the latest.
    pub until: Timestamp,
}

/// What moves now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Bytes of blobs read since the daemon's start.
    pub bytes_read: u64,
    /// Bytes of blobs written since the daemon's start.
    pub bytes_written: u64,
    /// Blobs being transferred.
    pub transfers: u64,
    /// The runs that are under way, by their rules.
    pub runs: BTreeMap<String, Progress>,
}
