//! What runs report: the shape of `sync --output json`. Fields are added, never renamed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

use super::Selected;
use crate::oci::{Digest, Platform, Reference};

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

impl ImageOutcome {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Copied, Self::Unchanged, Self::Skipped, Self::Failed];

    /// The value of the metric's label, and of the report's field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// How a rule's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl RunOutcome {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Timeout, Self::Cancelled];

    /// The value of the metric's label, and of the report's field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
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
    /// What was read; of a list that was composed, the first part of it.
    pub source: Reference,
    /// All that a composed list was made of; empty for what came as it is.
    pub sources: Vec<Reference>,
    /// What was written.
    pub target: Reference,
    /// The root document's digest, if it is known.
    pub digest: Option<Digest>,
    /// The platforms that a list which was brought has at the target; empty where nobody looked.
    #[serde(serialize_with = "names")]
    pub platforms: Vec<Platform>,
    /// What became of it.
    pub outcome: ImageOutcome,
    /// Bytes of blobs sent to the target.
    pub bytes: u64,
    /// Its blobs.
    pub blobs: BlobCounts,
    /// Signatures, SBOMs and other referrers brought with it; those of its children are among them.
    pub referrers: u64,
    /// Requests made for it at both sides, redirects not counted.
    pub requests: u64,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Why it failed, with advice.
    pub error: Option<String>,
    /// What a verification found to be other than it should; `error` has the same in one line.
    pub differences: Vec<String>,
}

impl ImageReport {
    /// A report of something that has not succeeded yet.
    pub fn new(source: Reference, target: Reference) -> Self {
        Self {
            source,
            sources: Vec::new(),
            target,
            digest: None,
            platforms: Vec::new(),
            outcome: ImageOutcome::Failed,
            bytes: 0,
            blobs: BlobCounts::default(),
            referrers: 0,
            requests: 0,
            elapsed: Duration::ZERO,
            error: None,
            differences: Vec::new(),
        }
    }

    /// Whether the target has what it is to have; of a dry run, whether it would.
    pub fn is_in_place(&self) -> bool {
        matches!(self.outcome, ImageOutcome::Copied | ImageOutcome::Unchanged)
    }
}

impl RuleReport {
    /// A report of a run that begins.
    pub fn begun(name: &Arc<str>, started: SystemTime) -> Self {
        Self {
            name: Arc::clone(name),
            outcome: RunOutcome::Success,
            started,
            elapsed: Duration::ZERO,
            selections: Vec::new(),
            images: Vec::new(),
            pruned: Vec::new(),
            warnings: Vec::new(),
            error: None,
        }
    }

    /// Whether the run, or an image of it, failed.
    pub fn has_failures(&self) -> bool {
        self.error.is_some() || self.images.iter().any(|image| image.outcome == ImageOutcome::Failed)
    }

    /// How many images had this outcome.
    pub fn count(&self, outcome: ImageOutcome) -> usize {
        self.images.iter().filter(|image| image.outcome == outcome).count()
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
    /// How its tags, and repositories, were chosen; one for each listing.
    pub selections: Vec<Selected>,
    /// Its images.
    pub images: Vec<ImageReport>,
    /// Tags deleted at the target; in a plan those that would be.
    pub pruned: Vec<Reference>,
    /// What deserves a look, though nothing failed.
    pub warnings: Vec<String>,
    /// What failed beside the images: a source that could not be looked at, a prune that was refused.
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
        let mut totals = Totals { elapsed, ..Totals::default() };
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

fn names<S: Serializer>(platforms: &[Platform], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(platforms.iter().map(ToString::to_string))
}

fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}
