//! One image of a source, read once however many targets it goes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;

use super::documents::Documents;
use crate::content::{Cause, Error, Pull};
use crate::oci::{Digest, TagOrDigest};

/// What is read, and what the source has given of it.
pub(super) struct Original {
    pub(super) from: TagOrDigest,
    pub(super) documents: Documents,
    digest: OnceCell<Digest>,
    /// How many targets are being served.
    busy: AtomicUsize,
}

impl Original {
    pub(super) fn new(from: TagOrDigest) -> Self {
        Self { from, documents: Documents::default(), digest: OnceCell::new(), busy: AtomicUsize::new(0) }
    }

    /// Its digest, asked for once: a tag that moves meanwhile changes nothing. A digest is its own answer; a tag costs a
    /// HEAD, or, where the document is wanted anyway, the GET that brings it.
    pub(super) async fn digest(&self, source: &impl Pull, wanted: Wanted) -> Result<Digest, Error> {
        let ask = || async {
            match (&self.from, wanted) {
                (TagOrDigest::Digest(digest), _) => Ok(digest.clone()),
                (tag, Wanted::Digest) => source.resolve(tag).await?.ok_or_else(|| self.missing(source)),
                (tag, Wanted::Document) => {
                    let document = source.manifest(tag).await?.ok_or_else(|| self.missing(source))?;
                    let digest = document.digest().clone();
                    self.documents.keep(document);
                    Ok(digest)
                }
            }
        };
        self.digest.get_or_try_init(ask).await.cloned()
    }

    fn missing(&self, source: &impl Pull) -> Error {
        let at = source.location();
        Error::new(format!("looking up manifest {} of {at}", self.from), Cause::NotFound).at(&at.host)
    }

    /// Notes that a target is being served, until the guard is dropped.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Serving(Arc::clone(self))
    }
}

/// What is wanted of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Its digest alone.
    Digest,
    /// Its document too.
    Document,
}

/// A target that is being served. With the last one the documents are dropped: of thousands of images none stays.
pub(super) struct Serving(Arc<Original>);

impl Drop for Serving {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.documents.clear();
        }
    }
}
