//! Where content lies: the traits that a registry and an image layout implement, and their one error.

mod error;
mod fence;
mod refusal;
mod trail;
mod verified;

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::{Cause, Error, NoPulls, Unreachable};
pub use fence::{Displaced, Fence};
pub use refusal::{LoginSent, Refusal};
pub use trail::Trail;
pub use verified::Verified;

use crate::backoff::Patience;
use crate::oci::{
    Descriptor, Digest, Host, InvalidName, LAYOUT_PREFIX, Manifest, Reference, Repository, Tag, TagOrDigest,
    write_place,
};

/// A repository in a registry, `ghcr.io/acme/app`, or an image layout, `oci:DIR`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The registry.
    pub host: Host,
    /// The repository in it.
    pub repository: Repository,
}

impl Location {
    /// A reference to something in this repository.
    pub fn reference(&self, at: &TagOrDigest) -> Reference {
        let (tag, digest) = match at {
            TagOrDigest::Tag(tag) => (Some(tag.clone()), None),
            TagOrDigest::Digest(digest) => (None, Some(digest.clone())),
        };
        Reference { host: self.host.clone(), repository: self.repository.clone(), tag, digest }
    }
}

impl From<&Reference> for Location {
    fn from(reference: &Reference) -> Self {
        Self { host: reference.host.clone(), repository: reference.repository.clone() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.host, &self.repository)
    }
}

/// As a reference begins: `ghcr.io/acme/app`, or `oci:DIR`.
impl FromStr for Location {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if let Some(dir) = text.strip_prefix(LAYOUT_PREFIX) {
            return Ok(Self { host: Host::layout(dir)?, repository: Repository::of_layout() });
        }
        let (host, repository) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { host: host.parse()?, repository: repository.parse()? })
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A repository that can be read. Cheap to clone. Every method may be cancelled by dropping its future; nothing is left behind.
pub trait Pull: Clone + Send + Sync {
    /// A blob's bytes. Its last piece comes only after all of them hashed to the blob's digest.
    type Blob: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static;

    /// Where this is.
    fn location(&self) -> &Location;

    /// What a reference means here: its digest or tag, and without those `latest`, or the only image of a layout.
    fn meant(&self, reference: &Reference) -> impl Future<Output = Result<TagOrDigest, Error>> + Send {
        std::future::ready(Ok(reference.selector()))
    }

    /// The digest that a tag points at, or whether a digest is there: `None` if it is not.
    fn resolve(&self, at: &TagOrDigest) -> impl Future<Output = Result<Option<Digest>, Error>> + Send;

    /// A document, checked against its digest; `None` if it is not there.
    fn manifest(&self, at: &TagOrDigest) -> impl Future<Output = Result<Option<Manifest>, Error>> + Send;

    /// A blob's bytes from `from` on as a stream, hashed on the way: the hash goes on where `trail` left it.
    fn blob(
        &self,
        blob: &Descriptor,
        trail: &Arc<Trail>,
        from: u64,
    ) -> impl Future<Output = Result<Self::Blob, Error>> + Send;

    /// Waits for the connections that so many streams of bytes need, and returns the same repository for whoever moves
    /// them: what is asked through it uses those, and is tried once. With none, it uses what another has waited for.
    fn in_lanes(&self, streams: usize) -> impl Future<Output = Self> + Send;

    /// How patient to be with what fails here.
    fn patience(&self) -> Patience;

    /// All tags; `None` if there is no such repository.
    fn tags(&self) -> impl Future<Output = Result<Option<Vec<Tag>>, Error>> + Send;

    /// The documents whose `subject` is this one, as the registry lists them; none where the repository is not there.
    /// `None` if this registry has no such list: then it is kept under a tag ([`Digest::referrers_tag`]).
    fn referrers(&self, subject: &Digest) -> impl Future<Output = Result<Option<Vec<Descriptor>>, Error>> + Send;
}

/// What a repository has of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobFound {
    /// Nothing.
    Absent,
    /// As many bytes as it is to have, or as many as nobody tells.
    Whole,
    /// Another number of bytes: it was cut off, or is something else.
    OtherSize(u64),
}

/// What came of asking for a mount.
pub enum Mount<U> {
    /// The blob is here now: nothing is to be sent.
    Done,
    /// It is not, but an upload session is open, to be finished or abandoned.
    Session(U),
}

impl<U> Mount<U> {
    /// The same with another kind of session.
    pub fn map<V>(self, session: impl FnOnce(U) -> V) -> Mount<V> {
        match self {
            Self::Done => Mount::Done,
            Self::Session(open) => Mount::Session(session(open)),
        }
    }
}

/// What came of putting a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The subject under which the registry now lists the document. A document with a subject that is put without this
    /// answer is to be listed under the subject's tag by whoever put it.
    pub subject: Option<Digest>,
}

/// What came of deleting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted, or will be shortly.
    Done,
    /// It was not there.
    Gone,
    /// The registry does not delete this: not at all, or not tags. All is as it was.
    Unsupported,
}

/// A repository that can be written as well.
pub trait Push: Pull {
    /// An open upload session.
    type Upload: Send + Sync;

    /// Whether it takes one blob or document after the other, never two side by side.
    const ONE_BY_ONE: bool = false;

    /// Whether the blob is there, and of its size. Its bytes are not read.
    fn find_blob(&self, blob: &Descriptor) -> impl Future<Output = Result<BlobFound, Error>> + Send;

    /// Mounts the blob from a repository of the same registry. Mounted from the very repository, it tells whether the
    /// blob is there, and opens an upload if it is not.
    fn mount(
        &self,
        blob: &Descriptor,
        from: &Repository,
    ) -> impl Future<Output = Result<Mount<Self::Upload>, Error>> + Send;

    /// Opens an upload session.
    fn open_upload(&self, blob: &Descriptor) -> impl Future<Output = Result<Self::Upload, Error>> + Send;

    /// Sends the blob's bytes from `from` on, where the session stands, and commits them. Tried once: a stream cannot
    /// be read twice.
    ///
    /// Cancelled before the last byte is sent, nothing is committed. After that the outcome is unknown until
    /// [`Push::find_blob`] tells.
    fn upload<B>(
        &self,
        upload: &mut Self::Upload,
        blob: &Descriptor,
        from: u64,
        bytes: B,
    ) -> impl Future<Output = Result<(), Error>> + Send
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static;

    /// How many bytes an upload that broke off has kept; `None` if it cannot be gone on with.
    fn kept(&self, upload: &mut Self::Upload, blob: &Descriptor) -> impl Future<Output = Option<u64>> + Send;

    /// Closes an upload session that will not be finished, as far as the registry lets us.
    fn abandon(&self, upload: &Self::Upload) -> impl Future<Output = ()> + Send;

    /// Puts a document under a tag or its digest, byte for byte, and compares the digest that is reported back.
    fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> impl Future<Output = Result<Put, Error>> + Send;

    /// Sees to it that a document without a tag, which is there with all that it names, is found and kept: an image
    /// layout lists it. A registry keeps it as it is.
    fn keep_untagged(&self, _root: &Digest) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Deletes a tag alone. What it pointed at stays, and other tags of that do.
    fn delete_tag(&self, tag: &Tag) -> impl Future<Output = Result<Deleted, Error>> + Send;

    /// Deletes a document, and with it every tag that points at it.
    fn delete_manifest(&self, digest: &Digest) -> impl Future<Output = Result<Deleted, Error>> + Send;
}
