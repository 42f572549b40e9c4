//! Carrying a plan out: blobs before manifests, children before lists, the root last and straight by tag.

use futures_util::future::join_all;

use super::plan::{CopyPlan, Node};
use super::route::Route;
use crate::content::{Error, Pull, Push, Put};
use crate::oci::{Manifest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Copies what the plan names, rank by rank, and puts its root under `to`. Of one rank, an image is put when its own
    /// blobs are in place, while others' still move.
    pub(super) async fn publish(&self, plan: &CopyPlan, to: &TagOrDigest) -> Result<Option<Put>, Error> {
        let Some((last, before)) = plan.ranks.split_last() else { return Ok(None) };
        for rank in before {
            all_of(rank.iter().map(|node| {
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
        all_of(node.blobs.iter().map(|blob| self.place(blob))).await?;
        self.put(&node.manifest, at).await
    }

    /// Puts one document. Once it is sent it is not cut: the registry would be left to decide.
    pub(super) async fn put(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        if self.context.cancel.is_cancelled() {
            return Err(self.context.stopped());
        }
        let put = self.target.put_manifest(manifest, at).await?;
        if matches!(at, TagOrDigest::Digest(_)) {
            self.context.knowledge.learn_manifest(self.target.location(), manifest.digest());
        }
        Ok(put)
    }
}

/// Waits for all of them, also when one fails: what the others have under way is not cut, and need not be sent again by
/// the next run. The first error that is not just the stop counts.
async fn all_of(parts: impl Iterator<Item = impl Future<Output = Result<(), Error>>>) -> Result<(), Error> {
    let mut errors: Vec<Error> = join_all(parts).await.into_iter().filter_map(Result::err).collect();
    let first = errors.iter().position(|error| !error.is_cancelled()).unwrap_or(0);
    if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(first)) }
}
