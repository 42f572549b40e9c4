//! One repository after the other: what may go is chosen, and goes.

use std::collections::{HashMap, HashSet};

use super::super::abreast::side_by_side;
use super::super::delivered::Delivered;
use super::super::delivery::Delivery;
use super::super::rule::Prune;
use super::super::store::Store;
use super::choice::{Choice, Written};
use super::deletion::Deletion;
use super::grounds::Ground;
use super::neighbours::Neighbours;
use super::pruned::{Pruned, reference};
use super::refusal::Refusal;
use crate::content::{Error, Location, Pull};
use crate::events::ImageOutcome;
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::registry::Access;

/// The images of a repository that are in place after a run. A repository that is not among them got none.
type InPlace = HashMap<Location, HashSet<Digest>>;

impl Delivery<'_> {
    /// Deletes what the rule would not write, or with a plan tells it. Not where all images failed, and not in a run
    /// that was stopped.
    pub(in super::super) async fn prune(&self, mut grounds: Vec<Ground>, delivered: &mut Delivered) {
        let Some(prune) = &self.rule.prune else { return };
        if self.context.cancel.is_cancelled() {
            return;
        }
        let in_place = in_place(delivered);
        grounds.retain(|ground| in_place.contains_key(ground.target.location()));
        grounds.sort_by(|a, b| a.target.location().cmp(b.target.location()));
        let neighbours = Neighbours::of(prune, self.engine, self.context);
        let work = grounds.into_iter().map(|ground| self.prune_ground(ground, prune, &neighbours, &in_place));
        for pruned in side_by_side(work).await {
            delivered.pruned.extend(pruned.tags);
            delivered.warnings.extend(pruned.warnings);
            delivered.errors.extend(pruned.error);
        }
    }

    async fn prune_ground(
        &self,
        ground: Ground,
        prune: &Prune,
        neighbours: &Neighbours<'_>,
        in_place: &InPlace,
    ) -> Pruned {
        let (mut pruned, target) = (Pruned::default(), ground.target.clone());
        let work = async {
            let (going, written) = self.choose(ground, prune, neighbours, in_place).await?;
            if self.mode.changes() {
                let deletion = Deletion { context: self.context, target: &target, documents: written.documents };
                deletion.run(&going, &mut pruned).await?;
            } else {
                pruned.tags.extend(going.into_iter().map(|tag| reference(&target, tag)));
            }
            Ok(())
        };
        match work.await {
            Err(refusal) if !Refusal::is_cancelled(&refusal) => {
                pruned.error = Some(format!("pruning {}: {refusal}", target.location()));
            }
            _ => {}
        }
        pruned
    }

    /// The tags that may go, and what this rule and others write there.
    async fn choose(
        &self,
        ground: Ground,
        prune: &Prune,
        neighbours: &Neighbours<'_>,
        in_place: &InPlace,
    ) -> Result<(Vec<Tag>, Written), Refusal> {
        let Ground { target, here, mut written } = ground;
        let listed = match here {
            Some(tags) => tags.into_iter().collect(),
            None => {
                let listed = self.context.listings.tags(&target, Access::Push);
                self.context.unless_stopped(listed).await??.unwrap_or_default().to_vec()
            }
        };
        let mut choice = Choice::among(listed, |tag| prune.keeps(tag));
        choice.spare(&written);
        let there = in_place.get(target.location());
        let unsure = choice.subjects().into_iter().filter(|subject| there.is_none_or(|there| !there.contains(subject)));
        choice.without(&self.gone(&target, unsure).await?);
        if choice.is_empty() {
            return Ok((Vec::new(), written));
        }
        let others = neighbours.written_to(target.location()).await?;
        choice.spare(&others);
        written.documents.extend(others.documents);
        // By the digests under which they lie there: a list that was made smaller has one of its own.
        written.documents.extend(there.into_iter().flatten().cloned());
        Ok((choice.within(prune.max_delete)?, written))
    }

    /// Those of some documents that are not there.
    async fn gone(&self, target: &Store, documents: impl Iterator<Item = Digest>) -> Result<HashSet<Digest>, Error> {
        let look = |digest: Digest| async move {
            let at = TagOrDigest::Digest(digest.clone());
            match self.context.unless_stopped(target.resolve(&at)).await? {
                // What we may not see may be there.
                Err(error) if error.is_forbidden() => Ok(None),
                found => Ok(found?.is_none().then_some(digest)),
            }
        };
        let looked: Result<Vec<Option<Digest>>, Error> = side_by_side(documents.map(look)).await.into_iter().collect();
        Ok(looked?.into_iter().flatten().collect())
    }
}

fn in_place(delivered: &Delivered) -> InPlace {
    let mut in_place = InPlace::new();
    for (_, image) in delivered.images.iter().filter(|(_, image)| image.outcome != ImageOutcome::Failed) {
        let documents = in_place.entry(Location::from(&image.target)).or_default();
        // The target has something else of what was left alone.
        documents.extend(image.digest.clone().filter(|_| image.outcome != ImageOutcome::Skipped));
    }
    in_place
}
