//! Carrying a plan out: blobs before manifests, children before lists, the root last and straight by tag.

use futures_util::future::join_all;

use super::compare::is_same;
use super::knowledge::Flight;
use super::moves::Movable;
use super::plan::{CopyPlan, Node};
use super::route::{Route, Tags};
use crate::content::{Cause, Error, Pull, Push, Put};
use crate::oci::{Digest, Manifest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Copies what the plan names, rank by rank, and puts its root under `to`. Of one rank, an image is put when its own
    /// blobs are in place, while others' still move.
    pub(super) async fn publish(&self, plan: &CopyPlan, to: &TagOrDigest) -> Result<Option<Put>, Error> {
        let Some((last, before)) = plan.ranks.split_last() else { return Ok(None) };
        for rank in before {
            self.all_of(rank.iter().map(|node| {
                let at = TagOrDigest::Digest(node.manifest.digest().clone());
                async move { self.publish_node(node, &at).await.map(drop) }
            }))
            .await?;
        }
        let mut put = None;
        for root in last {
            put = Some(self.publish_node(root, to).await?);
            self.context.knowledge.learn_manifest(self.target.location(), root.manifest.digest());
        }
        Ok(put)
    }

    async fn publish_node(&self, node: &Node, at: &TagOrDigest) -> Result<Put, Error> {
        self.all_of(node.blobs.iter().map(|blob| self.place(blob))).await?;
        self.put_as(&node.manifest, at).await
    }

    /// Puts one document under its name. A tag that has to stay is looked at once more: what was heard of it may be as
    /// old as the listing, and another may have written it meanwhile.
    pub(super) async fn put_as(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        let TagOrDigest::Tag(tag) = at else { return self.put(manifest, at).await };
        if self.tags == Tags::Move {
            return self.put(manifest, at).await;
        }
        let location = self.target.location();
        let alone = self.context.knowledge.flight(Flight::Tag(location.clone(), tag.clone()));
        let _alone = self.context.unless_stopped(alone).await?;
        match self.context.unless_stopped(self.target.resolve(at)).await? {
            Ok(Some(found)) if !self.is_known_as(manifest, at, &found).await? => {
                Err(Error::new(format!("pushing manifest {at} to {location}"), Cause::TagTaken(found))
                    .at(&location.host))
            }
            // Some registries forbid what is not there, and whoever may not look has asked for the listing.
            Err(error) if !error.is_forbidden() => Err(error),
            _ => self.put(manifest, at).await,
        }
    }

    async fn is_known_as(&self, manifest: &Manifest, at: &TagOrDigest, found: &Digest) -> Result<bool, Error> {
        self.context.unless_stopped(is_same(self.target, at, found, manifest.digest())).await?
    }

    /// Puts one document. Once it is sent it is not cut: the registry would be left to decide.
    pub(super) async fn put(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        if self.context.cancel.is_cancelled() {
            return Err(self.context.stopped());
        }
        let (location, digest) = (self.target.location().clone(), manifest.digest().clone());
        match at {
            TagOrDigest::Digest(_) => {
                let put = self.target.put_manifest(manifest, at).await?;
                self.context.knowledge.learn_manifest(&location, &digest);
                Ok(put)
            }
            TagOrDigest::Tag(tag) => {
                let moving = &self.context.moving;
                let begun = moving.begin(Movable::Tag(location.clone(), tag.clone()));
                let begun = self.context.unless_stopped(begun).await?;
                let put = self.target.put_manifest(manifest, at).await?;
                moving.end(begun).await;
                self.context.memory.tags.insert((location, tag.clone()), digest);
                Ok(put)
            }
        }
    }
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Does all of them side by side, if the target lets us, and waits for all, also when one fails: what the others have
    /// under way is not cut, and need not be sent again by the next run. The first error that is not just the stop counts.
    pub(super) async fn all_of(
        &self,
        parts: impl Iterator<Item = impl Future<Output = Result<(), Error>>>,
    ) -> Result<(), Error> {
        if T::ONE_BY_ONE {
            for part in parts {
                part.await?;
            }
            return Ok(());
        }
        let mut errors: Vec<Error> = join_all(parts).await.into_iter().filter_map(Result::err).collect();
        let first = errors.iter().position(|error| !error.is_cancelled()).unwrap_or(0);
        if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(first)) }
    }
}
