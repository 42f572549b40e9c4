//! A mirror rule: which images go from where to where.

use std::sync::Arc;
use std::time::Duration;

use super::select::TagFilter;
use crate::content::Location;
use crate::oci::{Tag, TagOrDigest};

/// One rule, checked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Unique; the label on metrics and reports.
    pub name: Arc<str>,
    /// Where images come from.
    pub source: Location,
    /// Where they go.
    pub target: Location,
    /// Which of them.
    pub images: Images,
    /// How long a run may take.
    pub timeout: Option<Duration>,
}

/// Which images of its source a rule mirrors.
#[derive(Debug, Clone)]
pub enum Images {
    /// Those whose tags the filter takes, under the same tags.
    Tags(TagFilter),
    /// One image.
    One {
        /// What is read.
        from: TagOrDigest,
        /// The tag that is written; none leaves the image without one.
        to: Option<Tag>,
    },
}
