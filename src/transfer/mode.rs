//! What a run does.

use serde::{Deserialize, Serialize};

use super::verify::Depth;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Brings images over.
    Execute,
    /// Brings images over as the source changes: a tag that was in place when it was last looked at is taken to be so
    /// still, and the target is not asked. Somebody looks again from time to time, by a [`Mode::Repair`].
    Follow,
    /// Brings images over, looks below the tags of those that are in place, and mends what is damaged there.
    Repair,
    /// Ends with the plan: the report says what an execution would do.
    Plan,
    /// Compares the target with the source, and says what is different.
    Verify(Depth),
}

impl Mode {
    /// Whether it writes to the targets.
    pub fn changes(self) -> bool {
        matches!(self, Self::Execute | Self::Follow | Self::Repair)
    }

    /// Whether it takes nothing for granted of an image whose tag is in place.
    pub(super) fn looks_below(self) -> bool {
        matches!(self, Self::Repair | Self::Verify(_))
    }
}
