//! Letting tags go: by themselves where the registry does that, else with their documents, where nothing that stays
//! needs those. Nothing is deleted to find out what a registry does but what is to go anyway.

use std::collections::{BTreeMap, HashSet};

use super::super::context::Context;
use super::super::knowledge::Flight;
use super::super::moves::Movable;
use super::super::tagged::{Pointed, below, named, pointed};
use super::pruned::{Pruned, reference};
use super::refusal::Refusal;
use crate::content::{Deleted, Error, Push};
use crate::oci::{Digest, Tag};

/// The tags of one repository on their way out.
pub(super) struct Deletion<'a, T> {
    pub(super) context: &'a Context,
    pub(super) target: &'a T,
    /// Documents without a tag that rules write there.
    pub(super) documents: HashSet<Digest>,
}

impl<T: Push> Deletion<'_, T> {
    /// Deletes these tags, one after the other. Which of them went stands in `pruned`, also if not all did.
    pub(super) async fn run(self, going: &[Tag], pruned: &mut Pruned) -> Result<(), Refusal> {
        if going.is_empty() {
            return Ok(());
        }
        let begun = self.context.moving.begin(Movable::Repository(self.target.location().clone()));
        let begun = self.context.unless_stopped(begun).await?;
        let deleted = self.one_by_one(going, pruned).await;
        // A request that failed may have been done, or be done later.
        if !matches!(deleted, Err(Refusal::Failed(_))) {
            self.context.moving.end(begun).await;
        }
        if !pruned.tags.is_empty() {
            self.context.memory.forget(self.target.location());
        }
        deleted
    }

    async fn one_by_one(&self, going: &[Tag], pruned: &mut Pruned) -> Result<(), Refusal> {
        for (number, tag) in going.iter().enumerate() {
            self.unless_stopped()?;
            match self.target.delete_tag(tag).await {
                Ok(Deleted::Done) => self.note(tag, pruned),
                // Where a tag is no name of anything, as far as deleting goes, it is said not to be there.
                Ok(Deleted::Gone) if pointed(self.target, self.context, vec![tag.clone()]).await?.is_empty() => {}
                Ok(Deleted::Gone | Deleted::Unsupported) => return self.with_documents(&going[number..], pruned).await,
                Err(error) if error.is_immutable() => pruned.warnings.push(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Deletes the documents that these tags point at, lists before what they list, if nothing that stays needs them.
    async fn with_documents(&self, going: &[Tag], pruned: &mut Pruned) -> Result<(), Refusal> {
        let listed = self.context.unless_stopped(self.target.tags()).await??.unwrap_or_default();
        let (gone, stays): (Vec<Tag>, Vec<Tag>) = listed.into_iter().partition(|tag| going.contains(tag));
        let (gone, stays) =
            (pointed(self.target, self.context, gone).await?, pointed(self.target, self.context, stays).await?);
        let needed = self.with_what_they_list(stays.into_values().chain(self.documents.iter().cloned())).await?;

        let mut shared = Vec::new();
        for (digest, tags) in self.lists_first(gone).await? {
            if needed.contains(&digest) || !self.document(&digest, &tags, pruned).await? {
                shared.extend(tags);
            }
        }
        if !shared.is_empty() {
            pruned.warnings.push(format!(
                "tags that stay in {1}, since the registry deletes no tag alone and other tags need the same images ({0}): {2}",
                shared.len(),
                self.target.location(),
                named(&shared)
            ));
        }
        Ok(())
    }

    /// Deletes a document, unless all of its tags point elsewhere by now. Nobody of this process brings it meanwhile;
    /// returns `false` if somebody has, under another tag or as a part of another image.
    async fn document(&self, digest: &Digest, tags: &[Tag], pruned: &mut Pruned) -> Result<bool, Refusal> {
        self.unless_stopped()?;
        let (location, knowledge) = (self.target.location(), &self.context.knowledge);
        let alone = knowledge.flight(Flight::Image(location.clone(), digest.clone()));
        let _alone = self.context.unless_stopped(alone).await?;
        if knowledge.has_manifest(location, digest) {
            return Ok(false);
        }
        let now = pointed(self.target, self.context, tags.to_vec()).await?;
        let (still, moved): (Vec<_>, Vec<_>) = now.into_iter().partition(|(_, pointed)| pointed == digest);
        for (tag, _) in moved {
            pruned.warnings.push(format!("{location}:{tag} stays: it was moved just now"));
        }
        if still.is_empty() {
            return Ok(true);
        }
        match self.target.delete_manifest(digest).await {
            Ok(Deleted::Done) => {
                knowledge.forget(location);
                still.iter().for_each(|(tag, _)| self.note(tag, pruned));
                Ok(true)
            }
            Ok(Deleted::Gone) => Ok(true),
            Ok(Deleted::Unsupported) => Err(Refusal::Off),
            Err(error) if error.is_immutable() => {
                pruned.warnings.push(error.to_string());
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Documents, and all that are listed by them.
    async fn with_what_they_list(&self, roots: impl Iterator<Item = Digest>) -> Result<HashSet<Digest>, Error> {
        let roots: HashSet<Digest> = roots.collect();
        let below = below(self.target, self.context, &roots).await?;
        Ok(below.into_values().flatten().chain(roots).collect())
    }

    /// The tags by what they point at: a document that another one lists comes after it.
    async fn lists_first(&self, tags: Pointed) -> Result<Vec<(Digest, Vec<Tag>)>, Error> {
        let mut by_digest: BTreeMap<Digest, Vec<Tag>> = BTreeMap::new();
        for (tag, digest) in tags {
            by_digest.entry(digest).or_default().push(tag);
        }
        let below = below(self.target, self.context, &by_digest.keys().cloned().collect()).await?;
        let mut ordered: Vec<_> = by_digest.into_iter().collect();
        // Whoever lists a list has all that is below it: fewer list the list than what it lists.
        ordered.sort_by_key(|(digest, _)| below.values().filter(|listed| listed.contains(digest)).count());
        Ok(ordered)
    }

    fn note(&self, tag: &Tag, pruned: &mut Pruned) {
        let reference = reference(self.target, tag.clone());
        self.context.observer.pruned(&self.context.claimant.rule, &reference);
        pruned.tags.push(reference);
    }

    fn unless_stopped(&self) -> Result<(), Error> {
        if self.context.cancel.is_cancelled() { Err(self.context.stopped()) } else { Ok(()) }
    }
}
