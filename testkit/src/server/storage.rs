//! A registry's disk, looked at behind its back.
//!
//! Source: distribution's `registry/storage/paths.go`, which draws the layout.

use std::fs;
use std::path::{Path, PathBuf};

use super::DistributionServer;
use crate::content::{Document, matches};

impl DistributionServer {
    /// Everything on its disk that is not what it should be, as sentences for an assertion's
    /// message: blobs that do not have the digest they are stored under, and parts of documents
    /// that their repository does not have. Of a document that cannot be read nobody knows the
    /// parts.
    ///
    /// # Panics
    /// If the disk cannot be read.
    #[must_use]
    pub fn damage(&self) -> Vec<String> {
        let root = self.storage().join("docker/registry/v2");
        let mut damage = wrong_blobs(&root);
        for repository in repositories(&root.join("repositories")) {
            damage.extend(missing_parts(&root, &repository));
        }
        damage
    }

    /// How many uploads were begun and neither ended nor given up, in all repositories.
    ///
    /// # Panics
    /// If the disk cannot be read.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.uploads().len()
    }

    /// How many of them have not got a byte. The others nobody can end once the request that
    /// brought their bytes has broken off: distribution 2.8 refuses all that is asked of them.
    ///
    /// # Panics
    /// If the disk cannot be read.
    #[must_use]
    pub fn empty_uploads(&self) -> usize {
        let has_bytes = |upload: &PathBuf| fs::metadata(upload.join("data")).is_ok_and(|data| data.len() > 0);
        self.uploads().iter().filter(|upload| !has_bytes(upload)).count()
    }

    fn uploads(&self) -> Vec<PathBuf> {
        let all = repositories(&self.storage().join("docker/registry/v2/repositories"));
        all.iter().flat_map(|repository| entries(&repository.join("_uploads"))).collect()
    }
}

fn wrong_blobs(root: &Path) -> Vec<String> {
    let blobs = entries(&root.join("blobs/sha256")).into_iter().flat_map(|folder| entries(&folder));
    blobs
        .filter_map(|blob| {
            let digest = format!("sha256:{}", name(&blob));
            (!matches(&digest, &read(&blob.join("data")))).then(|| format!("the bytes of {digest} are others"))
        })
        .collect()
}

fn missing_parts(root: &Path, repository: &Path) -> Vec<String> {
    let revisions = repository.join("_manifests/revisions/sha256");
    let mut missing = Vec::new();
    for manifest in entries(&revisions).into_iter().filter(|revision| revision.join("link").exists()) {
        let bytes = read(&blob_path(root, &name(&manifest)));
        let document = Document { media_type: String::new(), bytes: bytes.into() };
        let Ok(parts) = document.parts() else { continue };
        let children = parts.manifests.iter().map(|child| (child, revisions.clone()));
        let blobs = parts.own_blobs().map(|blob| (blob, repository.join("_layers/sha256")));
        for (part, folder) in children.chain(blobs) {
            let hex = part.digest.trim_start_matches("sha256:");
            if !folder.join(hex).join("link").exists() || !blob_path(root, hex).exists() {
                missing.push(format!("{}: {} lacks {}", repository.display(), document.digest(), part.digest));
            }
        }
    }
    missing
}

fn blob_path(root: &Path, hex: &str) -> PathBuf {
    root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data")
}

// Repositories lie in each other as their names say; what begins with an underscore is their own.
fn repositories(folder: &Path) -> Vec<PathBuf> {
    let (own, inner): (Vec<_>, Vec<_>) = entries(folder).into_iter().partition(|entry| name(entry).starts_with('_'));
    let mut found: Vec<_> = inner.iter().flat_map(|folder| repositories(folder)).collect();
    if !own.is_empty() {
        found.push(folder.to_owned());
    }
    found
}

// What is not there has no entries: nothing was stored yet.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("the storage is readable").path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().expect("an entry has a name").to_string_lossy().into_owned()
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
