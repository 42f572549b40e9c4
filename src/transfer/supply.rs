//! Where a blob's bytes and an image's documents come from, when several targets want them.

use super::documents::Documents;
use super::knowledge::Known;
use super::progress::Progress;
use super::relay::{Entry, Part};
use super::route::Route;
use crate::content::{Cause, Error, Pull, Push};
use crate::oci::{Descriptor, Digest, Manifest, TagOrDigest};

/// What to read.
pub(super) enum Supply<'a, S: Pull, T> {
    /// The source; with other targets beside this one, on behalf of them too.
    Source(Option<Part<S::Blob>>),
    /// The source's stream that another target has opened.
    Join(Part<S::Blob>),
    /// Another target, which has the blob already.
    Sibling(&'a T),
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Chooses: a target that has the blob before the source, and what is on its way before both. Waits while another
    /// target fetches it.
    pub(super) async fn supply(&self, blob: &Descriptor, progress: &mut Progress<S, T>) -> Supply<'_, S, T> {
        progress.part = None;
        if self.siblings.is_empty() {
            return Supply::Source(None);
        }
        loop {
            // First in line, then the look at who has it: whoever leaves the line has told before what it brought.
            let entry = self.relays.enter(&blob.digest, progress.may_join());
            if let Some(sibling) = self.sibling_with(blob, progress) {
                return Supply::Sibling(sibling);
            }
            match entry {
                Entry::Lead(part) => return Supply::Source(Some(part)),
                Entry::Join(part) => return Supply::Join(part),
                Entry::Wait(over) => over.await,
            }
        }
    }

    /// A document that is named by another one, or was resolved just now: its absence is an error. What another target
    /// has need not come from the source, which may count pulls.
    pub(super) async fn document(&self, documents: &Documents, digest: &Digest) -> Result<Manifest, Error> {
        let at = TagOrDigest::Digest(digest.clone());
        let fetch = async {
            let has = |sibling: &&T| self.context.knowledge.has_manifest(sibling.location(), digest);
            if let Some(sibling) = self.siblings.iter().find(has)
                && let Ok(Some(document)) = sibling.manifest(&at).await
            {
                return Ok(document);
            }
            let what = || format!("fetching manifest {digest} of {}", self.source.location());
            self.source.manifest(&at).await?.ok_or_else(|| Error::new(what(), Cause::NotFound))
        };
        documents.get(digest, fetch).await
    }

    fn sibling_with(&self, blob: &Descriptor, progress: &Progress<S, T>) -> Option<&T> {
        let has = |sibling: &&T| self.context.knowledge.blob(sibling.location(), &blob.digest) == Known::Here;
        let is_sound = |sibling: &&T| !progress.shunned.contains(sibling.location());
        self.siblings.iter().filter(is_sound).find(has)
    }
}
