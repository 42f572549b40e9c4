//! How a listing became a choice: what a dry run shows of it.

use serde::{Deserialize, Serialize};

/// What was chosen of one listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// What was listed, in words: `tags of docker.io/library/nginx`.
    pub source: String,
    /// How many names the listing has.
    pub listed: usize,
    /// How many of them were chosen.
    pub chosen: usize,
    /// The stages of the choice, in their order; those that dropped nothing may be left out.
    pub stages: Vec<StageReport>,
}

/// What one stage of a choice dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// The key of the rule that says it: `include`, `semver`, `exclude`, `latest`.
    pub stage: String,
    /// How many names it dropped.
    pub dropped: usize,
    /// The first few of them.
    pub examples: Vec<String>,
}
