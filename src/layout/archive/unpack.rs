//! Reading an archive in one pass: blobs go on as they come.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::super::listing::Listing;
use super::entries::{Entries, File};
use super::parcel::Parcel;
use super::pipe;
use crate::content::{BlobFound, Cause, Error, Location, Push, Trail, Verified};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest};

/// All documents of an archive together, in bytes: they are kept in memory.
const MOST_OF_DOCUMENTS: usize = 64 << 20;
/// So many pieces are on their way from the archive to the target.
const AHEAD: usize = 4;

/// A blob that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Which one.
    pub blob: Descriptor,
    /// Whether it was sent; else the target had it.
    pub is_new: bool,
}

/// What a file of a layout is.
enum Role {
    Mark,
    Index,
    Content(Digest),
    /// Beside a layout some tools write files of their own.
    Other,
}

/// Reads an archive to its end. Its blobs are sent to `target`, or without one hashed alone; its documents are kept.
/// Every file is hashed against its name. May be dropped at any time: the target may then have blobs that nothing names.
///
/// # Errors
/// If it is no layout, or something in it is not what it is called; or if the target does not take a blob: what has gone
/// through a pipe cannot be sent again.
pub async fn unpack<R: AsyncRead + Send + Unpin, T: Push>(
    reader: R,
    target: Option<&T>,
) -> Result<(Parcel, Vec<Received>), Error> {
    let location = pipe()?;
    let mut unpacking = Unpacking { entries: Entries::new(reader), location, documents: HashMap::new(), kept: 0 };
    let (mut index, mut has_mark, mut received) = (None, false, Vec::new());
    while let Some(file) = unpacking.entries.next().await.map_err(|cause| unpacking.error(cause))? {
        match role(&file.path).map_err(|cause| unpacking.error(cause))? {
            Role::Mark => has_mark = true,
            Role::Other => {}
            Role::Index if index.is_some() => return Err(unpacking.refused("it has two files index.json")),
            Role::Index => index = Some(unpacking.index(&file).await?),
            Role::Content(digest) => received.extend(unpacking.content(&file, digest, target).await?),
        }
    }
    match index {
        Some(index) if has_mark => Ok((Parcel::new(unpacking.location, index, unpacking.documents), received)),
        _ => Err(unpacking.refused("it is no image layout: it has no oci-layout and index.json at its top")),
    }
}

fn role(path: &str) -> Result<Role, Cause> {
    Ok(match path {
        "oci-layout" => Role::Mark,
        "index.json" => Role::Index,
        path => match path.strip_prefix("blobs/") {
            Some(name) => {
                let digest = name.replacen('/', ":", 1).parse();
                Role::Content(digest.map_err(|error| Cause::Layout(format!("its entry {path:?}: {error}")))?)
            }
            None => Role::Other,
        },
    })
}

struct Unpacking<R> {
    entries: Entries<R>,
    location: Location,
    documents: HashMap<Digest, Manifest>,
    /// Their bytes.
    kept: usize,
}

impl<R: AsyncRead + Send + Unpin> Unpacking<R> {
    async fn index(&mut self, file: &File) -> Result<Listing, Error> {
        if file.size > MAX_MANIFEST_SIZE as u64 {
            return Err(self.refused(&format!("its index.json is larger than {MAX_MANIFEST_SIZE} bytes")));
        }
        let bytes = self.entries.whole().await.map_err(|cause| self.error(cause))?;
        Listing::parse(&bytes).map_err(|reason| self.refused(&format!("its index.json is no image index: {reason}")))
    }

    /// Keeps a document, and sends on what is none.
    async fn content<T: Push>(
        &mut self,
        file: &File,
        digest: Digest,
        target: Option<&T>,
    ) -> Result<Option<Received>, Error> {
        if file.size > MAX_MANIFEST_SIZE as u64 {
            return self.blob(file.size, digest, target).await.map(Some);
        }
        let bytes = self.entries.whole().await.map_err(|cause| self.error(cause))?;
        match Manifest::parse(bytes.clone(), None, Some(&digest)) {
            Ok(document) => {
                self.kept += bytes.len();
                if self.kept > MOST_OF_DOCUMENTS {
                    return Err(
                        self.refused(&format!("its manifests are more than {MOST_OF_DOCUMENTS} bytes together"))
                    );
                }
                self.documents.insert(digest, document);
                Ok(None)
            }
            Err(_) => {
                let blob = descriptor(digest, file.size);
                let pieces = stream::iter((!bytes.is_empty()).then_some(Ok(bytes)));
                let is_new = send(&self.location, &blob, target, pieces).await?;
                Ok(Some(Received { blob, is_new }))
            }
        }
    }

    /// Reads the archive and writes to the target side by side.
    async fn blob<T: Push>(&mut self, size: u64, digest: Digest, target: Option<&T>) -> Result<Received, Error> {
        let blob = descriptor(digest, size);
        let (to, mut from) = mpsc::channel::<Result<Bytes, Error>>(AHEAD);
        let pieces = stream::poll_fn(move |cx| from.poll_recv(cx));
        let (entries, location) = (&mut self.entries, &self.location);
        let read = async move {
            loop {
                let piece = entries.piece().await.map_err(|cause| error(location, cause));
                let Some(piece) = piece.transpose() else { break };
                let is_broken = piece.is_err();
                // Nobody listens any more where the sending has failed, and says so.
                if to.send(piece).await.is_err() || is_broken {
                    break;
                }
            }
        };
        let (is_new, ()) = tokio::join!(send(location, &blob, target, pieces), read);
        Ok(Received { is_new: is_new?, blob })
    }

    fn refused(&self, reason: &str) -> Error {
        self.error(Cause::Layout(reason.to_owned()))
    }

    fn error(&self, cause: Cause) -> Error {
        error(&self.location, cause)
    }
}

/// Hashes a blob's bytes on their way to the target, if that lacks it. Returns whether it did.
async fn send<T: Push>(
    from: &Location,
    blob: &Descriptor,
    target: Option<&T>,
    pieces: impl Stream<Item = Result<Bytes, Error>> + Send + Sync + Unpin + 'static,
) -> Result<bool, Error> {
    let trail = Arc::new(Trail::of(blob));
    let bytes = Verified::new(pieces, blob, format!("reading blob {blob} of {from}"), &trail, 0);
    if let Some(target) = target
        && target.find_blob(blob).await? != BlobFound::Whole
    {
        let target = target.in_lanes(1).await;
        let mut upload = target.open_upload(blob).await?;
        if let Err(error) = target.upload(&mut upload, blob, 0, bytes).await {
            target.abandon(&upload).await;
            return Err(error);
        }
        return Ok(true);
    }
    futures_util::TryStreamExt::try_for_each(bytes, |_| std::future::ready(Ok(()))).await?;
    Ok(false)
}

fn error(location: &Location, cause: Cause) -> Error {
    Error::new(format!("reading {location}"), cause).at(&location.host)
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: String::new(), digest, size, platform: None, artifact_type: None, annotations: None }
}
