//! One image of a run, handed to another process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AtTarget, Brought, Document};
use crate::content::Location;
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::transfer::mode::Mode;

/// One image of a rule with all the targets that it goes to. Plain data: fields are added, never renamed, and each that
/// is added has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What the rule does ([`Rule::fingerprint`](crate::transfer::Rule::fingerprint)): who has another rule of this name
    /// does not do the task.
    pub fingerprint: Digest,
    /// What the run is for.
    pub mode: Mode,
    /// When the run began, in milliseconds since 1970: tasks of one run share what is found out.
    pub begun: u64,
    /// What is seen in place is told with this number, by which who owns the run knows that it was seen since it does;
    /// unset if nobody wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Where the image is read.
    pub source: Location,
    /// Under which name.
    pub from: TagOrDigest,
    /// What the source's listing tells of referrers.
    pub hangs: Hangs,
    /// Where it goes: at least one.
    pub targets: Vec<TaskTarget>,
    /// How many tasks before this one are for the very same image and targets.
    #[serde(default)]
    pub copy: u32,
    /// What of it was fetched before it was parked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// One target of an image, and what its listing told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskTarget {
    /// The repository.
    pub location: Location,
    /// Under what it is written.
    pub to: TagOrDigest,
    /// Whether the repository was listed, and did not have the tag.
    pub is_absent: bool,
    /// Whether the repository was not there when the run began.
    pub is_new: bool,
    /// What was in place there, and nobody has told of moving since: it is not asked for where the run follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<AtTarget>,
    /// What became of it, if that was found out before the task was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Brought>,
}

impl TaskTarget {
    /// What was told of its tag may be old by now: to believe that it is not there would cost a pull, and to believe what
    /// was seen there could leave it where another has moved it.
    pub(super) fn doubt(&mut self) {
        (self.is_absent, self.seen) = (false, None);
    }
}

/// Which tags of the source hang something on an image, as cosign's do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hangs {
    /// It was not listed, or need not be: each is asked for by itself.
    Unlisted,
    /// All of them.
    Tags(Vec<Tag>),
    /// More than are sent along with each image: who does the task lists them once for the run.
    Many,
}

impl Task {
    /// Names the image and where it goes, the same in every run and on every machine: 32 hex digits. Two tasks of one
    /// run never have the same.
    pub fn id(&self) -> String {
        let mut named = format!("{}\n{}\n{}\n{}", self.rule, self.source, self.from, self.copy);
        for target in &self.targets {
            named.push_str(&format!("\n{}\n{}", target.location, target.to));
        }
        Digest::of(named.as_bytes()).hex()[..32].to_owned()
    }

    /// The same for who has it after others, who may have moved its tags.
    pub fn after_others(mut self) -> Self {
        self.targets.iter_mut().for_each(TaskTarget::doubt);
        self
    }

    /// What is said of a task that cannot be done, as one that killed everybody who took it. Targets that were served
    /// before have what became of them.
    pub fn failed(&self, reason: &str) -> Vec<Brought> {
        self.ended(ImageOutcome::Failed, reason)
    }

    /// What is said of a task that nobody has done when the run was stopped.
    pub fn left_alone(&self, reason: &str) -> Vec<Brought> {
        self.ended(ImageOutcome::Skipped, reason)
    }

    fn ended(&self, outcome: ImageOutcome, reason: &str) -> Vec<Brought> {
        let ended = |target: &TaskTarget| {
            let image = ImageReport { outcome, error: Some(reason.to_owned()), ..self.report(target) };
            target.brought.clone().unwrap_or_else(|| Brought::untold(image))
        };
        self.targets.iter().map(ended).collect()
    }

    /// A report before it is done.
    pub(super) fn report(&self, target: &TaskTarget) -> ImageReport {
        ImageReport::new(self.source.reference(&self.from), target.location.reference(&target.to))
    }
}
