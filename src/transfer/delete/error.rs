//! What keeps something from being deleted.

use super::super::tagged::TURN_DELETION_ON;
use crate::content::Error;
use crate::oci::Reference;

/// Why nothing was deleted. The text is complete.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// Neither tags nor documents can be deleted there.
    #[error("deleting {0}: the registry deletes neither tags nor manifests: {TURN_DELETION_ON}")]
    Off(Reference),
    /// Somebody moved the tag meanwhile.
    #[error("deleting {0}: it was moved just now, and is left as it is: look at it, and try again")]
    Moved(Reference),
    /// With the document something else would go than was told.
    #[error(
        "deleting {document}: what hangs on it has changed since it was told: {changes}; nothing was deleted: look at \
         it, and try again"
    )]
    Changed {
        /// The document.
        document: Reference,
        /// What changed.
        changes: String,
    },
    /// It could not be deleted by way of the stand-in. The tag points where it pointed before.
    #[error("deleting {tag}: {reason}; the tag is where it was")]
    PutBack {
        /// The tag.
        tag: Reference,
        /// What kept the stand-in from being deleted.
        reason: String,
    },
    /// The tag was moved onto the stand-in, and could not be put back.
    #[error(
        "deleting {tag}: {reason}; the tag now points at an empty manifest, since it could not be put back either: \
         {also}; do that with `regferry copy {original} {tag}`"
    )]
    Stranded {
        /// The tag.
        tag: Reference,
        /// What kept the stand-in from being deleted.
        reason: String,
        /// What kept the tag from being put back.
        also: String,
        /// What the tag pointed at.
        original: Reference,
    },
    /// The document was taken out of a list of referrers, and could not be put back into it.
    #[error(
        "{reason}; {document} is no longer in the list {list} of what refers to an image, since that could not be put \
         back: {also}; delete it again, or attach it again"
    )]
    Unlisted {
        /// The document.
        document: Reference,
        /// The list's tag.
        list: Reference,
        /// What kept the document from being deleted.
        reason: String,
        /// What kept the list from being put back.
        also: String,
    },
    /// It may not be deleted by us.
    #[error("{0}; these credentials lack the right to delete there")]
    Forbidden(Error),
    /// A request failed.
    #[error("{}", .0.with_advice())]
    Failed(Error),
}

impl RemovalError {
    /// What a request to delete was answered.
    pub(super) fn of_deletion(error: Error) -> Self {
        if error.is_forbidden() { Self::Forbidden(error) } else { Self::Failed(error) }
    }
}

impl From<Error> for RemovalError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
