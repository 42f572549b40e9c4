//! Deleting what a user names: one tag, or one document with its tags. Nothing else goes without being told first, and
//! what was told is looked at again right before: see [`look`].
//!
//! A tag goes alone also where the registry deletes documents only: see [`stand_in`]. A document is taken out of the
//! lists of what refers to its subject before it goes: see [`unlist`].

mod error;
mod look;
mod stand_in;
mod unlist;

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::compare::resolve_target;
use super::context::Context;
use super::engine::Engine;
use super::mode::Mode;
use super::store::Store;
use crate::content::{Cause, Deleted, Error, Location, Pull as _, Push as _};
use crate::events;
use crate::layout::Trust;
use crate::oci::{Digest, Reference, Tag, TagOrDigest};
use crate::registry::Access;

pub use error::RemovalError;

use look::{Dependents, look};

/// Something that is to be deleted, and what that would mean. Nothing is deleted yet.
pub struct Removal {
    target: Store,
    /// The same for what is to be undone, also when the run is stopped.
    unstopped: Store,
    context: Context,
    doomed: Doomed,
}

enum Doomed {
    Tag { tag: Tag, digest: Digest },
    Document { digest: Digest, dependents: Dependents },
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
    /// Tags of lists of referrers that named the document, and do not any more.
    pub unlisted_from: Vec<Reference>,
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
        let unstopped = self.store(location, Access::Push, Trust::Listed)?;
        let target = unstopped.on_behalf_of(&Arc::default(), cancel);
        let found = context.unless_stopped(target.resolve(&at)).await??;
        let digest = found.ok_or_else(|| not_found(&at, location))?;
        let doomed = match at {
            TagOrDigest::Tag(tag) => Doomed::Tag { tag, digest },
            TagOrDigest::Digest(digest) => {
                let dependents = look(&target, &context, &digest).await?;
                Doomed::Document { digest, dependents }
            }
        };
        Ok(Removal { target, unstopped, context, doomed })
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
        self.dependents().map_or(&[], |dependents| &dependents.tags)
    }

    /// The tags of lists that name the document: what they name will not be there.
    pub fn listed_by(&self) -> &[Tag] {
        self.dependents().map_or(&[], |dependents| &dependents.listed_by)
    }

    /// The tags of the lists of referrers that the document will be taken out of.
    pub fn unlisted_from(&self) -> &[Tag] {
        self.dependents().map_or(&[], |dependents| &dependents.unlisted_from)
    }

    fn dependents(&self) -> Option<&Dependents> {
        match &self.doomed {
            Doomed::Tag { .. } => None,
            Doomed::Document { dependents, .. } => Some(dependents),
        }
    }

    /// Deletes it, if what would go is still what was told. Not to be dropped half-way: between two requests a tag may
    /// point at the stand-in, or a list of referrers lack the document. When the run is stopped, it ends by itself as
    /// soon as all is as it was, or it is gone.
    ///
    /// # Errors
    /// If it could not be deleted: then all is as it was, but for [`RemovalError::Stranded`] and
    /// [`RemovalError::Unlisted`].
    pub async fn execute(self) -> Result<Removed, RemovalError> {
        let removed = match &self.doomed {
            Doomed::Tag { tag, digest } => self.tag(tag, digest).await,
            Doomed::Document { digest, dependents } => self.document(digest, dependents).await,
        };
        let location = self.target.location();
        self.context.memory.forget(location);
        self.context.knowledge.forget(location);
        removed.map(|()| self.removed())
    }

    async fn tag(&self, tag: &Tag, digest: &Digest) -> Result<(), RemovalError> {
        let at = TagOrDigest::Tag(tag.clone());
        match self.context.unless_stopped(self.digest_of(tag)).await?? {
            Some(found) if found == *digest => {}
            Some(_) => return Err(RemovalError::Moved(self.reference(at))),
            None => return Err(not_found(&at, self.target.location()).into()),
        }
        match self.target.delete_tag(tag).await.map_err(RemovalError::of_deletion)? {
            Deleted::Done => Ok(()),
            // Where a tag is no name of anything, as far as deleting goes, it is said not to be there.
            Deleted::Gone if self.digest_of(tag).await?.is_none() => Ok(()),
            Deleted::Gone | Deleted::Unsupported => self.with_stand_in(tag, digest).await,
        }
    }

    async fn document(&self, digest: &Digest, told: &Dependents) -> Result<(), RemovalError> {
        let now = look(&self.target, &self.context, digest).await?;
        if now != *told {
            let document = self.reference(TagOrDigest::Digest(digest.clone()));
            return Err(RemovalError::Changed { document, changes: now.since(told) });
        }
        self.unlisted(digest, &told.unlisted_from, self.document_alone(digest)).await
    }

    async fn document_alone(&self, digest: &Digest) -> Result<(), RemovalError> {
        match self.target.delete_manifest(digest).await.map_err(RemovalError::of_deletion)? {
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

    fn removed(&self) -> Removed {
        let (listed_by, unlisted_from) = (self.references(self.listed_by()), self.references(self.unlisted_from()));
        let (reference, tags) = match &self.doomed {
            Doomed::Tag { tag, .. } => {
                let reference = self.reference(TagOrDigest::Tag(tag.clone()));
                (reference.clone(), vec![reference])
            }
            Doomed::Document { digest, dependents } => {
                (self.reference(TagOrDigest::Digest(digest.clone())), self.references(&dependents.tags))
            }
        };
        Removed { reference, digest: self.digest().clone(), tags, listed_by, unlisted_from }
    }

    fn references(&self, tags: &[Tag]) -> Vec<Reference> {
        tags.iter().map(|tag| self.reference(TagOrDigest::Tag(tag.clone()))).collect()
    }

    fn reference(&self, at: TagOrDigest) -> Reference {
        self.target.location().reference(&at)
    }
}

fn not_found(at: &TagOrDigest, location: &Location) -> Error {
    Error::new(format!("looking up manifest {at} of {location}"), Cause::NotFound).at(&location.host)
}
