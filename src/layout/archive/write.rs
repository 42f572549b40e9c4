//! Writing an archive: what is in it is known before it is written, so that nothing has to be taken back.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tar::{EntryType, Header};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::super::listing::Listing;
use super::{BLOCK, pipe};
use crate::backoff::Patience;
use crate::content::{BlobFound, Cause, Deleted, Error, Location, Mount, Pull, Push, Put, Trail, Verified};
use crate::events::{Direction, Observer};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag, TagOrDigest};

/// An image layout that is written as a tar. What is named [`Push`] of it is done in the order of its coming, and of two
/// blobs the second begins when the first is whole. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    location: Location,
    state: Arc<Mutex<State>>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

struct State {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    listing: Listing,
    blobs: HashSet<Digest>,
    documents: HashMap<Digest, Manifest>,
    /// Whether there is a blob of which only a part is written.
    has_part: bool,
    is_begun: bool,
}

/// A blob's entry, as far as it is written.
pub struct Entry {
    is_begun: bool,
    written: u64,
}

impl Archive {
    /// An archive without images, which nothing is written of yet. `cancel` ends the waiting for whoever reads.
    ///
    /// # Errors
    /// As [`pipe`].
    pub fn new(
        to: impl AsyncWrite + Send + Unpin + 'static,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let state = State {
            to: Box::new(to),
            listing: Listing::empty(),
            blobs: HashSet::new(),
            documents: HashMap::new(),
            has_part: false,
            is_begun: false,
        };
        Ok(Self { location: pipe()?, state: Arc::new(Mutex::new(state)), observer, cancel: cancel.clone() })
    }

    /// Writes what stands at the end: `index.json`, without which it is no layout. Nothing is listed of an archive that
    /// was not finished.
    ///
    /// # Errors
    /// If it cannot be written, or a blob in it was not written to its end.
    pub async fn finish(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let finish = async {
            state.begin().await?;
            let index = state.listing.to_bytes();
            state.file("index.json", &index).await?;
            state.write(&[0; 2 * BLOCK]).await?;
            state.to.shutdown().await.map_err(|error| unwritable(&error))
        };
        let finish = async { finish.await.map_err(|cause| self.error("finishing", cause)) };
        self.unless_stopped("finishing", finish).await
    }

    /// Does `work` unless it is stopped first. What is written in part then is no archive.
    async fn unless_stopped<T>(&self, what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let done = self.cancel.run_until_cancelled(work).await;
        done.unwrap_or_else(|| Err(self.error(what, Cause::Cancelled)))
    }

    fn error(&self, what: impl std::fmt::Display, cause: Cause) -> Error {
        Error::new(format!("{what} {}", self.location), cause).at(&self.location.host)
    }
}

impl State {
    async fn begin(&mut self) -> Result<(), Cause> {
        if self.has_part {
            return Err(Cause::Layout("it holds a part of a blob, which cannot be taken back".to_owned()));
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            self.file(super::super::folder::MARK, super::super::folder::mark().as_bytes()).await?;
        }
        Ok(())
    }

    async fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Cause> {
        self.header(path, bytes.len() as u64).await?;
        self.write(bytes).await?;
        self.pad(bytes.len() as u64).await
    }

    async fn header(&mut self, path: &str, size: u64) -> Result<(), Cause> {
        let mut header = Header::new_gnu();
        if header.set_path(path).is_err() {
            // GNU's way with long names: an entry before the entry.
            let (name, length) = (path.as_bytes(), path.len() as u64 + 1);
            let mut long = Header::new_gnu();
            long.set_path("././@LongLink").map_err(|error| unwritable(&error))?;
            long.set_entry_type(EntryType::GNULongName);
            self.write(finished(&mut long, length)).await?;
            self.write(name).await?;
            self.write(&[0]).await?;
            self.pad(length).await?;
            let start = path.get(..99).unwrap_or_default();
            header.set_path(start).map_err(|error| unwritable(&error))?;
        }
        header.set_entry_type(EntryType::Regular);
        self.write(finished(&mut header, size)).await
    }

    async fn pad(&mut self, size: u64) -> Result<(), Cause> {
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let zeros = [0; BLOCK];
        let padding = zeros.get(..usize::try_from(padding).unwrap_or_default()).unwrap_or_default();
        self.write(padding).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.to.write_all(bytes).await.map_err(|error| unwritable(&error))
    }
}

/// Of one image there is one archive: no names, no times.
fn finished(header: &mut Header, size: u64) -> &[u8] {
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header.as_bytes()
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn unwritable(error: &std::io::Error) -> Cause {
    Cause::Layout(format!("it cannot be written: {error}"))
}

impl Pull for Archive {
    type Blob = Verified<futures_util::stream::Pending<Result<Bytes, Error>>>;

    fn location(&self) -> &Location {
        &self.location
    }

    async fn resolve(&self, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
        Ok(self.manifest(at).await?.map(|manifest| manifest.digest().clone()))
    }

    async fn manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let state = self.state.lock().await;
        let digest = match at {
            TagOrDigest::Digest(digest) => Some(digest.clone()),
            TagOrDigest::Tag(tag) => state.listing.tagged(tag).ok().flatten().map(|image| image.digest),
        };
        Ok(digest.and_then(|digest| state.documents.get(&digest).cloned()))
    }

    /// What has gone through a pipe is gone.
    async fn blob(&self, blob: &Descriptor, _trail: &Arc<Trail>, _from: u64) -> Result<Self::Blob, Error> {
        Err(self.error(format_args!("reading blob {blob} of"), Cause::NotFound))
    }

    async fn in_lanes(&self, _streams: usize) -> Self {
        self.clone()
    }

    fn patience(&self) -> Patience {
        Patience { max_attempts: 1, ..Patience::STANDARD }
    }

    async fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        Ok(Some(self.state.lock().await.listing.tags()))
    }

    async fn referrers(&self, _subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        Ok(None)
    }
}

impl Push for Archive {
    type Upload = Entry;

    const ONE_BY_ONE: bool = true;

    async fn find_blob(&self, blob: &Descriptor) -> Result<BlobFound, Error> {
        let is_there = self.state.lock().await.blobs.contains(&blob.digest);
        Ok(if is_there { BlobFound::Whole } else { BlobFound::Absent })
    }

    async fn mount(&self, blob: &Descriptor, _from: &Repository) -> Result<Mount<Entry>, Error> {
        match self.find_blob(blob).await? {
            BlobFound::Whole => Ok(Mount::Done),
            BlobFound::Absent | BlobFound::OtherSize(_) => self.open_upload(blob).await.map(Mount::Session),
        }
    }

    async fn open_upload(&self, _blob: &Descriptor) -> Result<Entry, Error> {
        Ok(Entry { is_begun: false, written: 0 })
    }

    /// What has come of a stream that breaks off stays, and is gone on with. Of wrong bytes nothing can be mended: they are
    /// in the pipe.
    async fn upload<B>(&self, upload: &mut Entry, blob: &Descriptor, from: u64, bytes: B) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let mut state = self.state.lock().await;
        let failed = |cause| self.error(format_args!("writing blob {blob} to"), cause);
        if from != upload.written {
            return Err(failed(Cause::SessionLost));
        }
        let mut bytes = pin!(bytes);
        let stream = async {
            if !upload.is_begun {
                state.begin().await.map_err(failed)?;
                state.has_part = true;
                state.header(&blob_path(&blob.digest), blob.size).await.map_err(failed)?;
                upload.is_begun = true;
            }
            while let Some(piece) = bytes.next().await {
                let piece = piece.map_err(|error| match error.cause() {
                    Cause::Mismatch { .. } => failed(Cause::Layout(error.to_string())),
                    _ => error,
                })?;
                state.write(&piece).await.map_err(failed)?;
                upload.written += piece.len() as u64;
                self.observer.bytes(&self.location.host, Direction::Written, piece.len() as u64);
            }
            state.pad(blob.size).await.map_err(failed)
        };
        self.unless_stopped("writing", stream).await?;
        state.has_part = false;
        state.blobs.insert(blob.digest.clone());
        Ok(())
    }

    async fn kept(&self, upload: &mut Entry, _blob: &Descriptor) -> Option<u64> {
        Some(upload.written)
    }

    async fn abandon(&self, _upload: &Entry) {}

    async fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        let mut state = self.state.lock().await;
        let failed = |cause| self.error(format_args!("writing manifest {at} to"), cause);
        if !state.documents.contains_key(manifest.digest()) {
            let write = async {
                state.begin().await.map_err(failed)?;
                state.file(&blob_path(manifest.digest()), manifest.bytes()).await.map_err(failed)
            };
            self.unless_stopped("writing", write).await?;
            state.documents.insert(manifest.digest().clone(), manifest.clone());
        }
        if let TagOrDigest::Tag(tag) = at {
            state.listing.list(manifest, Some(tag));
        }
        Ok(Put { subject: None })
    }

    async fn keep_untagged(&self, root: &Digest) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if let Some(manifest) = state.documents.get(root).cloned() {
            state.listing.list(&manifest, None);
        }
        Ok(())
    }

    async fn delete_tag(&self, _tag: &Tag) -> Result<Deleted, Error> {
        Ok(Deleted::Unsupported)
    }

    async fn delete_manifest(&self, _digest: &Digest) -> Result<Deleted, Error> {
        Ok(Deleted::Unsupported)
    }
}
