//! The source's documents, each fetched once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::content::{Cause, Error, Pull};
use crate::oci::{Digest, Manifest, TagOrDigest};

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

    /// A document that is named by another one, or was resolved just now: its absence is an error.
    pub(super) async fn get(&self, source: &impl Pull, digest: &Digest) -> Result<Manifest, Error> {
        let fetch = || async {
            let found = source.manifest(&TagOrDigest::Digest(digest.clone())).await?;
            found.ok_or_else(|| {
                Error::new(format!("fetching manifest {digest} of {}", source.location()), Cause::NotFound)
            })
        };
        self.cell(digest).get_or_try_init(fetch).await.cloned()
    }

    fn cell(&self, digest: &Digest) -> Arc<OnceCell<Manifest>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(digest.clone()).or_default())
    }
}
