//! Writing a layout: a blob gets its name when it is whole, and `index.json` changes under a lock.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::Layout;
use super::disk::Unfinished;
use super::folder::Folder;
use super::listing::Listing;
use crate::content::{BlobFound, Cause, Deleted, Error, Mount, Push, Put};
use crate::events::Direction;
use crate::oci::{Descriptor, Digest, Hasher, Manifest, Repository, Tag, TagOrDigest};

/// So many bytes are written at once.
const PIECE: usize = 1 << 20;

/// A blob that is being written. Dropped, it leaves nothing behind.
pub struct Upload {
    begun: Option<Begun>,
}

struct Begun {
    file: Unfinished,
    hasher: Hasher,
    written: u64,
}

impl Begun {
    fn take(&mut self, pieces: &[Bytes]) -> Result<(), Cause> {
        for piece in pieces {
            self.hasher.update(piece);
            self.file.write(piece)?;
            self.written += piece.len() as u64;
        }
        Ok(())
    }

    /// Names the file, if it is what it is to be.
    fn finish(self, folder: &Folder, blob: &Descriptor) -> Result<(), Cause> {
        let (actual, received) = (self.hasher.finish(), self.written);
        if received != blob.size || actual != blob.digest {
            let (digest, size) = (blob.digest.clone(), blob.size);
            return Err(Cause::Mismatch { digest, size, actual: Some(actual), received });
        }
        folder.finish(self.file, &blob.digest)
    }
}

impl Push for Layout {
    type Upload = Upload;

    async fn find_blob(&self, blob: &Descriptor) -> Result<BlobFound, Error> {
        let (what, blob) = (format!("looking for blob {blob} in {}", self.location), blob.clone());
        self.blocking(what, move |folder| folder.find(&blob)).await
    }

    /// There is one repository: what it has is there.
    async fn mount(&self, blob: &Descriptor, _from: &Repository) -> Result<Mount<Upload>, Error> {
        match self.find_blob(blob).await? {
            BlobFound::Whole => Ok(Mount::Done),
            BlobFound::Absent | BlobFound::OtherSize(_) => self.open_upload(blob).await.map(Mount::Session),
        }
    }

    async fn open_upload(&self, blob: &Descriptor) -> Result<Upload, Error> {
        let what = format!("beginning blob {blob} in {}", self.location);
        self.hold(&what).await?;
        self.make_ready(&what).await?;
        let hasher = blob.digest.hasher();
        self.blocking(what, move |folder| {
            Ok(Upload { begun: Some(Begun { file: folder.begin()?, hasher, written: 0 }) })
        })
        .await
    }

    /// Hashes what it writes, whatever has hashed it before: what is named is what it is called.
    async fn upload<B>(&self, upload: &mut Upload, blob: &Descriptor, from: u64, bytes: B) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let what = format!("writing blob {blob} to {}", self.location);
        let begun = upload.begun.take().filter(|begun| begun.written == from);
        let mut begun = begun.ok_or_else(|| self.error(&*what, Cause::SessionLost))?;
        let mut bytes = pin!(bytes);
        let (mut pieces, mut size) = (Vec::new(), 0);
        let ended = loop {
            let next = self.cancel.run_until_cancelled(bytes.next()).await;
            let ended = match next {
                None => return Err(self.error(what, Cause::Cancelled)),
                Some(Some(Ok(piece))) => {
                    size += piece.len();
                    pieces.push(piece);
                    None
                }
                Some(Some(Err(error))) => Some(Err(error)),
                Some(None) => Some(Ok(())),
            };
            if size >= PIECE || ended.is_some() {
                let pieces = std::mem::take(&mut pieces);
                self.observer.bytes(&self.location.host, Direction::Written, std::mem::take(&mut size) as u64);
                begun = self.blocking(what.clone(), move |_| begun.take(&pieces).map(|()| begun)).await?;
            }
            if let Some(ended) = ended {
                break ended;
            }
        };
        if let Err(error) = ended {
            // What has come stays, to be gone on with.
            upload.begun = Some(begun);
            return Err(error);
        }
        let blob = blob.clone();
        self.blocking(what, move |folder| begun.finish(folder, &blob)).await
    }

    async fn kept(&self, upload: &mut Upload, _blob: &Descriptor) -> Option<u64> {
        upload.begun.as_ref().map(|begun| begun.written)
    }

    /// It is removed when it is dropped.
    async fn abandon(&self, _upload: &Upload) {}

    /// The document as a blob, when all that it names is there; then, under a tag, in `index.json`.
    async fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        let what = format!("writing manifest {at} to {}", self.location);
        self.hold(&what).await?;
        self.make_ready(&what).await?;
        let document = manifest.clone();
        self.blocking(what.clone(), move |folder| {
            let missing = folder.lacks(&document)?;
            if !missing.is_empty() {
                return Err(Cause::Incomplete(missing));
            }
            let mut file = folder.begin()?;
            file.write(document.bytes())?;
            folder.finish(file, document.digest())
        })
        .await?;
        if let TagOrDigest::Tag(tag) = at {
            let (tag, manifest) = (tag.clone(), manifest.clone());
            self.change(what, move |listing| listing.list(&manifest, Some(&tag))).await?;
        }
        Ok(Put { subject: None })
    }

    async fn keep_untagged(&self, root: &Digest) -> Result<(), Error> {
        let (what, digest) = (format!("listing manifest {root} in {}", self.location), root.clone());
        let found = self.blocking(what.clone(), move |folder| {
            let is_listed = folder.listing()?.is_some_and(|listing| listing.image(&digest).is_some());
            let Some(bytes) = folder.document(&digest)?.filter(|_| !is_listed) else { return Ok(None) };
            Ok(Some(Manifest::parse(bytes, None, Some(&digest))?))
        });
        match found.await? {
            Some(manifest) => self.change(what, move |listing| listing.list(&manifest, None)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<Deleted, Error> {
        let (what, tag) = (format!("deleting tag {tag} of {}", self.location), tag.clone());
        let is_gone = self.change(what, move |listing| listing.remove_tag(&tag)).await?;
        Ok(if is_gone { Deleted::Done } else { Deleted::Gone })
    }

    /// Its bytes stay: other documents may name them.
    async fn delete_manifest(&self, digest: &Digest) -> Result<Deleted, Error> {
        let (what, digest) = (format!("deleting manifest {digest} of {}", self.location), digest.clone());
        let is_gone = self.change(what, move |listing| listing.remove(&digest)).await?;
        Ok(if is_gone { Deleted::Done } else { Deleted::Gone })
    }
}

impl Layout {
    /// Makes a layout of the directory, if it is none.
    async fn make_ready(&self, what: &str) -> Result<(), Error> {
        if self.blocking(what.to_owned(), Folder::is_ready).await? {
            return Ok(());
        }
        let lock = self.locked(what).await?;
        self.blocking(what.to_owned(), move |folder| folder.create(&lock)).await
    }

    async fn change(
        &self,
        what: String,
        change: impl FnOnce(&mut Listing) -> bool + Send + 'static,
    ) -> Result<bool, Error> {
        if self.blocking(what.clone(), Folder::listing).await?.is_none() {
            return Ok(false);
        }
        self.hold(&what).await?;
        let lock = self.locked(&what).await?;
        self.check(&what).await?;
        self.blocking(what, move |folder| folder.change(&lock, change)).await
    }
}
