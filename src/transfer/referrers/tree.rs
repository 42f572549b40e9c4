//! What refers to documents, what refers to that, and so on: to look at.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;

use futures_util::StreamExt;
use serde::Serialize;

use super::super::abreast::abreast;
use super::listed::listed;
use super::{Hung, MOST};
use crate::content::{Error, Pull};
use crate::oci::{Descriptor, Digest, Size, Subject, Tag, TagOrDigest};

/// So deep is looked. Real ones are two or three deep; who reads them as JSON may take no more than 128 brackets, of
/// which a level has two.
const MAX_DEPTH: usize = 32;
/// So many bytes may they say of themselves, as JSON.
const MOST_BYTES: usize = 64 << 20;

/// Something that refers to a document, and what refers to it in turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Referrer {
    /// Cosign's tag, where that is what names the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The document itself.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What refers to it.
    pub referrers: Vec<Self>,
}

/// What refers to some documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerTrees {
    /// What refers to each of them, in their order.
    pub trees: Vec<Vec<Referrer>>,
    /// Why there may be more than that.
    pub left_out: Option<LeftOut>,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It is too deep.
    Depth,
    /// There are too many.
    Number,
    /// They say too much.
    Size,
}

/// `there are more than 10000`
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth => write!(f, "they go deeper than {MAX_DEPTH}"),
            Self::Number => write!(f, "there are more than {MOST}"),
            Self::Size => write!(f, "they say more of themselves than {}", Size(MOST_BYTES as u64)),
        }
    }
}

/// What refers to each of these documents, in their order, within bounds. Costs one request a document at a registry with
/// the referrers API, the listing of tags, and a GET for each tag that has referrers. May be dropped at any time.
///
/// # Errors
/// If one cannot be asked for.
pub async fn referrers_of<S: Pull>(source: &S, subjects: &[Digest]) -> Result<ReferrerTrees, Error> {
    let hung = Hung::among(&source.tags().await?.unwrap_or_default());
    let (mut found, mut bounds) = (Found(HashMap::new()), Bounds::default());
    let mut level = subjects.to_vec();
    for _ in 0..=MAX_DEPTH {
        level = found.look(source, &hung, level, &mut bounds).await?;
    }
    let mut kept = Bounds::default();
    let trees = subjects.iter().map(|subject| found.tree(subject, &mut kept)).collect();
    Ok(ReferrerTrees { trees, left_out: bounds.left_out.or(kept.left_out) })
}

/// One of a document's referrers: cosign's tag, where that is what names the document, and itself.
type Entry = (Option<Tag>, Descriptor);

/// What refers to which document.
struct Found(HashMap<Digest, Vec<Entry>>);

impl Found {
    /// Looks at a level of documents. Returns the next one: what refers to them.
    async fn look<S: Pull>(
        &mut self,
        source: &S,
        hung: &Hung,
        mut level: Vec<Digest>,
        bounds: &mut Bounds,
    ) -> Result<Vec<Digest>, Error> {
        let mut seen = HashSet::new();
        level.retain(|digest| !self.0.contains_key(digest) && seen.insert(digest.clone()));
        let room = MOST.saturating_sub(self.0.len());
        if level.len() > room {
            bounds.reached(LeftOut::Number);
            level.truncate(room);
        }
        let mut next = Vec::new();
        let mut looking = pin!(abreast(level.into_iter().map(|subject| hanging_on(source, hung, subject))));
        while let Some(looked) = looking.next().await {
            let (subject, mut referrers) = looked?;
            let taken = referrers.iter().take_while(|(_, descriptor)| bounds.take(descriptor)).count();
            let is_full = taken < referrers.len();
            referrers.truncate(taken);
            next.extend(referrers.iter().map(|(_, descriptor)| descriptor.digest.clone()));
            self.0.insert(subject, referrers);
            if is_full {
                return Ok(Vec::new());
            }
        }
        Ok(next)
    }

    /// The tree above a document. Each stands in it once, as near to the document as it is: graphs may be dense, and have
    /// circles.
    fn tree(&self, root: &Digest, bounds: &mut Bounds) -> Vec<Referrer> {
        /// A place in the tree: whose referrer it is, by its place, and how deep.
        struct Place<'f> {
            below: Option<usize>,
            depth: usize,
            entry: &'f Entry,
        }
        let of = |digest: &Digest| self.0.get(digest).into_iter().flatten();
        let (mut places, mut seen) = (Vec::<Place<'_>>::new(), HashSet::from([root]));
        let (mut here, mut subject, mut depth) = (None, root, 0);
        let mut walked = 0;
        loop {
            for entry in of(subject).filter(|(_, descriptor)| seen.insert(&descriptor.digest)) {
                if depth == MAX_DEPTH {
                    bounds.reached(LeftOut::Depth);
                } else if bounds.take(&entry.1) {
                    places.push(Place { below: here, depth: depth + 1, entry });
                }
            }
            let Some(next) = places.get(walked) else { break };
            (here, subject, depth) = (Some(walked), &next.entry.1.digest, next.depth);
            walked += 1;
        }
        // From the last one on: what refers to it is complete by then.
        let mut above: Vec<Vec<Referrer>> = places.iter().map(|_| Vec::new()).collect();
        let mut trees = Vec::new();
        for Place { below, entry: (tag, descriptor), .. } in places.into_iter().rev() {
            let mut referrers = above.pop().unwrap_or_default();
            referrers.reverse();
            let referrer = Referrer { tag: tag.clone(), descriptor: descriptor.clone(), referrers };
            match below.and_then(|below| above.get_mut(below)) {
                Some(siblings) => siblings.push(referrer),
                None => trees.push(referrer),
            }
        }
        trees.reverse();
        trees
    }
}

async fn hanging_on<S: Pull>(source: &S, hung: &Hung, subject: Digest) -> Result<(Digest, Vec<Entry>), Error> {
    let may_have = |tag: &Tag| hung.has(Subject::from(&subject), tag);
    let listed = listed(source, &subject, may_have).await?;
    let mut all: Vec<_> = listed.entries.into_iter().map(|entry| (None, entry)).collect();
    for tag in subject.cosign_tags().into_iter().filter(may_have) {
        if let Some(document) = source.manifest(&TagOrDigest::Tag(tag.clone())).await? {
            all.push((Some(tag), document.as_referrer()));
        }
    }
    Ok((subject, all))
}

/// How much has been taken of what may be.
#[derive(Default)]
struct Bounds {
    number: usize,
    bytes: usize,
    left_out: Option<LeftOut>,
}

impl Bounds {
    /// Whether there is room for one more.
    fn take(&mut self, descriptor: &Descriptor) -> bool {
        // What has no JSON has none to show.
        let bytes = self.bytes + serde_json::to_vec(descriptor).map_or(0, |json| json.len());
        match () {
            () if self.number == MOST => self.reached(LeftOut::Number),
            () if bytes > MOST_BYTES => self.reached(LeftOut::Size),
            () => {
                (self.number, self.bytes) = (self.number + 1, bytes);
                return true;
            }
        }
        false
    }

    fn reached(&mut self, bound: LeftOut) {
        self.left_out.get_or_insert(bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: usize) -> Digest {
        Digest::of(&name.to_le_bytes())
    }

    fn entry(name: usize, text: usize) -> Entry {
        let annotations = Some([("text".to_owned(), "x".repeat(text))].into());
        let (media_type, digest) = (String::new(), named(name));
        (None, Descriptor { media_type, digest, size: 1, platform: None, artifact_type: None, annotations })
    }

    fn found(edges: impl IntoIterator<Item = (usize, Vec<usize>)>) -> Found {
        let of = |names: Vec<usize>| names.into_iter().map(|name| entry(name, 0)).collect();
        Found(edges.into_iter().map(|(name, referrers)| (named(name), of(referrers))).collect())
    }

    /// `1(2(4)3)`
    fn shape(trees: &[Referrer]) -> String {
        let below = |one: &Referrer| {
            if one.referrers.is_empty() { String::new() } else { format!("({})", shape(&one.referrers)) }
        };
        let name = |one: &Referrer| (0..100).find(|name| named(*name) == one.descriptor.digest).unwrap();
        trees.iter().map(|one| format!("{}{}", name(one), below(one))).collect()
    }

    #[test]
    fn each_stands_once_as_near_as_it_is_in_the_order_of_the_lists() {
        let found = found([(0, vec![1, 2, 3]), (1, vec![2, 4, 0]), (2, vec![5, 1]), (4, vec![6, 6]), (5, vec![4])]);
        let mut bounds = Bounds::default();
        assert_eq!(shape(&found.tree(&named(0), &mut bounds)), "1(4(6))2(5)3");
        assert_eq!(shape(&found.tree(&named(2), &mut bounds)), "5(4(6))1(0(3))");
        assert_eq!(shape(&found.tree(&named(3), &mut bounds)), "");
        assert_eq!(bounds.left_out, None);
    }

    #[test]
    fn a_dense_graph_makes_no_deep_tree_and_a_chain_is_cut() {
        let dense = found((0..90).map(|name| (name, (1..90).collect())));
        let mut bounds = Bounds::default();
        let tree = dense.tree(&named(0), &mut bounds);
        assert_eq!((tree.len(), tree.iter().all(|one| one.referrers.is_empty()), bounds.left_out), (89, true, None));

        let chain = found((0..90).map(|name| (name, vec![name + 1])));
        let tree = chain.tree(&named(0), &mut bounds);
        assert_eq!(shape(&tree).matches('(').count() + 1, MAX_DEPTH);
        assert_eq!(bounds.left_out, Some(LeftOut::Depth));
    }

    #[test]
    fn there_is_room_for_a_number_and_for_a_size() {
        let mut bounds = Bounds::default();
        assert_eq!((0..=MOST).filter(|name| bounds.take(&entry(*name, 0).1)).count(), MOST);
        assert_eq!(bounds.left_out, Some(LeftOut::Number));
        let mut bounds = Bounds { bytes: MOST_BYTES - 1000, ..Bounds::default() };
        assert_eq!((0..9).filter(|_| bounds.take(&entry(0, 300).1)).count(), 2);
        assert_eq!(bounds.left_out, Some(LeftOut::Size));
    }
}
