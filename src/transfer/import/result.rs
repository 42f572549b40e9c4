//! What an import reports, as `regferry import --output json` prints it and the API answers it.

use serde::Serialize;

use super::{Import, Imported};
use crate::events::ImageReport;
use crate::oci::{Digest, Reference};

/// The result. Fields are added, never renamed.
#[derive(Debug, Serialize)]
pub struct ImportResult<'a> {
    source: &'a Reference,
    source_digest: &'a Digest,
    /// As they were named; none where all of them were wanted.
    platforms: Vec<String>,
    digest_kept: bool,
    images: &'a [ImageReport],
    dry_run: bool,
}

impl Imported {
    /// What is reported of it.
    pub fn result<'a>(&'a self, import: &'a Import) -> ImportResult<'a> {
        ImportResult {
            source: &import.source,
            source_digest: &self.source_digest,
            platforms: import.extent.platforms().iter().map(ToString::to_string).collect(),
            digest_kept: self.digest == self.source_digest,
            images: &self.images,
            dry_run: import.dry_run,
        }
    }

    /// Whether every target has what it is to have; of a dry run, whether it would.
    pub fn is_in_place(&self) -> bool {
        self.images.iter().all(ImageReport::is_in_place)
    }
}
