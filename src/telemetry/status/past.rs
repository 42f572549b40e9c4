//! What is known of rules, as rows that can be written down: a process that comes later goes on with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::snapshot::{Fault, Image, Run};

/// So many changes are told one by one.
const MOST: usize = 20_000;

/// One thing that is known of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// All of it, but for its images.
    Rule {
        /// The rule.
        rule: String,
        /// When a run last ended with every image in place.
        last_success: Option<Timestamp>,
        /// What failed last.
        last_error: Option<Fault>,
        /// When the last run began that left every image in place.
        looked: Option<Timestamp>,
        /// Whether the last run that came to its own end failed.
        has_failed: Option<bool>,
        /// Its last runs, the latest last.
        runs: Vec<Run>,
    },
    /// A run more.
    Run {
        /// The rule.
        rule: String,
        /// The run.
        run: Run,
        /// When it ended.
        ended: Timestamp,
    },
    /// An image as it was when it was last looked at.
    Image {
        /// The rule.
        rule: String,
        /// The image.
        image: Image,
    },
    /// An image that is the rule's no more.
    Gone {
        /// The rule.
        rule: String,
        /// What it was at the target.
        target: String,
    },
}

impl Past {
    /// The rule that it is of.
    pub fn rule(&self) -> &str {
        match self {
            Self::Rule { rule, .. } | Self::Run { rule, .. } | Self::Image { rule, .. } | Self::Gone { rule, .. } => {
                rule
            }
        }
    }
}

/// What has changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// Whether something is not among the rows: what counts then is [`Status::past`](super::Status::past).
    pub is_more: bool,
    /// The changes, in their order.
    pub rows: Vec<Past>,
}

impl Changed {
    pub(super) fn add(&mut self, row: Past) {
        if self.rows.len() >= MOST {
            self.rows.clear();
            self.is_more = true;
        }
        if !self.is_more {
            self.rows.push(row);
        }
    }
}
