//! What was seen in place, from one run to the next.

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// What a target's tag pointed at when it was last looked at, or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtTarget {
    /// The document.
    pub digest: Digest,
    /// The last move of the tag that anybody had told of then: see [`Moves`](crate::transfer::Moves).
    pub last: u64,
}

/// That an image's tag points at the digest of its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// [`Task::since`](crate::transfer::Task::since)
    pub since: u64,
    /// The last move of the tag that anybody had told of then.
    pub last: u64,
}
