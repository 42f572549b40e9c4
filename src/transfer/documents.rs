//! The source's documents, each fetched once.

use super::once::Once;
use crate::content::Error;
use crate::oci::{Digest, Manifest};

/// Lists nest no deeper than this.
pub(super) const MAX_DEPTH: usize = 8;
/// An image has no more documents than this.
pub(super) const MAX_DOCUMENTS: usize = 10_000;

/// Documents by digest: several targets, or a second plan, do not fetch them again, and of several who want one at the
/// same time one fetches it.
#[derive(Default)]
pub(super) struct Documents(Once<Digest, Manifest>);

impl Documents {
    pub(super) fn keep(&self, manifest: Manifest) {
        let digest = manifest.digest().clone();
        self.0.keep(&digest, manifest);
    }

    /// A document, fetched if it is not here.
    pub(super) async fn get(
        &self,
        digest: &Digest,
        fetch: impl Future<Output = Result<Manifest, Error>>,
    ) -> Result<Manifest, Error> {
        self.0.get(digest, fetch).await
    }

    /// A document, if it is here.
    pub(super) fn find(&self, digest: &Digest) -> Option<Manifest> {
        self.0.find(digest)
    }

    /// Those that are here.
    pub(super) fn known(&self) -> Vec<Manifest> {
        self.0.known()
    }

    /// Drops them.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}
