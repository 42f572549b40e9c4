//! The plan of a copy: the source's documents walked once, and what of them the target lacks.

use std::collections::HashSet;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::documents::Documents;
use super::knowledge::Known;
use super::route::Route;
use crate::content::{Cause, Error, Pull, Push};
use crate::events::BlobCounts;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, TagOrDigest, media_type};

/// Lists nest no deeper than this.
const MAX_DEPTH: usize = 8;
/// An image has no more documents than this.
const MAX_DOCUMENTS: usize = 10_000;

/// Everything that bringing one document to a target will do, before any of it is done.
#[derive(Debug)]
pub(super) struct CopyPlan {
    pub(super) root: Node,
}

/// A document that the target lacks, and what must be there before it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) manifest: Manifest,
    pub(super) blobs: Vec<PlannedBlob>,
    pub(super) children: Vec<Node>,
}

/// A blob that a document names.
#[derive(Debug, Clone)]
pub(super) struct PlannedBlob {
    pub(super) descriptor: Descriptor,
    pub(super) presence: Presence,
}

/// What the plan found out of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// The target repository has it.
    Present,
    /// Another repository of the target has it.
    Mountable,
    /// It has to come from the source.
    Missing,
}

impl CopyPlan {
    /// Bytes of blobs that have to come from the source, each blob counted once.
    pub(super) fn missing_bytes(&self) -> u64 {
        self.blobs().filter(|blob| blob.presence == Presence::Missing).map(|blob| blob.descriptor.size).sum()
    }

    /// What would become of the blobs.
    pub(super) fn counts(&self) -> BlobCounts {
        let mut counts = BlobCounts::default();
        for blob in self.blobs() {
            *match blob.presence {
                Presence::Present => &mut counts.present,
                Presence::Mountable => &mut counts.mounted,
                Presence::Missing => &mut counts.copied,
            } += 1;
        }
        counts
    }

    /// All blobs, each once.
    fn blobs(&self) -> impl Iterator<Item = &PlannedBlob> {
        let mut nodes = vec![&self.root];
        let mut seen = HashSet::new();
        std::iter::from_fn(move || {
            let node = nodes.pop()?;
            nodes.extend(&node.children);
            Some(&node.blobs)
        })
        .flatten()
        .filter(move |blob| seen.insert(&blob.descriptor.digest))
    }
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Walks the document and all that it lists, by digest, so that a tag that moves meanwhile changes nothing.
    pub(super) async fn walk(&self, documents: &Documents<'_, S>, digest: &Digest) -> Result<CopyPlan, Error> {
        let root = self.walk_from(documents, digest.clone(), 0).await?;
        Ok(CopyPlan { root })
    }

    fn walk_from<'a>(
        &'a self,
        documents: &'a Documents<'_, S>,
        digest: Digest,
        depth: usize,
    ) -> BoxFuture<'a, Result<Node, Error>> {
        async move {
            let manifest = documents.get(&digest).await?;
            if depth > MAX_DEPTH || manifest.children().count() > MAX_DOCUMENTS {
                let what = format!("walking manifest {digest} of {}", self.source.location());
                let reason = format!("lists nested deeper than {MAX_DEPTH} or longer than {MAX_DOCUMENTS}");
                return Err(Error::new(what, Cause::Document(ManifestError::Unknown { what: reason })));
            }
            let (children, blobs) = tokio::try_join!(
                try_join_all(distinct(manifest.children()).into_iter().map(|child| self.child(
                    documents,
                    child,
                    depth + 1
                ))),
                try_join_all(distinct(manifest.blobs()).into_iter().map(|blob| self.survey(blob))),
            )?;
            Ok(Node { blobs, children: children.into_iter().flatten().collect(), manifest })
        }
        .boxed()
    }

    /// A child's part of the plan; none if the target has it. An image in place has its blobs, since registries check
    /// that; a list in place may lack children, so it is walked all the same.
    async fn child(
        &self,
        documents: &Documents<'_, S>,
        child: &Descriptor,
        depth: usize,
    ) -> Result<Option<Node>, Error> {
        let location = self.target.location();
        if self.context.knowledge.has_manifest(location, &child.digest) {
            return Ok(None);
        }
        if !media_type::is_index(&child.media_type) && !self.context.knowledge.is_new(location) {
            let at = TagOrDigest::Digest(child.digest.clone());
            if self.target.resolve(&at).await?.is_some() {
                self.context.knowledge.learn_manifest(location, &child.digest);
                return Ok(None);
            }
        }
        self.walk_from(documents, child.digest.clone(), depth).await.map(Some)
    }

    /// What the target has of a blob: known already, or asked with a HEAD, or clear since the repository is new.
    async fn survey(&self, blob: &Descriptor) -> Result<PlannedBlob, Error> {
        let knowledge = &self.context.knowledge;
        let location = self.target.location();
        if self.source.location().host == location.host {
            knowledge.learn_blob(self.source.location(), &blob.digest);
        }
        let presence = match knowledge.blob(location, &blob.digest) {
            Known::Here => Presence::Present,
            Known::Elsewhere(_) => Presence::Mountable,
            Known::Nowhere if knowledge.is_new(location) => Presence::Missing,
            Known::Nowhere if self.target.has_blob(blob).await? => {
                knowledge.learn_blob(location, &blob.digest);
                Presence::Present
            }
            Known::Nowhere => Presence::Missing,
        };
        Ok(PlannedBlob { descriptor: blob.clone(), presence })
    }
}

/// Each digest once: a list may name a document twice, an image a layer.
fn distinct<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<&'a Descriptor> {
    let mut seen = HashSet::new();
    descriptors.filter(|descriptor| seen.insert(&descriptor.digest)).collect()
}
