//! The source's documents, each fetched once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::content::Error;
use crate::oci::{Digest, Manifest};

/// Documents by digest: several targets, or a second plan, do not fetch them again, and of several who want one at the
/// same time one fetches it.
#[derive(Default)]
pub(super) struct Documents {
    kept: Mutex<HashMap<Digest, Arc<OnceCell<Manifest>>>>,
}

impl Documents {
    pub(super) fn keep(&self, manifest: Manifest) {
        // A document that is kept already has the same bytes.
        let _ = self.cell(manifest.digest()).set(manifest);
    }

    /// A document, fetched if it is not here.
    pub(super) async fn get(
        &self,
        digest: &Digest,
        fetch: impl Future<Output = Result<Manifest, Error>>,
    ) -> Result<Manifest, Error> {
        self.cell(digest).get_or_try_init(|| fetch).await.cloned()
    }

    /// Drops them.
    pub(super) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn cell(&self, digest: &Digest) -> Arc<OnceCell<Manifest>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(digest.clone()).or_default())
    }
}
