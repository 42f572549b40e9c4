//! The source's documents, each fetched once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::content::{Cause, Error, Pull};
use crate::oci::{Digest, Manifest, TagOrDigest};

/// Fetches documents by digest and keeps them: several targets, or a second plan, do not fetch them again.
pub(super) struct Documents<'a, S> {
    source: &'a S,
    kept: Mutex<HashMap<Digest, Manifest>>,
}

impl<'a, S: Pull> Documents<'a, S> {
    pub(super) fn new(source: &'a S) -> Self {
        Self { source, kept: Mutex::default() }
    }

    pub(super) fn keep(&self, manifest: Manifest) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(manifest.digest().clone(), manifest);
    }

    /// A document that is named by another one, or was resolved just now: its absence is an error.
    pub(super) async fn get(&self, digest: &Digest) -> Result<Manifest, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(manifest) = kept {
            return Ok(manifest);
        }
        let at = TagOrDigest::Digest(digest.clone());
        let what = || format!("fetching manifest {digest} of {}", self.source.location());
        let manifest = self.source.manifest(&at).await?.ok_or_else(|| Error::new(what(), Cause::NotFound))?;
        self.keep(manifest.clone());
        Ok(manifest)
    }
}
