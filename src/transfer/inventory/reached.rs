//! Documents and all that they list, each read once.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::abreast::side_by_side;
use super::super::documents::{MAX_DEPTH, MAX_DOCUMENTS};
use crate::content::{Cause, Error, Pull};
use crate::oci::{Content, Digest, Manifest, ManifestError, TagOrDigest};

/// Some documents of a repository, and what is below them. What is named and not there is not in it.
#[derive(Default)]
pub struct Reached(BTreeMap<Digest, Manifest>);

impl Reached {
    /// All that a document lists, in lists inside of it too, and itself. Costs a GET for each. May be dropped at any
    /// time.
    ///
    /// # Errors
    /// If one cannot be read.
    pub async fn below<S: Pull>(source: &S, root: Manifest) -> Result<Self, Error> {
        let mut reached = Self::default();
        let level = reached.add(root);
        reached.read(source, level, MAX_DOCUMENTS).await?;
        Ok(reached)
    }

    /// Reads these documents, and level by level what they list; not more than `most` in all.
    pub(super) async fn read<S: Pull>(&mut self, source: &S, mut level: Vec<Digest>, most: usize) -> Result<(), Error> {
        for _ in 0..=MAX_DEPTH {
            let mut seen = HashSet::new();
            level.retain(|digest| !self.0.contains_key(digest) && seen.insert(digest.clone()));
            if self.0.len() + level.len() > most {
                return Err(without_number(source, most));
            }
            let fetch = |digest: Digest| async { source.manifest(&TagOrDigest::Digest(digest)).await };
            let fetched: Result<Vec<_>, Error> = side_by_side(level.drain(..).map(fetch)).await.into_iter().collect();
            for document in fetched?.into_iter().flatten() {
                level.extend(self.add(document));
            }
        }
        Ok(())
    }

    fn add(&mut self, document: Manifest) -> Vec<Digest> {
        let listed = document.children().map(|child| child.digest.clone()).collect();
        self.0.insert(document.digest().clone(), document);
        listed
    }

    /// A document, if it is there.
    pub fn get(&self, digest: &Digest) -> Option<&Manifest> {
        self.0.get(digest)
    }

    /// All of them, by their digests.
    pub fn documents(&self) -> impl Iterator<Item = &Manifest> {
        self.0.values()
    }

    /// The bytes of all layers of a document and of what is below it, as the registry keeps them; a layer that several
    /// images have counts once.
    pub fn size(&self, document: &Manifest) -> u64 {
        let layers = self.images(document).into_iter().flat_map(Manifest::layers);
        let layers: HashMap<&Digest, u64> = layers.map(|layer| (&layer.digest, layer.size)).collect();
        layers.into_values().fold(0, u64::saturating_add)
    }

    /// The images of a document: itself, or those that it lists, in lists inside of it too.
    pub fn images<'r>(&'r self, document: &'r Manifest) -> Vec<&'r Manifest> {
        let (mut images, mut waiting, mut seen) = (Vec::new(), vec![document], HashSet::new());
        while let Some(document) = waiting.pop() {
            match document.content() {
                Content::Image(_) => images.push(document),
                Content::Index(_) => {
                    let children = document.children().filter(|child| seen.insert(&child.digest));
                    waiting.extend(children.filter_map(|child| self.get(&child.digest)));
                }
            }
        }
        images
    }
}

fn without_number(source: &impl Pull, most: usize) -> Error {
    let what = format!("reading the manifests of {}", source.location());
    Error::new(what, Cause::Document(ManifestError::Unknown { what: format!("more than {most} documents") }))
}
