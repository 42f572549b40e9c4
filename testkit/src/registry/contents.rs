//! What a test does behind the API's back: fill the registry, break it, look into it.

use std::sync::MutexGuard;

use bytes::Bytes;

use super::store::Store;
use super::stored::Stored;
use super::{FakeRegistry, locked};
use crate::content::{Descriptor, Document, Image, Repeated, digest, media_type};

/// Filling it behind the API's back.
impl FakeRegistry {
    /// Puts an image with all its parts, and tags it; returns the root's digest.
    pub fn seed(&self, repository: &str, tag: &str, image: &Image) -> String {
        let digest = self.seed_untagged(repository, image);
        self.store().tag(repository, tag, &digest);
        digest
    }

    /// Puts an image with all its parts; returns the root's digest.
    pub fn seed_untagged(&self, repository: &str, image: &Image) -> String {
        let mut store = self.store();
        for blob in image.blobs() {
            store.add_blob(repository, &blob.digest(), Stored::Held(blob.bytes.clone()));
        }
        for document in image.documents() {
            store.put_manifest(repository, &document.digest(), document.clone());
        }
        image.digest()
    }

    /// Puts a document as it is, unchecked, and tags it; returns its digest. For what no registry
    /// should have.
    pub fn seed_document(&self, repository: &str, tag: &str, document: &Document) -> String {
        let digest = document.digest();
        self.put_document_as(repository, &digest, document);
        self.retag(repository, tag, &digest);
        digest
    }

    /// Puts a document as it is, unchecked, under this digest: a SHA-512, or one that is not its
    /// own.
    pub fn put_document_as(&self, repository: &str, digest: &str, document: &Document) {
        self.store().put_manifest(repository, digest, document.clone());
    }

    /// Puts a blob; returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        self.put_blob_as(repository, &digest, bytes);
        digest
    }

    /// Puts a blob under this digest: a SHA-512, or one that is not its own.
    pub fn put_blob_as(&self, repository: &str, digest: &str, bytes: impl Into<Bytes>) {
        self.store().add_blob(repository, digest, Stored::Held(bytes.into()));
    }

    /// Puts a blob of any size that takes next to no memory: it is made while it is sent, the same
    /// for the same `seed`. It takes its time, since the digest comes from hashing all of it (about
    /// a second for two GiB).
    ///
    /// The descriptor fits
    /// [`ImageBuilder::layer_elsewhere`](crate::content::ImageBuilder::layer_elsewhere).
    #[must_use]
    pub fn seed_generated_blob(&self, repository: &str, size: u64, seed: u64) -> Descriptor {
        let blob = Repeated::new(seed, size);
        let digest = blob.digest();
        self.store().add_blob(repository, &digest, Stored::Generated(blob));
        Descriptor::new(media_type::OCI_LAYER, digest, size)
    }

    /// Points a tag at a manifest that is there already, by digest.
    pub fn retag(&self, repository: &str, tag: &str, digest: &str) {
        self.store().tag(repository, tag, digest);
    }

    /// Removes a blob from a repository, whatever refers to it; says whether it was there.
    pub fn remove_blob(&self, repository: &str, digest: &str) -> bool {
        self.store().remove_blob(repository, digest)
    }

    /// Removes a tag, or by digest a manifest with its tags, whatever refers to it; says whether it
    /// was there.
    pub fn remove_manifest(&self, repository: &str, reference: &str) -> bool {
        self.store().remove_manifest(repository, reference)
    }
}

/// Looking into it behind the API's back.
impl FakeRegistry {
    /// The document that a tag or a digest stands for.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Document> {
        self.store().resolve(repository, reference).map(|(_, document)| document.clone())
    }

    /// Whether a repository has a blob.
    #[must_use]
    pub fn has_blob(&self, repository: &str, digest: &str) -> bool {
        self.store().blob(repository, digest).is_some()
    }

    /// A blob's bytes; `None` if it is not there, or not in memory.
    #[must_use]
    pub fn blob_bytes(&self, repository: &str, digest: &str) -> Option<Bytes> {
        match self.store().blob(repository, digest)? {
            Stored::Held(bytes) => Some(bytes.clone()),
            Stored::Generated(_) | Stored::Discarded(_) => None,
        }
    }

    /// The tags of a repository in lexical order.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.store().tags(repository).unwrap_or_default()
    }

    /// The names of all repositories in lexical order.
    #[must_use]
    pub fn repositories(&self) -> Vec<String> {
        self.store().repositories()
    }

    /// The number of uploads that were begun and neither finished nor given up.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.shared.sessions.count()
    }

    /// Checks that everything `reference` stands for is there: every document and every blob that
    /// is not foreign, each with the digest and the size it is known by.
    ///
    /// # Errors
    /// The first thing that is missing or wrong, as a sentence for an assertion's message.
    pub fn check_whole(&self, repository: &str, reference: &str) -> Result<(), String> {
        self.store().check_whole(repository, reference)
    }

    /// Every tag of every repository that fails [`check_whole`](Self::check_whole), with the
    /// reason.
    #[must_use]
    pub fn incomplete_tags(&self) -> Vec<String> {
        let store = self.store();
        let mut found = Vec::new();
        for repository in store.repositories() {
            for tag in store.tags(&repository).unwrap_or_default() {
                if let Err(reason) = store.check_whole(&repository, &tag) {
                    found.push(format!("{repository}:{tag}: {reason}"));
                }
            }
        }
        found
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.shared.store)
    }
}
