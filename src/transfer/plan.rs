//! The plan of a copy: the source's documents walked once, and what of them the target lacks.

use std::collections::{HashMap, HashSet};

use futures_util::future::{join_all, try_join_all};

use super::compare::resolve_target;
use super::documents::{Documents, MAX_DEPTH, MAX_DOCUMENTS};
use super::knowledge::{Knowledge, Known};
use super::route::Route;
use super::shape::Shape;
use crate::content::{BlobFound, Cause, Error, Location, Pull, Push};
use crate::events::BlobCounts;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, TagOrDigest, media_type};

/// Everything that bringing one document to a target will do, before any of it is done.
#[derive(Debug)]
pub(super) struct CopyPlan {
    /// Documents that the target lacks, by rank: none names one of its own rank or of a later one. The last rank is the
    /// root alone.
    pub(super) ranks: Vec<Vec<Node>>,
}

/// A document that the target lacks, and the blobs that must be there before it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) manifest: Manifest,
    pub(super) blobs: Vec<PlannedBlob>,
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
    /// The target repository does not have it.
    Missing,
    /// Nobody asked, since the repository has no tags: most likely it has nothing. What an interrupted run has left
    /// there is found when the upload is opened.
    Unasked,
}

impl CopyPlan {
    /// Bytes of blobs that are not known to be there, each blob counted once.
    pub(super) fn missing_bytes(&self) -> u64 {
        let missing = self.blobs().filter(|blob| blob.presence != Presence::Present);
        missing.map(|blob| blob.descriptor.size).fold(0, u64::saturating_add)
    }

    /// What would become of the blobs, and how many bytes would be sent. What is planned here is known from here on, so
    /// that the next plan counts on it, as a run would.
    pub(super) fn rehearse(&self, knowledge: &Knowledge, at: &Location) -> (BlobCounts, u64) {
        let mut counts = BlobCounts::default();
        let mut bytes = 0u64;
        for blob in self.blobs() {
            match knowledge.blob(at, &blob.descriptor.digest) {
                Known::Here => counts.present += 1,
                Known::Elsewhere(_) => counts.mounted += 1,
                Known::Nowhere => {
                    counts.copied += 1;
                    bytes = bytes.saturating_add(blob.descriptor.size);
                }
            }
            knowledge.learn_blob(at, &blob.descriptor.digest);
        }
        for node in self.ranks.iter().flatten() {
            knowledge.learn_manifest(at, node.manifest.digest());
        }
        (counts, bytes)
    }

    /// All blobs, each once.
    fn blobs(&self) -> impl Iterator<Item = &PlannedBlob> {
        let mut seen = HashSet::new();
        let all = self.ranks.iter().flatten().flat_map(|node| &node.blobs);
        all.filter(move |blob| seen.insert(&blob.descriptor.digest))
    }
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Walks the document and all that it lists, level by level and each document once, by digest: a tag that moves
    /// meanwhile changes nothing. `lost` names parts that the target has not, whatever it says when asked.
    pub(super) async fn walk(
        &self,
        documents: &Documents,
        shape: &Shape,
        lost: &HashSet<Digest>,
    ) -> Result<CopyPlan, Error> {
        let root = &shape.root;
        let mut nodes = HashMap::new();
        let mut level = vec![root.clone()];
        let mut seen = HashSet::from([root.clone()]);
        for _ in 0..=MAX_DEPTH {
            // All of them end, whatever one says: a pull that is cut off is spent and brings nothing.
            let found = join_all(level.iter().map(|digest| self.node(documents, digest, lost))).await;
            let found = found.into_iter().collect::<Result<Vec<Node>, Error>>()?;
            let listed: Vec<Descriptor> = found
                .iter()
                .flat_map(|node| node.manifest.children())
                .filter(|child| shape.has(child) && seen.insert(child.digest.clone()))
                .cloned()
                .collect();
            nodes.extend(found.into_iter().map(|node| (node.manifest.digest().clone(), node)));
            if listed.is_empty() {
                return Ok(CopyPlan { ranks: ranked(nodes) });
            }
            if seen.len() > MAX_DOCUMENTS {
                break;
            }
            let wanted = try_join_all(listed.iter().map(|child| self.wants(child, lost))).await?;
            level =
                listed.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(child, _)| child.digest).collect();
        }
        Err(self.too_much(root))
    }

    /// The error for an image with more documents than anybody means.
    pub(super) fn too_much(&self, root: &Digest) -> Error {
        let what = format!("walking manifest {root} of {}", self.source.location());
        let reason = format!("a list nested deeper than {MAX_DEPTH}, or of more than {MAX_DOCUMENTS} documents");
        Error::new(what, Cause::Document(ManifestError::Unknown { what: reason }))
    }

    async fn node(&self, documents: &Documents, digest: &Digest, lost: &HashSet<Digest>) -> Result<Node, Error> {
        let manifest = self.document(documents, digest).await?;
        let mut seen = HashSet::new();
        let blobs = manifest.blobs().filter(|blob| seen.insert(&blob.digest)).map(|blob| self.survey(blob, lost));
        let blobs = try_join_all(blobs).await?;
        Ok(Node { manifest, blobs })
    }

    /// Whether a listed document has to be brought over. An image in place has its blobs, since registries check that;
    /// a list in place may lack children, so it is walked all the same.
    async fn wants(&self, child: &Descriptor, lost: &HashSet<Digest>) -> Result<bool, Error> {
        let (knowledge, location) = (&self.context.knowledge, self.target.location());
        if lost.contains(&child.digest) {
            return Ok(true);
        }
        if knowledge.has_manifest(location, &child.digest) {
            return Ok(false);
        }
        if media_type::is_index(&child.media_type) || knowledge.is_new(location) {
            return Ok(true);
        }
        let found = resolve_target(self.target, &TagOrDigest::Digest(child.digest.clone())).await?;
        if found.is_some() {
            knowledge.learn_manifest(location, &child.digest);
        }
        Ok(found.is_none())
    }

    /// What the target has of a blob: known already, or asked with a HEAD.
    async fn survey(&self, blob: &Descriptor, lost: &HashSet<Digest>) -> Result<PlannedBlob, Error> {
        let (knowledge, location) = (&self.context.knowledge, self.target.location());
        if self.source.location().host == location.host {
            knowledge.learn_blob(self.source.location(), &blob.digest);
        }
        let presence = match knowledge.blob(location, &blob.digest) {
            _ if lost.contains(&blob.digest) => Presence::Missing,
            Known::Here => Presence::Present,
            Known::Elsewhere(_) => Presence::Missing,
            Known::Nowhere if knowledge.is_new(location) => Presence::Unasked,
            Known::Nowhere if self.target.find_blob(blob).await? == BlobFound::Whole => {
                knowledge.learn_blob(location, &blob.digest);
                Presence::Present
            }
            Known::Nowhere => Presence::Missing,
        };
        Ok(PlannedBlob { descriptor: blob.clone(), presence })
    }
}

/// Orders documents so that each comes after all that it lists.
fn ranked(mut nodes: HashMap<Digest, Node>) -> Vec<Vec<Node>> {
    let mut ranks = Vec::new();
    while !nodes.is_empty() {
        let is_ready = |node: &Node| !node.manifest.children().any(|child| nodes.contains_key(&child.digest));
        let ready: Vec<Digest> =
            nodes.iter().filter(|(_, node)| is_ready(node)).map(|(digest, _)| digest.clone()).collect();
        if ready.is_empty() {
            // No document can list one that lists it: each names the other's hash.
            break;
        }
        ranks.push(ready.iter().filter_map(|digest| nodes.remove(digest)).collect());
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn list(children: &[&Manifest]) -> Manifest {
        let children: Vec<String> = children
            .iter()
            .map(|child| {
                let (media_type, digest, size) = (child.media_type(), child.digest(), child.bytes().len());
                format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","));
        Manifest::parse(Bytes::from(text), Some(media_type::OCI_INDEX), None).unwrap()
    }

    #[test]
    fn a_document_comes_after_all_that_it_lists_also_when_two_list_it() {
        let leaf = list(&[]);
        let middle = list(&[&leaf]);
        let root = list(&[&leaf, &middle]);
        let nodes = [&root, &leaf, &middle].map(|m| (m.digest().clone(), Node { manifest: m.clone(), blobs: vec![] }));
        let ranks = ranked(HashMap::from(nodes));
        let order: Vec<&Digest> = ranks.iter().flatten().map(|node| node.manifest.digest()).collect();
        assert_eq!(order, [leaf.digest(), middle.digest(), root.digest()]);
    }
}
