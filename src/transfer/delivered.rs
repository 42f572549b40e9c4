//! What came of serving one of a rule's targets.

use super::job::Place;
use crate::events::ImageReport;
use crate::oci::Reference;

/// Collected while images are brought and tags pruned.
#[derive(Default)]
pub(super) struct Delivered {
    pub(super) images: Vec<(Place, ImageReport)>,
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) pruned: Vec<Reference>,
}
