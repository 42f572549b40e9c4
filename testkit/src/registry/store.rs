//! What the registry has: plain data, no HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::stored::Stored;
use crate::content::{Document, matches};

/// Repositories over one pool of blobs. As in distribution, a repository sees only the blobs that
/// are linked to it.
#[derive(Debug, Default)]
pub(super) struct Store {
    blobs: HashMap<String, Stored>,
    repositories: BTreeMap<String, Repository>,
}

#[derive(Debug, Default)]
struct Repository {
    manifests: BTreeMap<String, Document>,
    tags: BTreeMap<String, String>,
    // Distribution lists the tags of a repository from the first tag on, even if none is left.
    tagged: bool,
    blobs: BTreeSet<String>,
}

/// Tags have no colon, digests have one.
pub(super) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}

impl Store {
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Stored> {
        let linked = self.repositories.get(repository)?.blobs.contains(digest);
        linked.then(|| self.blobs.get(digest)).flatten()
    }

    pub(super) fn add_blob(&mut self, repository: &str, digest: &str, content: Stored) {
        self.blobs.insert(digest.to_owned(), content);
        self.link(repository, digest);
    }

    /// Links a blob of `from` into `to`; `false` if `from` has no such blob.
    pub(super) fn mount(&mut self, digest: &str, from: &str, to: &str) -> bool {
        let present = self.blob(from, digest).is_some();
        if present {
            self.link(to, digest);
        }
        present
    }

    pub(super) fn remove_blob(&mut self, repository: &str, digest: &str) -> bool {
        self.repositories.get_mut(repository).is_some_and(|repository| repository.blobs.remove(digest))
    }

    /// The digest and the document that a tag or a digest stands for.
    pub(super) fn resolve(&self, repository: &str, reference: &str) -> Option<(&str, &Document)> {
        let repository = self.repositories.get(repository)?;
        let digest = if is_digest(reference) { reference } else { repository.tags.get(reference)? };
        repository.manifests.get_key_value(digest).map(|(digest, document)| (digest.as_str(), document))
    }

    pub(super) fn put_manifest(&mut self, repository: &str, digest: &str, document: Document) {
        self.repository(repository).manifests.insert(digest.to_owned(), document);
    }

    pub(super) fn tag(&mut self, repository: &str, tag: &str, digest: &str) {
        let repository = self.repository(repository);
        repository.tagged = true;
        repository.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Removes a tag, or a manifest with every tag that points at it.
    pub(super) fn remove_manifest(&mut self, repository: &str, reference: &str) -> bool {
        let Some(repository) = self.repositories.get_mut(repository) else {
            return false;
        };
        if !is_digest(reference) {
            return repository.tags.remove(reference).is_some();
        }
        repository.tags.retain(|_, digest| digest != reference);
        repository.manifests.remove(reference).is_some()
    }

    /// The digests that a document names and the repository does not have; foreign layers are
    /// nobody's business, and a sparse list's children are not either.
    pub(super) fn missing_parts(
        &self,
        name: &str,
        document: &Document,
        is_sparse: bool,
    ) -> Result<Vec<String>, serde_json::Error> {
        let parts = document.parts()?;
        let manifests =
            parts.manifests.iter().filter(|child| !is_sparse && self.resolve(name, &child.digest).is_none());
        let blobs = parts.own_blobs().filter(|blob| self.blob(name, &blob.digest).is_none());
        Ok(manifests.chain(blobs).map(|part| part.digest.clone()).collect())
    }

    /// The tags in lexical order; `None` for a repository that never had one.
    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let repository = self.repositories.get(repository)?;
        repository.tagged.then(|| repository.tags.keys().cloned().collect())
    }

    /// The documents whose subject this is, by digest; `None` if there is no such repository.
    pub(super) fn referrers(&self, repository: &str, subject: &str) -> Option<Vec<(&str, &Document)>> {
        let manifests = self.repositories.get(repository)?.manifests.iter();
        let referring = manifests.filter(|(_, document)| document.subject().as_deref() == Some(subject));
        Some(referring.map(|(digest, document)| (digest.as_str(), document)).collect())
    }

    pub(super) fn repositories(&self) -> Vec<String> {
        self.repositories.keys().cloned().collect()
    }

    /// Whether everything that `reference` stands for is there, down to the last blob, with the
    /// digest it is known by.
    pub(super) fn check_whole(&self, repository: &str, reference: &str) -> Result<(), String> {
        let (digest, document) =
            self.resolve(repository, reference).ok_or_else(|| format!("{repository}: no manifest {reference}"))?;
        if !matches(digest, &document.bytes) {
            return Err(format!("{repository}: the bytes of manifest {digest} have another digest"));
        }
        let parts = document.parts().map_err(|error| format!("{repository}: manifest {digest}: {error}"))?;
        parts.manifests.iter().try_for_each(|child| self.check_whole(repository, &child.digest))?;
        parts.own_blobs().try_for_each(|blob| self.check_blob(repository, &blob.digest, blob.size))
    }

    fn check_blob(&self, repository: &str, digest: &str, size: u64) -> Result<(), String> {
        match self.blob(repository, digest) {
            None => Err(format!("{repository}: no blob {digest}")),
            Some(blob) if blob.size() != size => {
                Err(format!("{repository}: blob {digest} has {} bytes instead of {size}", blob.size()))
            }
            // What is not held was hashed when it came.
            Some(Stored::Held(bytes)) if !matches(digest, bytes) => {
                Err(format!("{repository}: the bytes of blob {digest} have another digest"))
            }
            Some(_) => Ok(()),
        }
    }

    fn link(&mut self, repository: &str, digest: &str) {
        self.repository(repository).blobs.insert(digest.to_owned());
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
