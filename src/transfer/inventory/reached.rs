//! Documents and all that they list, each read once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;

use futures_util::StreamExt;

use super::super::abreast::abreast;
use super::super::documents::{MAX_DEPTH, MAX_DOCUMENTS};
use crate::content::{Cause, Error, Pull};
use crate::oci::{Content, Digest, Manifest, ManifestError, TagOrDigest};

/// What is kept of documents is at most about as large as they are: so many bytes are read for each root,
const BYTES_EACH: usize = 1 << 20;
/// and so many beside.
const BYTES_BESIDE: usize = 32 << 20;

/// Some documents of a repository, and what is below them; of each what `K` keeps. What is named and not there is not in
/// it.
pub struct Reached<K = Manifest> {
    nodes: BTreeMap<Digest, Node<K>>,
    refused: BTreeMap<Digest, ManifestError>,
}

/// A document's place among others.
struct Node<K> {
    kept: K,
    below: Below,
}

enum Below {
    /// An image, and the sizes of its layers in bytes.
    Layers(Box<[(Digest, u64)]>),
    /// A list.
    Documents(Box<[Digest]>),
}

impl<K: From<Manifest>> Reached<K> {
    /// All that a document lists, in lists inside of it too, and itself. Costs a GET for each. May be dropped at any
    /// time.
    ///
    /// # Errors
    /// If one cannot be read.
    pub async fn below<S: Pull>(source: &S, root: Manifest) -> Result<Self, Error> {
        let mut reached = Self::default();
        let (digest, node) = (root.digest().clone(), Node::of(root));
        let level = node.listed().to_vec();
        reached.nodes.insert(digest, node);
        reached.read(source, level, 1).await?;
        Ok(reached)
    }

    /// Reads these documents, and level by level what they list: not more, in all, than so many `roots` may have below
    /// them.
    pub(super) async fn read<S: Pull>(
        &mut self,
        source: &S,
        mut level: Vec<Digest>,
        roots: usize,
    ) -> Result<(), Error> {
        let most = MAX_DOCUMENTS.saturating_mul(roots);
        let mut bytes_left = BYTES_EACH.saturating_mul(roots).saturating_add(BYTES_BESIDE);
        for _ in 0..=MAX_DEPTH {
            let mut seen = HashSet::new();
            level.retain(|digest| !self.has(digest) && seen.insert(digest.clone()));
            if self.nodes.len() + self.refused.len() + level.len() > most {
                return Err(too_much(source, &format!("more than {most} documents")));
            }
            let mut fetching =
                pin!(abreast(std::mem::take(&mut level).into_iter().map(|digest| fetch(source, digest))));
            while let Some(fetched) = fetching.next().await {
                match fetched? {
                    Some((digest, Fetched::Read { node, bytes })) => {
                        bytes_left = bytes_left
                            .checked_sub(bytes)
                            .ok_or_else(|| too_much(source, "more bytes of documents than images have"))?;
                        level.extend_from_slice(node.listed());
                        self.nodes.insert(digest, node);
                    }
                    Some((digest, Fetched::Refused(refused))) => drop(self.refused.insert(digest, refused)),
                    None => {}
                }
            }
        }
        level.retain(|digest| !self.has(digest));
        if level.is_empty() { Ok(()) } else { Err(too_much(source, &format!("more than {MAX_DEPTH} lists in lists"))) }
    }
}

/// What came of asking for a document that is there.
enum Fetched<K> {
    Read { node: Node<K>, bytes: usize },
    Refused(ManifestError),
}

/// A document under its digest; `None` if it is not there.
async fn fetch<S: Pull, K: From<Manifest>>(source: &S, digest: Digest) -> Result<Option<(Digest, Fetched<K>)>, Error> {
    let at = TagOrDigest::Digest(digest.clone());
    // On the heap once it begins: those that wait are tens of thousands.
    match Box::pin(source.manifest(&at)).await {
        Ok(Some(document)) => {
            let bytes = document.bytes().len();
            Ok(Some((digest, Fetched::Read { node: Node::of(document), bytes })))
        }
        Ok(None) => Ok(None),
        Err(error) => match error.refused_document() {
            Some(refused) => Ok(Some((digest, Fetched::Refused(refused.clone())))),
            None => Err(error),
        },
    }
}

impl<K> Reached<K> {
    /// A document, if it is there and could be read.
    pub fn get(&self, digest: &Digest) -> Option<&K> {
        self.nodes.get(digest).map(|node| &node.kept)
    }

    /// All of those, by their digests.
    pub fn documents(&self) -> impl Iterator<Item = (&Digest, &K)> {
        self.nodes.iter().map(|(digest, node)| (digest, &node.kept))
    }

    /// Those that are there and could not be read, such as Docker's schema 1, by their digests.
    pub fn refused(&self) -> impl Iterator<Item = (&Digest, &ManifestError)> {
        self.refused.iter()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.nodes.contains_key(digest) || self.refused.contains_key(digest)
    }

    /// The bytes of all layers of a document and of what is below it, as the registry keeps them; a layer that several
    /// images have counts once.
    pub fn size(&self, digest: &Digest) -> u64 {
        let layers = self.with_all_below(digest).into_iter().flat_map(|node| match &node.below {
            Below::Layers(layers) => &**layers,
            Below::Documents(_) => &[],
        });
        let layers: HashMap<&Digest, u64> = layers.map(|(digest, size)| (digest, *size)).collect();
        layers.into_values().fold(0, u64::saturating_add)
    }

    /// The images of a document: itself, or those that it lists, in lists inside of it too.
    pub fn images(&self, digest: &Digest) -> impl Iterator<Item = &K> {
        let nodes = self.with_all_below(digest).into_iter();
        nodes.filter(|node| matches!(node.below, Below::Layers(_))).map(|node| &node.kept)
    }

    /// A document and all that is below it, each once.
    fn with_all_below(&self, digest: &Digest) -> Vec<&Node<K>> {
        let (mut nodes, mut waiting, mut seen) = (Vec::new(), vec![digest], HashSet::from([digest]));
        while let Some(node) = waiting.pop().map(|digest| self.nodes.get(digest)) {
            let Some(node) = node else { continue };
            waiting.extend(node.listed().iter().filter(|child| seen.insert(child)));
            nodes.push(node);
        }
        nodes
    }
}

impl<K: From<Manifest>> Node<K> {
    fn of(document: Manifest) -> Self {
        let below = match document.content() {
            Content::Image(_) => {
                Below::Layers(document.layers().map(|layer| (layer.digest.clone(), layer.size)).collect())
            }
            Content::Index(_) => Below::Documents(document.children().map(|child| child.digest.clone()).collect()),
        };
        Self { kept: K::from(document), below }
    }
}

impl<K> Node<K> {
    fn listed(&self) -> &[Digest] {
        match &self.below {
            Below::Layers(_) => &[],
            Below::Documents(listed) => listed,
        }
    }
}

impl<K> Default for Reached<K> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), refused: BTreeMap::new() }
    }
}

fn too_much(source: &impl Pull, what: &str) -> Error {
    let reason = ManifestError::Unknown { what: what.to_owned() };
    Error::new(format!("reading the manifests of {}", source.location()), Cause::Document(reason))
}
