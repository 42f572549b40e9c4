//! Deleting what a target has and the rule would not write, once the images are in place.
//!
//! [`choice`] says which tags may go, and is pure. [`grounds`] are the repositories that are looked at: those of which
//! all sources are known. [`neighbours`] finds out what other rules write there, [`deletion`] lets tags go. A tag that
//! failed to be copied is still wanted, and stays.
//!
//! Nothing to prune costs nothing beside the target's listing, but for a HEAD for each tag `sha256-…` whose image the
//! rule does not write itself.

mod choice;
mod deletion;
mod grounds;
mod neighbours;
mod pruning;
mod refusal;

use std::sync::Arc;

pub(super) use grounds::Gaps;

use super::rule::{Rule, Scope};
use super::select::Pattern;
use crate::oci::Tag;

/// What a rule deletes: the tags of its target repositories that it would not write itself. Those that another rule
/// writes stay, and so do tags `sha256-…` whose image is there.
#[derive(Debug, Clone)]
pub struct Prune {
    /// Tags that one of these takes stay.
    pub keep: Vec<Pattern>,
    /// If more tags of one repository would go, none does, and that is an error.
    pub max_delete: usize,
    /// The rules that may write to the same repositories.
    pub others: Vec<Neighbour>,
}

/// Another rule that may write to a repository that is pruned.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Its name.
    pub rule: Arc<str>,
    /// What it writes.
    pub scope: Arc<Scope>,
}

impl Prune {
    /// How many tags may go unless the configuration says otherwise.
    pub const MAX_DELETE: usize = 20;

    fn keeps(&self, tag: &Tag) -> bool {
        self.keep.iter().any(|pattern| pattern.matches(tag))
    }
}

impl From<&Rule> for Neighbour {
    fn from(rule: &Rule) -> Self {
        Self { rule: Arc::clone(&rule.name), scope: Arc::clone(&rule.scope) }
    }
}
