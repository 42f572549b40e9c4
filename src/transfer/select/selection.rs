//! What became of the tags of a listing.

use std::fmt;

use serde::{Serialize, Serializer};

use super::newest::newest;
use crate::oci::Tag;

/// What a filter chose, and why not the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The tags chosen, in the order of the listing.
    pub tags: Vec<Tag>,
    /// Tags that the filter names exactly and the listing does not have.
    pub missing: Vec<Tag>,
    /// What of the filter matches nothing in the listing.
    pub unmatched: Vec<Unmatched>,
    /// How many tags there were to choose among. Those that hang referrers on an image are not counted.
    pub listed: usize,
    /// The keys that the filter has, in the order in which they act.
    pub stages: Vec<Stage>,
}

/// A part of a filter that matches nothing. Prints as `the pattern "x*"` or `the range ">=9"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmatched {
    /// A pattern of `include`.
    Pattern(String),
    /// The range of `semver`.
    Range(String),
}

/// What one key of a filter did. Prints as `semver dropped 120: 3.17.9, 3.17.8, …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The key.
    pub what: StageKind,
    /// How many tags it dropped, of those that the stages before it let through.
    pub dropped: usize,
    /// The newest of them, five at most.
    pub examples: Vec<Tag>,
}

/// The keys of a filter. Print as they are written in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// `include`
    Include,
    /// `semver`
    Semver,
    /// `exclude`
    Exclude,
    /// `latest`
    Latest,
}

impl Selection {
    /// Drops tags, and notes it as a stage.
    pub(super) fn keep(&mut self, what: StageKind, mut takes: impl FnMut(&Tag) -> bool) {
        const EXAMPLES: usize = 5;
        let tags = std::mem::take(&mut self.tags);
        let (kept, dropped): (Vec<Tag>, Vec<Tag>) = tags.into_iter().partition(|tag| takes(tag));
        self.tags = kept;
        self.stages.push(Stage { what, dropped: dropped.len(), examples: newest(&dropped, EXAMPLES) });
    }
}

impl StageKind {
    /// The key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Semver => "semver",
            Self::Exclude => "exclude",
            Self::Latest => "latest",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for StageKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dropped {}", self.what, self.dropped)?;
        for (index, tag) in self.examples.iter().enumerate() {
            write!(f, "{}{tag}", if index == 0 { ": " } else { ", " })?;
        }
        f.write_str(if self.dropped > self.examples.len() { ", …" } else { "" })
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "the pattern {pattern:?}"),
            Self::Range(range) => write!(f, "the range {range:?}"),
        }
    }
}
