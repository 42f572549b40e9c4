//! Reading a layout. Every byte is hashed, and no link is followed.

use std::io::{Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio_util::io::ReaderStream;

use super::folder::Folder;
use super::{Layout, Trust};
use crate::backoff::Patience;
use crate::content::{Cause, Error, Location, Pull, Trail, Verified};
use crate::events::{Direction, Observer};
use crate::oci::{Descriptor, Digest, Host, Manifest, ManifestError, Reference, Tag, TagOrDigest};

/// So many bytes are read at once.
const PIECE: usize = 256 << 10;

/// A blob's bytes as they come from its file.
pub struct FileBody {
    bytes: ReaderStream<tokio::fs::File>,
    what: String,
    host: Host,
    observer: Arc<dyn Observer>,
}

impl Stream for FileBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(Pin::new(&mut self.bytes).poll_next(cx));
        Poll::Ready(piece.map(|piece| match piece {
            Ok(piece) => {
                self.observer.bytes(&self.host, Direction::Read, piece.len() as u64);
                Ok(piece)
            }
            Err(error) => Err(Error::new(self.what.clone(), Cause::Layout(error.to_string())).at(&self.host)),
        }))
    }
}

impl Pull for Layout {
    type Blob = Verified<FileBody>;

    fn location(&self) -> &Location {
        &self.location
    }

    async fn meant(&self, reference: &Reference) -> Result<TagOrDigest, Error> {
        if reference.tag.is_some() || reference.digest.is_some() {
            return Ok(reference.selector());
        }
        let what = format!("choosing an image of {}", self.location);
        let unnamed = |folder: &Folder| folder.listing()?.ok_or(Cause::NotFound)?.unnamed().map_err(Cause::Layout);
        self.blocking(what, unnamed).await.map(|image| TagOrDigest::Digest(image.digest))
    }

    async fn resolve(&self, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
        let (at, trust) = (at.clone(), self.trust);
        self.blocking(format!("looking up manifest {at} of {}", self.location), move |folder| {
            let Some((digest, _)) = found(folder, &at)? else { return Ok(None) };
            let is_there = match trust {
                Trust::Whole => folder.is_whole(&digest)?,
                Trust::Listed => matches!(at, TagOrDigest::Tag(_)) || folder.blob(&digest)?.is_some(),
            };
            Ok(is_there.then_some(digest))
        })
        .await
    }

    async fn manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let at = at.clone();
        self.blocking(format!("reading manifest {at} of {}", self.location), move |folder| {
            let Some((digest, listed)) = found(folder, &at)? else { return Ok(None) };
            let Some(bytes) = folder.document(&digest)? else { return Ok(None) };
            if let Some(listed) = listed.as_ref().filter(|listed| listed.size != bytes.len() as u64) {
                let expected = ManifestError::Size { expected: listed.size, actual: bytes.len() };
                return Err(Cause::Document(expected));
            }
            let media_type = listed.as_ref().map(|listed| listed.media_type.as_str());
            Ok(Some(Manifest::parse(bytes, media_type, Some(&digest))?))
        })
        .await
    }

    /// A file of another size than the descriptor says is refused before a byte of it is read.
    async fn blob(&self, blob: &Descriptor, trail: &Arc<Trail>, from: u64) -> Result<Self::Blob, Error> {
        let what = format!("reading blob {blob} of {}", self.location);
        let (wanted, (position, _)) = (blob.clone(), trail.before(from));
        let file = self
            .blocking(what.clone(), move |folder| {
                let Some((mut file, size)) = folder.blob(&wanted.digest)? else { return Err(Cause::NotFound) };
                if size != wanted.size {
                    return Err(Cause::Layout(format!(
                        "its file has {size} bytes, its descriptor says {}: bring it there again",
                        wanted.size
                    )));
                }
                file.seek(SeekFrom::Start(position)).map_err(|error| Cause::Layout(error.to_string()))?;
                Ok(file)
            })
            .await?;
        let bytes = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
        let (host, observer) = (self.location.host.clone(), Arc::clone(&self.observer));
        Ok(Verified::new(FileBody { bytes, what: what.clone(), host, observer }, blob, what, trail, from))
    }

    async fn in_lanes(&self, _streams: usize) -> Self {
        self.clone()
    }

    /// What a file is, it stays.
    fn patience(&self) -> Patience {
        Patience { max_attempts: 1, ..Patience::STANDARD }
    }

    async fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        let listing = self.blocking(format!("listing the tags of {}", self.location), Folder::listing).await?;
        Ok(listing.map(|listing| listing.tags()))
    }

    /// Other tools list them in `index.json` beside the images; we write them under the subject's tag, as for a registry
    /// that has no list of its own. A layout to be written is one of those.
    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        if self.trust == Trust::Whole {
            return Ok(None);
        }
        let what = format!("listing what refers to {} in {}", subject.short(), self.location);
        let subject = subject.clone();
        self.blocking(what, move |folder| folder.referrers(&subject)).await
    }
}

/// The document that is meant, and what is listed of it.
fn found(folder: &Folder, at: &TagOrDigest) -> Result<Option<(Digest, Option<Descriptor>)>, Cause> {
    let Some(listing) = folder.listing()? else { return Ok(None) };
    Ok(match at {
        TagOrDigest::Digest(digest) => Some((digest.clone(), listing.image(digest))),
        TagOrDigest::Tag(tag) => {
            listing.tagged(tag).map_err(Cause::Layout)?.map(|image| (image.digest.clone(), Some(image)))
        }
    })
}
