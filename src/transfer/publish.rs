//! Carrying a plan out: blobs before manifests, children before lists, the root last and straight by tag.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::plan::{CopyPlan, Node};
use super::route::Route;
use crate::content::{Error, Pull, Push};
use crate::oci::{Manifest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Copies what the plan names and puts its root under `to`. The order stands in the shape of the recursion: a
    /// document is put when everything below it is in place, while others still move.
    pub(super) async fn publish(&self, plan: &CopyPlan, to: &TagOrDigest) -> Result<(), Error> {
        self.publish_node(&plan.root, to.clone()).await?;
        self.context.knowledge.learn_manifest(self.target.location(), plan.root.manifest.digest());
        Ok(())
    }

    fn publish_node<'a>(&'a self, node: &'a Node, at: TagOrDigest) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let child =
                |child: &'a Node| self.publish_node(child, TagOrDigest::Digest(child.manifest.digest().clone()));
            tokio::try_join!(
                try_join_all(node.children.iter().map(child)),
                try_join_all(node.blobs.iter().map(|blob| self.place(blob))),
            )?;
            self.put(&node.manifest, &at).await
        }
        .boxed()
    }

    /// Puts one document. Once it is sent it is not cut: the registry would be left to decide.
    pub(super) async fn put(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<(), Error> {
        if self.context.cancel.is_cancelled() {
            return Err(self.context.stopped());
        }
        self.target.put_manifest(manifest, at).await?;
        if matches!(at, TagOrDigest::Digest(_)) {
            self.context.knowledge.learn_manifest(self.target.location(), manifest.digest());
        }
        Ok(())
    }
}
