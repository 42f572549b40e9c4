//! What an archive holds but for its blobs, read as any source is.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Iter};

use super::super::listing::Listing;
use crate::backoff::Patience;
use crate::content::{Cause, Error, Location, Pull, Trail, Verified};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Tag, TagOrDigest};

/// The documents of an archive that has been read to its end. Its blobs are where it was unpacked to. Cheap to clone.
#[derive(Clone)]
pub struct Parcel {
    location: Location,
    listing: Arc<Listing>,
    documents: Arc<HashMap<Digest, Manifest>>,
}

impl Parcel {
    pub(super) fn new(location: Location, listing: Listing, documents: HashMap<Digest, Manifest>) -> Self {
        Self { location, listing: Arc::new(listing), documents: Arc::new(documents) }
    }

    /// The tag of the image that is meant where none is named, if it has one.
    pub fn tag(&self) -> Option<Tag> {
        let image = self.listing.unnamed().ok()?;
        self.listing.tags().into_iter().find(|tag| self.digest(tag).ok().flatten().as_ref() == Some(&image.digest))
    }

    fn digest(&self, tag: &Tag) -> Result<Option<Digest>, Error> {
        let found = self.listing.tagged(tag).map_err(|reason| self.error(Cause::Layout(reason)))?;
        Ok(found.map(|image| image.digest))
    }

    fn error(&self, cause: Cause) -> Error {
        Error::new(format!("reading {}", self.location), cause).at(&self.location.host)
    }
}

impl Pull for Parcel {
    type Blob = Verified<Iter<std::option::IntoIter<Result<Bytes, Error>>>>;

    fn location(&self) -> &Location {
        &self.location
    }

    async fn meant(&self, _reference: &Reference) -> Result<TagOrDigest, Error> {
        let image = self
            .listing
            .unnamed()
            .map_err(|reason| self.error(Cause::Layout(format!("{reason}; unpack it, and name one as oci:DIR:TAG"))))?;
        Ok(TagOrDigest::Digest(image.digest))
    }

    async fn resolve(&self, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
        let digest = match at {
            TagOrDigest::Tag(tag) => self.digest(tag)?,
            TagOrDigest::Digest(digest) => Some(digest.clone()),
        };
        Ok(digest.filter(|digest| self.documents.contains_key(digest)))
    }

    async fn manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        Ok(self.resolve(at).await?.and_then(|digest| self.documents.get(&digest).cloned()))
    }

    /// Only what reads as a document is here; other blobs that the target lacks, the archive lacked too.
    async fn blob(&self, blob: &Descriptor, trail: &Arc<Trail>, from: u64) -> Result<Self::Blob, Error> {
        let what = format!("looking for blob {blob} in {}", self.location);
        let Some(document) = self.documents.get(&blob.digest) else {
            return Err(Error::new(what, Cause::Layout("the archive does not have it".to_owned())));
        };
        let bytes = document.bytes();
        let position = usize::try_from(trail.before(from).0).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.slice(position..);
        let pieces = stream::iter((!rest.is_empty()).then_some(Ok(rest)));
        Ok(Verified::new(pieces, blob, what, trail, from))
    }

    async fn in_lanes(&self, _streams: usize) -> Self {
        self.clone()
    }

    fn patience(&self) -> Patience {
        Patience { max_attempts: 1, ..Patience::STANDARD }
    }

    async fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        Ok(Some(self.listing.tags()))
    }

    /// They are listed under the subject's tag, as `copy --referrers` writes them.
    async fn referrers(&self, _subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        Ok(None)
    }
}
