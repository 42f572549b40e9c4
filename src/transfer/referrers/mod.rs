//! Signatures, SBOMs, attestations: what refers to an image without being named by it.
//!
//! Found at the source by the referrers API, where it has one, else by the index under the tag `sha256-<hex>`; and under
//! cosign's tags `sha256-<hex>.sig`, `.att` and `.sbom`. Looked for are the image, every image of a list, and what refers
//! to a referrer. See [`search`] for what that costs.

mod attach;
mod index;
mod listed;
mod search;
mod tree;

use std::collections::HashMap;

use globset::{Glob, GlobSet, GlobSetBuilder};

pub(super) use index::put_index;
pub(super) use search::{Hanging, Search};
pub use tree::{LeftOut, Referrer, ReferrerTrees, referrers_of};

use crate::oci::{Content, Descriptor, Manifest, Subject, Tag};

/// So many documents may refer to one image, and to each other.
const MOST: usize = 10_000;

/// Which referrers go along with an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Referrers {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of certain types.
    OfTypes(ArtifactTypes),
}

/// Globs over artifact types, as `application/spdx+json` or `application/vnd.dev.cosign.*`.
#[derive(Debug, Clone)]
pub struct ArtifactTypes {
    globs: Vec<String>,
    matcher: GlobSet,
}

/// As they are written.
impl PartialEq for ArtifactTypes {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

impl ArtifactTypes {
    /// Types that match one of these globs.
    ///
    /// # Errors
    /// If one is no glob.
    pub fn new(globs: &[String]) -> Result<Self, String> {
        let mut types = GlobSetBuilder::new();
        for text in globs {
            types.add(Glob::new(text).map_err(|error| format!("{text:?} is no pattern: {}", error.kind()))?);
        }
        let matcher = types.build().map_err(|error| error.to_string())?;
        Ok(Self { globs: globs.to_vec(), matcher })
    }

    /// The globs, as they were written.
    pub(super) fn globs(&self) -> &[String] {
        &self.globs
    }
}

impl Referrers {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether what a registry lists is wanted.
    fn takes(&self, listed: &Descriptor) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::OfTypes(types) => listed.artifact_type.as_deref().is_some_and(|kind| types.matcher.is_match(kind)),
        }
    }

    /// Whether a document is wanted that no list tells the type of: cosign's have theirs in their layers.
    fn takes_document(&self, document: &Manifest) -> bool {
        let Self::OfTypes(types) = self else { return !self.is_none() };
        let layers = match document.content() {
            Content::Image(image) => image.layers.as_slice(),
            Content::Index(_) => &[],
        };
        let of_layers = layers.iter().map(|layer| layer.media_type.as_str());
        document.artifact_type().into_iter().chain(of_layers).any(|kind| types.matcher.is_match(kind))
    }

    /// Whether a document has to be seen to tell.
    fn needs_documents(&self) -> bool {
        matches!(self, Self::OfTypes(_))
    }
}

/// The tags of a listing that hang something on a document.
#[derive(Debug, Default)]
pub(super) struct Hung(HashMap<Subject, Vec<Tag>>);

impl Hung {
    /// Those of a repository.
    pub(super) fn among<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Self {
        let mut hung: HashMap<Subject, Vec<Tag>> = HashMap::new();
        for tag in tags {
            if let Some(subject) = tag.referrers_subject() {
                hung.entry(subject).or_default().push(tag.clone());
            }
        }
        Self(hung)
    }

    /// All of them.
    pub(super) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.0.values().flatten()
    }

    fn has(&self, subject: Subject, tag: &Tag) -> bool {
        self.0.get(&subject).is_some_and(|tags| tags.contains(tag))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
