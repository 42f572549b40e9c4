//! What came of a task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Sight, Task};
use crate::content::NoPulls;
use crate::events::ImageReport;
use crate::oci::Platform;

/// What came of working on a task.
#[derive(Debug)]
pub enum Worked {
    /// It is done, well or not: what became of the image at each of its targets, in their order.
    Done(Vec<Brought>),
    /// It needs pulls that are not left. Nothing is held for it meanwhile.
    Parked(Box<Parked>),
    /// It was stopped in the middle: it may be begun again, and is not reported. What it had brought until then, for who
    /// stopped it because the run is stopped.
    Stopped(Vec<Brought>),
    /// Another has taken it over.
    Displaced,
}

/// A task that waits for pulls.
#[derive(Debug)]
pub struct Parked {
    /// What is left of it: to be handed out again.
    pub task: Task,
    /// What is known of the quota.
    pub none: NoPulls,
    /// How long it is not worth another try.
    pub wait: Duration,
}

/// An image at one of its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brought {
    /// Its report.
    pub image: ImageReport,
    /// What it tells of platforms.
    #[serde(default)]
    pub sighting: Sighting,
    /// Whether an observer was told of it where it was worked on: metrics count it there.
    #[serde(default)]
    pub is_told: bool,
    /// That its tag is in place, if that is known and somebody wanted to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

impl Brought {
    /// What is said of an image that nobody has worked on.
    pub(super) fn untold(image: ImageReport) -> Self {
        Self { image, sighting: Sighting::Unknown, is_told: false, sight: None }
    }
}

/// The platforms of one image, as far as its rule has wanted to know them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sighting {
    /// It was not looked into, and may have any.
    Whole,
    /// It has these, and lacks some that are wanted.
    Seen {
        /// The former.
        has: Vec<Platform>,
        /// The latter.
        lacks: Vec<Platform>,
    },
    /// It failed before anything was known.
    #[default]
    Unknown,
}
