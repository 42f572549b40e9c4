//! A mirror rule: which images go from where to where.

use std::sync::Arc;
use std::time::Duration;

use super::places::{Source, Target};
use super::platforms::Platforms;
use super::referrers::Referrers;
use super::select::{Pattern, TagFilter};
use crate::oci::{Host, Tag};

/// One rule, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique; the label on metrics and reports.
    pub name: Arc<str>,
    /// Which images go where.
    pub scope: Arc<Scope>,
    /// If this is there, its sources do not go each to its own place: its one target is the list of them.
    pub kept: Option<Kept>,
    /// The platforms that are wanted; all of them without it.
    pub platforms: Option<Platforms>,
    /// What goes along of what refers to an image.
    pub referrers: Referrers,
    /// Whether a tag that the target has may be moved.
    pub overwrite: bool,
    /// What is deleted at the targets; nothing without it.
    pub prune: Option<Prune>,
    /// How long a run may take.
    pub timeout: Option<Duration>,
}

/// A list that is kept composed of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Whether it is composed only of images that name one revision.
    pub same_revision: bool,
}

/// Which images go from where to where.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Where images come from; at least one.
    pub sources: Vec<Source>,
    /// Where each of them goes; at least one.
    pub targets: Vec<Target>,
    /// Which tags are taken of sources that name repositories.
    pub tags: TagFilter,
}

impl Scope {
    /// Whether images come from a layout, or go into one.
    pub(super) fn names_layouts(&self) -> bool {
        let targets = self.targets.iter().map(Target::host);
        self.sources.iter().map(Source::host).chain(targets).any(Host::is_layout)
    }

    /// Whether images come from this registry, or go there.
    pub fn names(&self, registry: &Host) -> bool {
        self.registries().any(|host| host == registry)
    }

    /// The registries that images come from, and those that they go to.
    pub fn registries(&self) -> impl Iterator<Item = &Host> {
        self.sources.iter().map(Source::host).chain(self.targets.iter().map(Target::host))
    }
}

/// What a rule deletes: the tags of its target repositories that it would not write itself. Those that another rule
/// writes stay, and so do tags `sha256-…` whose image is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Prune {
    /// Tags that one of these takes stay.
    pub keep: Vec<Pattern>,
    /// If more tags of one repository would go, none does, and that is an error.
    pub max_delete: usize,
    /// The rules that may write to the same repositories.
    pub others: Vec<Neighbour>,
}

/// Another rule that may write to a repository that is pruned.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Its name.
    pub rule: Arc<str>,
    /// What it writes.
    pub scope: Arc<Scope>,
}

impl Prune {
    /// How many tags may go unless the configuration says otherwise.
    pub const MAX_DELETE: usize = 20;

    pub(super) fn keeps(&self, tag: &Tag) -> bool {
        self.keep.iter().any(|pattern| pattern.matches(tag))
    }
}

impl From<&Rule> for Neighbour {
    fn from(rule: &Rule) -> Self {
        Self { rule: Arc::clone(&rule.name), scope: Arc::clone(&rule.scope) }
    }
}
