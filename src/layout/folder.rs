//! A layout's directory: what is in it, read with suspicion and changed so that it can always be read.
//! Source: OCI image-spec, "Image Layout".

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::disk::{self, Disk, Unfinished};
use super::listing::Listing;
use crate::content::{BlobFound, Cause};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest};

/// The file that says what a directory is.
pub(super) const MARK: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";
/// The only version that there is.
const VERSION: &str = "1.0.0";
const MAX_MARK_SIZE: usize = 4 << 10;
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// What it says.
pub(super) fn mark() -> String {
    json!({"imageLayoutVersion": VERSION}).to_string()
}

/// The directory. Everything here blocks.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    pub(super) disk: Disk,
    /// Which of the listed documents refer to which, each read once: a digest's bytes are always the same.
    subjects: Mutex<HashMap<Digest, Option<(Digest, Descriptor)>>>,
}

/// The right to change `index.json`, as long as it is held.
pub(super) struct Lock {
    _directory: File,
}

impl Folder {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), disk: Disk::default(), subjects: Mutex::default() }
    }

    /// The images; `None` if there is no layout yet, but could be one.
    ///
    /// # Errors
    /// If there is something else, or a layout that cannot be trusted.
    pub(super) fn listing(&self) -> Result<Option<Listing>, Cause> {
        if !self.is_there()? {
            return Ok(None);
        }
        let path = self.path.join(INDEX);
        let Some(bytes) = disk::read(&path, MAX_MANIFEST_SIZE)? else { return Ok(Some(Listing::empty())) };
        let listing = Listing::parse(&bytes);
        listing.map(Some).map_err(|reason| Cause::Layout(format!("{} is no image index: {reason}", path.display())))
    }

    /// Whether there is a layout, of the version that is known.
    fn is_there(&self) -> Result<bool, Cause> {
        let path = self.path.join(MARK);
        let Some(bytes) = self.mark_of_full(&path)? else { return Ok(false) };
        let mark: Option<Value> = serde_json::from_slice(&bytes).ok();
        match mark.as_ref().and_then(|mark| mark.get("imageLayoutVersion")?.as_str()) {
            Some(VERSION) => Ok(true),
            Some(other) => Err(Cause::Layout(format!(
                "{} says that this is an image layout of version {other:?}: only {VERSION} is known",
                path.display()
            ))),
            None => Err(Cause::Layout(format!("{} names no imageLayoutVersion", path.display()))),
        }
    }

    /// The mark; `None` in a directory that is empty.
    fn mark_of_full(&self, path: &Path) -> Result<Option<Bytes>, Cause> {
        if let Some(bytes) = disk::read(path, MAX_MARK_SIZE)? {
            return Ok(Some(bytes));
        }
        if disk::is_empty(&self.path)? {
            return Ok(None);
        }
        // Somebody may have begun the layout between these two looks: the mark is then there before anything else.
        let reason = "is no image layout, since it has no file oci-layout: name a new or an empty directory";
        let marked = disk::read(path, MAX_MARK_SIZE)?;
        marked.map(Some).ok_or_else(|| Cause::Layout(format!("{} {reason}", self.path.display())))
    }

    /// Whether there is all that a layout has.
    pub(super) fn is_ready(&self) -> Result<bool, Cause> {
        let has_index = || Ok::<_, Cause>(disk::open(&self.path.join(INDEX))?.is_some());
        Ok(self.is_there()? && has_index()? && disk::has_folder(&self.path.join(BLOBS))?)
    }

    /// Makes the directory, if it is not there.
    pub(super) fn prepare(&self) -> Result<(), Cause> {
        self.disk.create_folders(&self.path)
    }

    /// Takes the lock if nobody has it.
    pub(super) fn try_lock(&self) -> Result<Option<Lock>, Cause> {
        Ok(disk::try_lock(&self.path)?.map(|directory| Lock { _directory: directory }))
    }

    /// Makes a layout of the directory, if it is none. The mark comes first: with it alone it is one without images.
    pub(super) fn create(&self, _lock: &Lock) -> Result<(), Cause> {
        if !self.is_there()? {
            self.put(MARK, mark().as_bytes())?;
        }
        self.disk.create_folder(&self.path.join(BLOBS))?;
        if disk::open(&self.path.join(INDEX))?.is_none() {
            self.put(INDEX, &Listing::empty().to_bytes())?;
        }
        self.disk.sync_folder(&self.path)
    }

    /// Changes the list of images. Returns what `change` does: whether it changed anything.
    pub(super) fn change(&self, _lock: &Lock, change: impl FnOnce(&mut Listing) -> bool) -> Result<bool, Cause> {
        disk::remove_leftovers(&self.disk, &self.path)?;
        let mut listing = self.listing()?.unwrap_or_else(Listing::empty);
        if !change(&mut listing) {
            return Ok(false);
        }
        let bytes = listing.to_bytes();
        if bytes.len() > MAX_MANIFEST_SIZE {
            let (path, limit) = (self.path.join(INDEX), MAX_MANIFEST_SIZE);
            return Err(Cause::Layout(format!(
                "{} would be larger than {limit} bytes: put the image into another layout",
                path.display()
            )));
        }
        self.sync_blobs()?;
        self.put(INDEX, &bytes)?;
        self.disk.sync_folder(&self.path)?;
        Ok(true)
    }

    /// What is listed has to be there after a loss of power too: its files are on the disk, their names not yet.
    fn sync_blobs(&self) -> Result<(), Cause> {
        let blobs = self.path.join(BLOBS);
        for folder in ALGORITHMS.iter().map(|algorithm| blobs.join(algorithm)).chain([blobs.clone()]) {
            if disk::has_folder(&folder)? {
                self.disk.sync_folder(&folder)?;
            }
        }
        Ok(())
    }

    /// A blob's file, and how large it is.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, Cause> {
        if !disk::has_folder(&self.path.join(BLOBS))? || !disk::has_folder(&self.blobs(digest))? {
            return Ok(None);
        }
        disk::open(&self.blob_path(digest))
    }

    pub(super) fn find(&self, blob: &Descriptor) -> Result<BlobFound, Cause> {
        Ok(match self.blob(&blob.digest)? {
            None => BlobFound::Absent,
            Some((_, size)) if size == blob.size => BlobFound::Whole,
            Some((_, size)) => BlobFound::OtherSize(size),
        })
    }

    /// A document's bytes, not checked yet.
    pub(super) fn document(&self, digest: &Digest) -> Result<Option<Bytes>, Cause> {
        // Looks at the folders too.
        if self.blob(digest)?.is_none() {
            return Ok(None);
        }
        disk::read(&self.blob_path(digest), MAX_MANIFEST_SIZE)
    }

    /// Whether a document is there with all that it names. A registry sees to that; here nobody else does.
    pub(super) fn is_whole(&self, root: &Digest) -> Result<bool, Cause> {
        match self.sound_document(root)? {
            Some(document) => Ok(self.lacks(&document)?.is_empty()),
            None => Ok(false),
        }
    }

    /// What is not there, or not of its size, of all that a document names, and what that names.
    pub(super) fn lacks(&self, root: &Manifest) -> Result<Vec<Digest>, Cause> {
        let (mut open, mut lacking) = (vec![root.clone()], Vec::new());
        let (mut seen, mut looked_at) = (HashSet::from([root.digest().clone()]), HashSet::new());
        while let Some(document) = open.pop() {
            for blob in document.blobs().filter(|blob| looked_at.insert((blob.digest.clone(), blob.size))) {
                if self.find(blob)? != BlobFound::Whole {
                    lacking.push(blob.digest.clone());
                }
            }
            for child in document.children().filter(|child| seen.insert(child.digest.clone())) {
                match self.sound_document(&child.digest)? {
                    Some(document) => open.push(document),
                    None => lacking.push(child.digest.clone()),
                }
            }
        }
        Ok(lacking)
    }

    /// What refers to a document: listed in `index.json` beside the images, and under the subject's tag. `None` if nothing
    /// that refers to anything is listed in the first way.
    pub(super) fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Cause> {
        let Some(listing) = self.listing()? else { return Ok(None) };
        let mut referring = Vec::new();
        for image in listing.images() {
            referring.extend(self.refers(&image)?);
        }
        if referring.is_empty() {
            return Ok(None);
        }
        let of_subject = referring.into_iter().filter(|(its, _)| its == subject);
        let mut found: Vec<Descriptor> = of_subject.map(|(_, referrer)| referrer).collect();
        let under_tag = listing.tagged(&subject.referrers_tag()).map_err(Cause::Layout)?;
        if let Some(index) = under_tag
            && let Some(index) = self.sound_document(&index.digest)?
        {
            let known: HashSet<Digest> = found.iter().map(|referrer| referrer.digest.clone()).collect();
            found.extend(index.children().filter(|child| !known.contains(&child.digest)).cloned());
        }
        Ok(Some(found))
    }

    /// What a listed document refers to, and how a list of referrers would describe it.
    fn refers(&self, image: &Descriptor) -> Result<Option<(Digest, Descriptor)>, Cause> {
        if let Some(known) = self.subjects.lock().unwrap_or_else(PoisonError::into_inner).get(&image.digest) {
            return Ok(known.clone());
        }
        let document = self.sound_document(&image.digest)?;
        let refers = document.and_then(|document| Some((document.subject()?.digest.clone(), document.as_referrer())));
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).insert(image.digest.clone(), refers.clone());
        Ok(refers)
    }

    /// A document whose bytes are what its digest says.
    fn sound_document(&self, digest: &Digest) -> Result<Option<Manifest>, Cause> {
        let Some(bytes) = self.document(digest)? else { return Ok(None) };
        Ok(Manifest::parse(bytes, None, Some(digest)).ok())
    }

    /// Begins a blob.
    pub(super) fn begin(&self) -> Result<Unfinished, Cause> {
        Unfinished::in_folder(&self.disk, &self.path)
    }

    /// Puts a blob in its place, whose bytes hash to its digest.
    pub(super) fn finish(&self, blob: Unfinished, digest: &Digest) -> Result<(), Cause> {
        for folder in [self.path.join(BLOBS), self.blobs(digest)] {
            if !disk::has_folder(&folder)? {
                self.disk.create_folder(&folder)?;
            }
        }
        blob.name(&self.blob_path(digest))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Cause> {
        let mut file = self.begin()?;
        file.write(bytes)?;
        file.name(&self.path.join(name))
    }

    fn blobs(&self, digest: &Digest) -> PathBuf {
        self.path.join(BLOBS).join(digest.algorithm())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest).join(digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of a new layout's first writers meet as they look for what is there.
    #[test]
    fn a_layout_that_somebody_else_begins_at_the_same_time_is_one() {
        for round in 0..200 {
            let dir = tempfile::tempdir().unwrap();
            let begun = std::sync::Barrier::new(2);
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    let folder = Folder::at(dir.path());
                    begun.wait();
                    folder.create(&folder.try_lock().unwrap().unwrap()).unwrap();
                });
                let folder = Folder::at(dir.path());
                begun.wait();
                while !folder.is_there().unwrap_or_else(|error| panic!("round {round}: {error}")) {}
            });
        }
    }
}
