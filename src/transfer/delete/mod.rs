//! Deleting what a user names: one tag, or one document with its tags. Nothing else goes without being told first.
//!
//! A tag goes alone also where the registry deletes documents only: see [`stand_in`].

mod stand_in;

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::compare::resolve_target;
use super::context::Context;
use super::engine::Engine;
use super::mode::Mode;
use super::store::Store;
use super::tagged::{Pointed, TURN_DELETION_ON, below, pointed};
use crate::content::{Cause, Deleted, Error, Location, Pull as _, Push as _};
use crate::events;
use crate::layout::Trust;
use crate::oci::{Digest, Reference, Tag, TagOrDigest};
use crate::registry::Access;

/// Something that is to be deleted, and what that would mean. Nothing is deleted yet.
pub struct Removal {
    target: Store,
    context: Context,
    doomed: Doomed,
}

enum Doomed {
    Tag { tag: Tag, digest: Digest },
    Document { digest: Digest, tags: Vec<Tag>, listed_by: Vec<Tag> },
}

/// What was deleted. Fields are added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What was named.
    pub reference: Reference,
    /// What a tag pointed at, or the document that is gone.
    pub digest: Digest,
    /// The tags that went.
    pub tags: Vec<Reference>,
    /// Tags of lists that name the document, and lack it now.
    pub listed_by: Vec<Reference>,
}

/// Why nothing was deleted. The text is complete.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// Neither tags nor documents can be deleted there.
    #[error("deleting {0}: the registry deletes neither tags nor manifests: {TURN_DELETION_ON}")]
    Off(Reference),
    /// Somebody moved the tag meanwhile.
    #[error("deleting {0}: it was moved just now, and is left as it is: look at it, and try again")]
    Moved(Reference),
    /// It could not be deleted by way of the stand-in. The tag points where it pointed before.
    #[error("deleting {tag}: {reason}; the tag is where it was")]
    PutBack {
        /// The tag.
        tag: Reference,
        /// What kept the stand-in from being deleted.
        reason: String,
    },
    /// The tag was moved onto the stand-in, and could not be put back.
    #[error(
        "deleting {tag}: {reason}; the tag now points at an empty manifest, since it could not be put back either: \
         {also}; do that with `regferry copy {original} {tag}`"
    )]
    Stranded {
        /// The tag.
        tag: Reference,
        /// What kept the stand-in from being deleted.
        reason: String,
        /// What kept the tag from being put back.
        also: String,
        /// What the tag pointed at.
        original: Reference,
    },
    /// It may not be deleted by us.
    #[error("{0}; these credentials lack the right to delete there")]
    Forbidden(Error),
    /// A request failed.
    #[error("{}", .0.with_advice())]
    Failed(Error),
}

impl From<Error> for RemovalError {
    fn from(error: Error) -> Self {
        if error.is_forbidden() { Self::Forbidden(error) } else { Self::Failed(error) }
    }
}

impl Engine {
    /// Finds out what deleting a tag or a document would mean. Nothing is written. Of a tag that is one HEAD; of a
    /// document, a HEAD for each tag of the repository and a GET for each document behind them.
    ///
    /// # Errors
    /// If it is not there, or not all of that can be found out.
    pub async fn removal(
        &self,
        location: &Location,
        at: TagOrDigest,
        cancel: &CancellationToken,
    ) -> Result<Removal, RemovalError> {
        let context = self.context(&Arc::from(events::DELETE), Mode::Execute, cancel.clone());
        // A tag is deleted also if what it points at is damaged.
        let target = self.store(location, Access::Push, Trust::Listed)?;
        let found = context.unless_stopped(target.resolve(&at)).await??;
        let digest = found.ok_or_else(|| not_found(&at, location))?;
        let doomed = match at {
            TagOrDigest::Tag(tag) => Doomed::Tag { tag, digest },
            TagOrDigest::Digest(digest) => document(&target, &context, digest).await?,
        };
        Ok(Removal { target, context, doomed })
    }
}

impl Removal {
    /// What a tag points at, or the document.
    pub fn digest(&self) -> &Digest {
        match &self.doomed {
            Doomed::Tag { digest, .. } | Doomed::Document { digest, .. } => digest,
        }
    }

    /// The tags that go along with a document.
    pub fn tags(&self) -> &[Tag] {
        match &self.doomed {
            Doomed::Tag { .. } => &[],
            Doomed::Document { tags, .. } => tags,
        }
    }

    /// The tags of lists that name the document: what they name will not be there.
    pub fn listed_by(&self) -> &[Tag] {
        match &self.doomed {
            Doomed::Tag { .. } => &[],
            Doomed::Document { listed_by, .. } => listed_by,
        }
    }

    /// Deletes it. Not to be dropped half-way: between two requests a tag may point at the stand-in. When the run is
    /// stopped, it ends by itself as soon as the tag is what it was, or gone.
    ///
    /// # Errors
    /// If it could not be deleted: then all is as it was, but for [`RemovalError::Stranded`].
    pub async fn execute(self) -> Result<Removed, RemovalError> {
        let removed = match &self.doomed {
            Doomed::Tag { tag, digest } => self.tag(tag, digest).await,
            Doomed::Document { digest, .. } => self.document(digest).await,
        };
        let location = self.target.location();
        self.context.memory.forget(location);
        self.context.knowledge.forget(location);
        removed.map(|()| self.removed())
    }

    async fn tag(&self, tag: &Tag, digest: &Digest) -> Result<(), RemovalError> {
        match self.target.delete_tag(tag).await? {
            Deleted::Done => Ok(()),
            // Where a tag is no name of anything, as far as deleting goes, it is said not to be there.
            Deleted::Gone if self.digest_of(tag).await?.is_none() => Ok(()),
            Deleted::Gone | Deleted::Unsupported => self.with_stand_in(tag, digest).await,
        }
    }

    async fn document(&self, digest: &Digest) -> Result<(), RemovalError> {
        match self.target.delete_manifest(digest).await? {
            Deleted::Done => Ok(()),
            Deleted::Gone if self.is_gone(digest).await? => Ok(()),
            Deleted::Gone | Deleted::Unsupported => {
                Err(RemovalError::Off(self.reference(TagOrDigest::Digest(digest.clone()))))
            }
        }
    }

    /// Whether a document is really not there: who does not know a request to delete says so too.
    async fn is_gone(&self, digest: &Digest) -> Result<bool, Error> {
        let at = TagOrDigest::Digest(digest.clone());
        Ok(resolve_target(&self.target, &at).await?.is_none())
    }

    /// What a tag points at now.
    async fn digest_of(&self, tag: &Tag) -> Result<Option<Digest>, Error> {
        self.target.resolve(&TagOrDigest::Tag(tag.clone())).await
    }

    fn removed(self) -> Removed {
        let (tags, listed_by) = (self.references(self.tags()), self.references(self.listed_by()));
        let location = self.target.location();
        match self.doomed {
            Doomed::Tag { tag, digest } => {
                let reference = location.reference(&TagOrDigest::Tag(tag));
                Removed { tags: vec![reference.clone()], reference, digest, listed_by }
            }
            Doomed::Document { digest, .. } => {
                Removed { reference: location.reference(&TagOrDigest::Digest(digest.clone())), digest, tags, listed_by }
            }
        }
    }

    fn references(&self, tags: &[Tag]) -> Vec<Reference> {
        tags.iter().map(|tag| self.reference(TagOrDigest::Tag(tag.clone()))).collect()
    }

    fn reference(&self, at: TagOrDigest) -> Reference {
        self.target.location().reference(&at)
    }
}

/// What goes with a document, and what would lack it.
async fn document(target: &Store, context: &Context, digest: Digest) -> Result<Doomed, Error> {
    let listed = context.unless_stopped(target.tags()).await??.unwrap_or_default();
    let tags = pointed(target, context, listed).await?;
    let roots: HashSet<Digest> = tags.values().cloned().collect();
    let below = below(target, context, &roots).await?;
    let names = |root: &Digest| below.get(root).is_some_and(|listed| listed.contains(&digest));
    let of = |is_meant: &dyn Fn(&Digest) -> bool| chosen(&tags, is_meant);
    let (own, listed_by) = (of(&|root| *root == digest), of(&|root| names(root)));
    Ok(Doomed::Document { tags: own, listed_by, digest })
}

fn chosen(tags: &Pointed, is_meant: impl Fn(&Digest) -> bool) -> Vec<Tag> {
    tags.iter().filter(|(_, digest)| is_meant(digest)).map(|(tag, _)| tag.clone()).collect()
}

fn not_found(at: &TagOrDigest, location: &Location) -> Error {
    Error::new(format!("looking up manifest {at} of {location}"), Cause::NotFound).at(&location.host)
}
