//! What becomes of one image of a run that does not fail.

use crate::content::{Cause, Error};
use crate::events::{BlobCounts, ImageOutcome, ImageReport};
use crate::oci::Digest;

/// What became of it.
pub(super) enum Done {
    Unchanged,
    Copied,
    LeftAlone(String),
    /// It was only looked at, and is not as it should be.
    Different(Vec<String>),
    /// What would become of its blobs, and how many bytes would be sent.
    Planned(BlobCounts, u64),
}

impl Done {
    pub(super) fn taken(found: &Digest, ours: &Digest) -> Self {
        Self::LeftAlone(format!("the target has {found}, the source has {ours}, and the rule does not overwrite"))
    }

    /// Something else than `wanted`, which says what there should be, stands at the target.
    pub(super) fn other(found: Option<&Digest>, wanted: &str) -> Self {
        let there = found.map_or_else(|| "the tag is not there".to_owned(), |found| format!("it is {found}"));
        Self::Different(vec![format!("{there}; {wanted}")])
    }

    /// What came of putting a root under its tag: a tag that the registry, or the rule, does not move is left alone.
    pub(super) fn of_put(put: Result<(), Error>, root: &Digest) -> Result<Self, Error> {
        match put {
            Ok(()) => Ok(Self::Copied),
            Err(error) if error.is_immutable() => Ok(Self::LeftAlone(error.to_string())),
            Err(error) => match error.cause() {
                Cause::TagTaken(found) => Ok(Self::taken(found, root)),
                _ => Err(error),
            },
        }
    }

    /// Writes it into a report, which says that it failed until then.
    pub(super) fn tell(self, report: &mut ImageReport) {
        match self {
            Self::Unchanged => report.outcome = ImageOutcome::Unchanged,
            Self::Copied => report.outcome = ImageOutcome::Copied,
            Self::LeftAlone(reason) => {
                report.outcome = ImageOutcome::Skipped;
                report.error = Some(reason);
            }
            Self::Different(differences) => {
                report.error = Some(differences.join("; "));
                report.differences = differences;
            }
            Self::Planned(blobs, bytes) => {
                report.outcome = ImageOutcome::Copied;
                (report.blobs, report.bytes) = (blobs, bytes);
            }
        }
    }
}
