//! What came of pruning one repository.

use crate::content::Pull;
use crate::oci::{Reference, Tag, TagOrDigest};

/// Collected while tags go.
#[derive(Default)]
pub(super) struct Pruned {
    /// What was deleted, or would be.
    pub(super) tags: Vec<Reference>,
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<String>,
}

/// A tag of a repository.
pub(super) fn reference(target: &impl Pull, tag: Tag) -> Reference {
    target.location().reference(&TagOrDigest::Tag(tag))
}
