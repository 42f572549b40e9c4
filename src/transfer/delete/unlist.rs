//! Taking a document out of the lists of what refers to its subject, before it goes: a list that names what is not there
//! could never be put again with another entry. Source: distribution spec, "Deleting Manifests".
//!
//! A list that becomes empty goes with its tag where the registry deletes tags. Elsewhere an empty one is left, which the
//! spec asks for and which says the truth: to delete it by way of a stand-in would let the tag point at something that is
//! no list, for whoever attaches something meanwhile.

use std::collections::HashSet;

use super::super::referrers::put_index;
use super::{Removal, RemovalError};
use crate::content::{Cause, Deleted, Error, Pull as _, Push as _};
use crate::oci::{Content, Digest, Manifest, Tag, TagOrDigest, referrers_index_without};

/// A list that a document is taken out of.
struct Unlisting {
    tag: Tag,
    before: Manifest,
    after: Manifest,
    /// What was put in the place of `before`.
    put: Vec<Digest>,
}

impl Removal {
    /// Deletes a document by `deleting` once these lists do not name it any more; if it stays, they name it again.
    pub(super) async fn unlisted(
        &self,
        digest: &Digest,
        lists: &[Tag],
        deleting: impl Future<Output = Result<(), RemovalError>>,
    ) -> Result<(), RemovalError> {
        let mut unlistings = Vec::new();
        for tag in lists {
            unlistings.extend(self.unlisting(digest, tag).await?);
        }
        let deleted = match self.take_out(&mut unlistings).await {
            Ok(()) => deleting.await,
            Err(error) => Err(error),
        };
        let Err(error) = deleted else { return Ok(()) };
        // What failed may have been done all the same.
        let at = TagOrDigest::Digest(digest.clone());
        if !unlistings.is_empty() && matches!(self.unstopped.resolve(&at).await, Ok(None)) {
            return Ok(());
        }
        for list in unlistings {
            if let Err(also) = self.relist(&list).await {
                return Err(RemovalError::Unlisted {
                    document: self.reference(at),
                    list: self.reference(TagOrDigest::Tag(list.tag)),
                    reason: error.to_string(),
                    also,
                });
            }
        }
        Err(error)
    }

    /// What is to become of a list; nothing if it does not name the document.
    async fn unlisting(&self, digest: &Digest, tag: &Tag) -> Result<Option<Unlisting>, Error> {
        let at = TagOrDigest::Tag(tag.clone());
        let before = self.context.unless_stopped(self.target.manifest(&at)).await??;
        let Some(before) = before else { return Ok(None) };
        let after = referrers_index_without(&before, |entry| entry == digest).map_err(|cause| {
            let what = format!("taking {} out of the list {tag} of {}", digest.short(), self.target.location());
            Error::new(what, Cause::Document(cause))
        })?;
        Ok(after.map(|after| Unlisting { tag: tag.clone(), before, after, put: Vec::new() }))
    }

    async fn take_out(&self, unlistings: &mut [Unlisting]) -> Result<(), RemovalError> {
        for list in unlistings {
            let is_empty = matches!(list.after.content(), Content::Index(index) if index.manifests.is_empty());
            if is_empty {
                let deleted = self.target.delete_tag(&list.tag).await.map_err(RemovalError::of_deletion)?;
                if deleted == Deleted::Done {
                    continue;
                }
            }
            let at = TagOrDigest::Tag(list.tag.clone());
            list.put.push(list.after.digest().clone());
            let at = &at;
            let put = |index: Manifest| async move { self.target.put_manifest(&index, at).await };
            let living = put_index(&self.target, list.after.clone(), &HashSet::new(), put).await?;
            list.put.push(living.digest().clone());
        }
        Ok(())
    }

    /// Puts a list back, if it is not there; what somebody else has written meanwhile is left alone.
    async fn relist(&self, list: &Unlisting) -> Result<(), String> {
        let at = TagOrDigest::Tag(list.tag.clone());
        match self.unstopped.resolve(&at).await {
            Ok(Some(found)) if found == *list.before.digest() => return Ok(()),
            Ok(Some(found)) if !list.put.contains(&found) => return Err("it was changed just now".to_owned()),
            // What cannot be seen is put where it belongs.
            Ok(_) | Err(_) => {}
        }
        let at = &at;
        let put = |index: Manifest| async move { self.unstopped.put_manifest(&index, at).await };
        let put = put_index(&self.unstopped, list.before.clone(), &HashSet::new(), put).await;
        put.map(drop).map_err(|error| error.with_advice())
    }
}
