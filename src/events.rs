//! What happens, told to whoever listens: metrics, the log, a progress bar.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::backoff::RetryReason;
use crate::oci::{Digest, Host, Reference};

/// The name under which work outside of rules is reported.
pub const IMPORT: &str = "import";

/// Listens to what happens. Every method has a default that does nothing; none may block.
pub trait Observer: Send + Sync {
    /// A registry answered a request, or did not.
    fn request(&self, _request: &Request<'_>) {}
    /// A request will be made again, after `pause`.
    fn retry(&self, _retry: &Retry<'_>) {}
    /// Bytes of blobs moved.
    fn bytes(&self, _registry: &Host, _direction: Direction, _bytes: u64) {}
    /// A plan says how many bytes are missing at a target.
    fn planned(&self, _bytes: u64) {}
    /// A blob starts to move from registry to registry; [`Observer::transfer_ended`] follows.
    fn transfer_started(&self) {}
    /// A blob's transfer ended, well or not.
    fn transfer_ended(&self) {}
    /// A blob is where it belongs, or failed to get there.
    fn blob(&self, _rule: &str, _outcome: BlobOutcome) {}
    /// An image of a rule is done.
    fn image(&self, _rule: &str, _image: &ImageReport) {}
    /// A rule's run begins.
    fn run_started(&self, _rule: &str) {}
    /// A rule's run ended.
    fn run_ended(&self, _run: &RuleReport) {}
}

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The registry on whose behalf it was made: also for its token realm.
    pub registry: &'a Host,
    /// The method.
    pub method: &'a str,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// From sending the request to the answer's headers.
    pub elapsed: Duration,
}

/// One try more.
#[derive(Clone, Copy)]
pub struct Retry<'a> {
    /// The registry.
    pub registry: &'a Host,
    /// Why it is worth it.
    pub reason: RetryReason,
    /// The pause before it.
    pub pause: Duration,
    /// What failed, in words.
    pub error: &'a dyn std::fmt::Display,
}

/// Which way bytes move, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a registry to us.
    Read,
    /// From us to a registry.
    Written,
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobOutcome {
    /// Its bytes went from the source to the target.
    Copied,
    /// The target took it from another of its repositories.
    Mounted,
    /// It was there.
    Present,
    /// It did not get there.
    Failed,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageOutcome {
    /// The target's tag was written.
    Copied,
    /// The target had it.
    Unchanged,
    /// Left alone on purpose.
    Skipped,
    /// It failed; the error says why.
    Failed,
}

/// How a rule's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Every image is in place.
    Success,
    /// At least one image failed.
    Failure,
    /// It took longer than the rule's `timeout` and was stopped.
    Timeout,
    /// It was stopped with the program.
    Cancelled,
}

/// How many blobs had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BlobCounts {
    /// Sent.
    pub copied: u64,
    /// Mounted.
    pub mounted: u64,
    /// Already there.
    pub present: u64,
}

/// One image of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// What was read.
    pub source: Reference,
    /// What was written.
    pub target: Reference,
    /// The root document's digest, if it is known.
    pub digest: Option<Digest>,
    /// What became of it.
    pub outcome: ImageOutcome,
    /// Bytes of blobs sent to the target.
    pub bytes: u64,
    /// Its blobs.
    pub blobs: BlobCounts,
    /// Requests made for it at both sides, redirects not counted.
    pub requests: u64,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Why it failed, with advice.
    pub error: Option<String>,
}

impl ImageReport {
    /// A report that has not succeeded yet.
    pub fn new(source: Reference, target: Reference) -> Self {
        Self {
            source,
            target,
            digest: None,
            outcome: ImageOutcome::Failed,
            bytes: 0,
            blobs: BlobCounts::default(),
            requests: 0,
            elapsed: Duration::ZERO,
            error: None,
        }
    }
}

/// One run of a rule.
#[derive(Debug, Clone, Serialize)]
pub struct RuleReport {
    /// The rule.
    pub name: Arc<str>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// When it began.
    #[serde(serialize_with = "timestamp")]
    pub started: SystemTime,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Its images.
    pub images: Vec<ImageReport>,
    /// Tags deleted at the target.
    pub pruned: Vec<Reference>,
    /// What deserves a look, though nothing failed.
    pub warnings: Vec<String>,
    /// What failed before any image could be looked at.
    pub error: Option<String>,
}

/// All runs of one `sync`.
#[derive(Debug, Clone, Serialize)]
pub struct SyncReport {
    /// The rules in the order of the configuration.
    pub rules: Vec<RuleReport>,
    /// Their sums.
    pub totals: Totals,
}

/// Sums over all images of a report.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    /// Images whose target was written.
    pub copied: u64,
    /// Images that were in place.
    pub unchanged: u64,
    /// Images left alone on purpose.
    pub skipped: u64,
    /// Images that failed.
    pub failed: u64,
    /// Bytes of blobs sent.
    pub bytes: u64,
    /// From the first rule's begin to the last one's end.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl SyncReport {
    /// Sums up.
    pub fn new(rules: Vec<RuleReport>, elapsed: Duration) -> Self {
        let mut totals = Totals {
            elapsed,
            ..Totals::default()
        };
        for image in rules.iter().flat_map(|rule| &rule.images) {
            *match image.outcome {
                ImageOutcome::Copied => &mut totals.copied,
                ImageOutcome::Unchanged => &mut totals.unchanged,
                ImageOutcome::Skipped => &mut totals.skipped,
                ImageOutcome::Failed => &mut totals.failed,
            } += 1;
            totals.bytes += image.bytes;
        }
        Self { rules, totals }
    }

    /// Whether every rule ended well.
    pub fn is_success(&self) -> bool {
        self.rules.iter().all(|rule| rule.outcome == RunOutcome::Success)
    }
}

fn seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}

/// Several observers as one.
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// Tells each of them, in this order.
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Arc<Self> {
        Arc::new(Self(observers))
    }
}

impl Observer for Observers {
    fn request(&self, request: &Request<'_>) {
        self.0.iter().for_each(|o| o.request(request));
    }
    fn retry(&self, retry: &Retry<'_>) {
        self.0.iter().for_each(|o| o.retry(retry));
    }
    fn bytes(&self, registry: &Host, direction: Direction, bytes: u64) {
        self.0.iter().for_each(|o| o.bytes(registry, direction, bytes));
    }
    fn planned(&self, bytes: u64) {
        self.0.iter().for_each(|o| o.planned(bytes));
    }
    fn transfer_started(&self) {
        self.0.iter().for_each(|o| o.transfer_started());
    }
    fn transfer_ended(&self) {
        self.0.iter().for_each(|o| o.transfer_ended());
    }
    fn blob(&self, rule: &str, outcome: BlobOutcome) {
        self.0.iter().for_each(|o| o.blob(rule, outcome));
    }
    fn image(&self, rule: &str, image: &ImageReport) {
        self.0.iter().for_each(|o| o.image(rule, image));
    }
    fn run_started(&self, rule: &str) {
        self.0.iter().for_each(|o| o.run_started(rule));
    }
    fn run_ended(&self, run: &RuleReport) {
        self.0.iter().for_each(|o| o.run_ended(run));
    }
}
