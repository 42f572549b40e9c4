//! What runs report: the shape of `sync --output json`. Fields are added, never renamed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Selected;
use crate::oci::{Digest, Platform, Reference};

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlobCounts {
    /// Sent.
    pub copied: u64,
    /// Mounted.
    pub mounted: u64,
    /// Already there.
    pub present: u64,
}

/// One image of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReport {
    /// What was read; of a list that was composed, the first part of it.
    pub source: Reference,
    /// All that a composed list was made of; empty for what came as it is.
    #[serde(default)]
    pub sources: Vec<Reference>,
    /// What was written.
    pub target: Reference,
    /// The root document's digest, if it is known.
    pub digest: Option<Digest>,
    /// The platforms that a list which was brought has at the target; empty where nobody looked.
    #[serde(default, serialize_with = "names", deserialize_with = "read_names")]
    pub platforms: Vec<Platform>,
    /// What became of it.
    pub outcome: ImageOutcome,
    /// Bytes of blobs sent to the target.
    #[serde(default)]
    pub bytes: u64,
    /// Its blobs.
    #[serde(default)]
    pub blobs: BlobCounts,
    /// Signatures, SBOMs and other referrers brought with it; those of its children are among them.
    #[serde(default)]
    pub referrers: u64,
    /// Requests made for it at both sides, redirects not counted.
    #[serde(default)]
    pub requests: u64,
    /// How long it took.
    #[serde(default, rename = "seconds", serialize_with = "seconds", deserialize_with = "read_seconds")]
    pub elapsed: Duration,
    /// Why it failed, with advice.
    pub error: Option<String>,
    /// What a verification found to be other than it should; `error` has the same in one line.
    #[serde(default)]
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

    /// Whether it came so far that it looked at images: a registry that was down shows none.
    pub fn has_looked(&self) -> bool {
        match self.outcome {
            // One that takes too long would take as long the next time.
            RunOutcome::Success | RunOutcome::Timeout => true,
            RunOutcome::Failure => self.count(ImageOutcome::Copied) + self.count(ImageOutcome::Unchanged) > 0,
            RunOutcome::Cancelled => false,
        }
    }

    /// What failed beside the images, or the first of them; `None` where nothing did.
    pub fn first_error(&self) -> Option<String> {
        let failed = self.images.iter().find(|image| image.outcome == ImageOutcome::Failed);
        let of_image = || failed.and_then(|image| Some(format!("{}: {}", image.target, image.error.as_ref()?)));
        self.error.clone().or_else(of_image)
    }

    /// How many images had this outcome.
    pub fn count(&self, outcome: ImageOutcome) -> usize {
        self.images.iter().filter(|image| image.outcome == outcome).count()
    }
}

/// One run of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The rule.
    pub name: Arc<str>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// When it began.
    #[serde(serialize_with = "timestamp", deserialize_with = "read_timestamp")]
    pub started: SystemTime,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "read_seconds")]
    pub elapsed: Duration,
    /// How its tags, and repositories, were chosen; one for each listing.
    #[serde(default)]
    pub selections: Vec<Selected>,
    /// Its images.
    #[serde(default)]
    pub images: Vec<ImageReport>,
    /// Tags deleted at the target; in a plan those that would be.
    #[serde(default)]
    pub pruned: Vec<Reference>,
    /// What deserves a look, though nothing failed.
    #[serde(default)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
    #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "read_seconds")]
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

/// A list may name a platform as nobody else would: without that one a report is still a report.
fn read_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Platform>, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// To the millisecond, as it is written.
fn read_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let read = Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)?;
    Ok(Duration::from_millis(u64::try_from((read + Duration::from_micros(500)).as_millis()).unwrap_or(u64::MAX)))
}

fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}

fn read_timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    humantime::parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_report_of_a_run_reads_as_it_is_written(
            started in 0..4_000_000_000u64,
            elapsed in 0..10_000_000_000u64,
            outcome in prop::sample::select(RunOutcome::ALL.to_vec()),
            error in proptest::option::of(".*"),
            warnings in prop::collection::vec(".*", 0..3),
        ) {
            let image: Reference = "r.example/app:v1".parse().unwrap();
            let started = SystemTime::UNIX_EPOCH + Duration::from_secs(started);
            let stage = super::super::StageReport { stage: "include".to_owned(), dropped: 2, examples: warnings.clone() };
            let selected = Selected { source: "tags".to_owned(), listed: 3, chosen: 1, stages: vec![stage] };
            let report = RuleReport {
                outcome,
                elapsed: Duration::from_millis(elapsed),
                selections: vec![selected],
                images: vec![ImageReport::new(image.clone(), image.clone())],
                pruned: vec![image],
                warnings,
                error,
                ..RuleReport::begun(&Arc::from("app"), started)
            };
            let json = serde_json::to_string(&report).unwrap();
            prop_assert_eq!(serde_json::from_str::<RuleReport>(&json).unwrap(), report, "{}", json);
        }
    }
}
