//! Why a repository is not pruned.

use std::sync::Arc;

use super::super::tagged::{TURN_DELETION_ON, named};
use crate::content::Error;
use crate::oci::Tag;

/// Why tags that may go do not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// More than `max_delete`.
    #[error(
        "{} tags would go, and max_delete is {limit}, so all of them stay: {}; \
         raise max_delete if they are to go, or name in keep what is to stay",
        .tags.len(),
        named(.tags)
    )]
    TooMany { tags: Vec<Tag>, limit: usize },
    /// Neither tags nor documents can be deleted.
    #[error("the registry deletes neither tags nor manifests: {TURN_DELETION_ON}, or set prune = false")]
    Off,
    /// What else is written there is not known.
    #[error("nothing goes, since it is not known what the rule {rule:?} writes there: {reason}")]
    Neighbour { rule: Arc<str>, reason: String },
    /// A request failed.
    #[error("{}", .0.with_advice())]
    Failed(#[from] Error),
}

impl Refusal {
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_cancelled())
    }
}
