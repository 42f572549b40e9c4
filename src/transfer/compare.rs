//! What the two sides have under the names in question.

use super::memory::Seen;
use super::original::{Original, Wanted};
use super::platforms::{PlatformMode, Platforms};
use super::route::{Before, Route};
use super::shape::Shape;
use crate::content::{Error, Pull, Push};
use crate::oci::{Digest, Tag, TagOrDigest};

/// What came of comparing them.
pub(super) enum Comparison {
    /// The target has what it is to have.
    Same {
        /// The document.
        root: Digest,
        /// Whether it is the source's.
        as_written: bool,
    },
    /// The source's document is to be brought over.
    Different {
        /// The source's document.
        digest: Digest,
        /// What of it is wanted, if that was found out already.
        shape: Option<Shape>,
        /// What the target has in its place.
        found: Option<Digest>,
    },
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// What the target had under a name when it was last looked at, if that was in place.
    pub(super) fn seen(&self, to: &TagOrDigest) -> Option<Digest> {
        let TagOrDigest::Tag(tag) = to else { return None };
        self.seen_tag(tag)
    }

    /// The same of a tag.
    pub(super) fn seen_tag(&self, tag: &Tag) -> Option<Digest> {
        let seen = self.context.memory.tags.get(&(self.target.location().clone(), tag.clone()))?;
        seen.believed(self.context.earlier)
    }

    /// Remembers what is in place. What was only believed to be was not seen now.
    pub(super) fn note(&self, to: &TagOrDigest, before: &Before, compared: &Comparison) {
        match compared {
            Comparison::Same { root, .. } if *before == Before::Seen(root.clone()) => {}
            Comparison::Same { root, .. } => self.remember(to, Some(root)),
            Comparison::Different { .. } => self.remember(to, None),
        }
    }

    /// Remembers that this is in place under a name, or that what is to be is not.
    pub(super) fn remember(&self, to: &TagOrDigest, in_place: Option<&Digest>) {
        let TagOrDigest::Tag(tag) = to else { return };
        let (tags, key) = (&self.context.memory.tags, (self.target.location().clone(), tag.clone()));
        match in_place {
            Some(root) => tags.insert(key, Seen::now(root.clone())),
            None => tags.remove(&key),
        }
    }

    /// Asks both sides together; only the source, and for the document straight away, if the target is known not to
    /// have the tag; only the source, too, if what it has is known to be in place.
    pub(super) async fn compare(
        &self,
        original: &Original,
        to: &TagOrDigest,
        before: Before,
        platforms: Option<&Platforms>,
    ) -> Result<Comparison, Error> {
        if before == Before::Absent {
            let digest = original.digest(self.source, Wanted::Document).await?;
            return Ok(Comparison::Different { digest, shape: None, found: None });
        }
        match platforms.filter(|platforms| platforms.mode() == PlatformMode::Rewrite) {
            Some(platforms) => Box::pin(self.compare_smaller(original, to, before, platforms)).await,
            None => self.compare_as_written(original, to, before).await,
        }
    }

    async fn compare_as_written(
        &self,
        original: &Original,
        to: &TagOrDigest,
        before: Before,
    ) -> Result<Comparison, Error> {
        let source = original.digest(self.source, Wanted::Digest);
        let (digest, found) = match before {
            Before::Seen(seen) => {
                let digest = source.await?;
                let found = self.found(to, Before::Seen(seen), &digest).await?;
                (digest, found)
            }
            Before::Unknown | Before::Absent => tokio::try_join!(source, resolve_target(self.target, to))?,
        };
        let is_same = match &found {
            Some(found) => is_same(self.target, to, found, &digest).await?,
            None => false,
        };
        Ok(if is_same {
            Comparison::Same { root: digest, as_written: true }
        } else {
            Comparison::Different { digest, shape: None, found }
        })
    }

    /// With what is remembered two HEADs tell; else the target's document does, if it says what it was made from; else
    /// the source's, which may cost a pull.
    async fn compare_smaller(
        &self,
        original: &Original,
        to: &TagOrDigest,
        before: Before,
        platforms: &Platforms,
    ) -> Result<Comparison, Error> {
        if matches!(to, TagOrDigest::Digest(_)) {
            return self.compare_untagged(original, platforms).await;
        }
        let digest = original.digest(self.source, Wanted::Digest).await?;
        let remembered = (digest.clone(), platforms.wanted().to_vec());
        if let Some(root) = self.context.memory.facts.smaller.get(&remembered) {
            let found = self.found(to, before, &root).await?;
            let as_written = root == digest;
            return Ok(match found {
                Some(found) if found == root => Comparison::Same { root, as_written },
                found => Comparison::Different { digest, shape: None, found },
            });
        }
        let Some(there) = self.target.manifest(to).await? else {
            return Ok(Comparison::Different { digest, shape: None, found: None });
        };
        let found = there.digest().clone();
        if platforms.made_from(&digest, &there) {
            self.context.memory.facts.smaller.insert(remembered, found.clone());
            return Ok(Comparison::Same { root: found, as_written: false });
        }
        if found == digest {
            original.documents.keep(there);
        }
        let shape = self.shape(&original.documents, &digest, Some(platforms)).await?;
        Ok(if shape.root == found {
            Comparison::Same { root: found, as_written: shape.as_written }
        } else {
            Comparison::Different { digest, shape: Some(shape), found: Some(found) }
        })
    }
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// What the target has under a name, where it is to have `root`: not asked for, if that was seen to be in place.
    async fn found(&self, to: &TagOrDigest, before: Before, root: &Digest) -> Result<Option<Digest>, Error> {
        match before {
            Before::Seen(seen) if seen == *root => Ok(Some(seen)),
            _ => resolve_target(self.target, to).await,
        }
    }

    /// An image that is written without a tag: the digest of its smaller list is its only name, so that has to be made,
    /// if nobody remembers it.
    async fn compare_untagged(&self, original: &Original, platforms: &Platforms) -> Result<Comparison, Error> {
        let digest = original.digest(self.source, Wanted::Digest).await?;
        let root = match self.context.memory.facts.smaller.get(&(digest.clone(), platforms.wanted().to_vec())) {
            Some(root) => root,
            None => self.shape(&original.documents, &digest, Some(platforms)).await?.root,
        };
        let found = resolve_target(self.target, &TagOrDigest::Digest(root.clone())).await?;
        Ok(match found {
            Some(_) => Comparison::Same { as_written: root == digest, root },
            None => Comparison::Different { digest, shape: None, found: None },
        })
    }
}

/// What the target has under a name. Some registries forbid what is not there (Artifactory): where no tag's absence
/// decides, that is taken for absence.
pub(super) async fn resolve_target(target: &impl Pull, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
    match (target.resolve(at).await, at) {
        (Err(error), TagOrDigest::Digest(_)) if error.is_forbidden() => Ok(None),
        (found, _) => found,
    }
}

/// Whether what the target has is the source's document. If the two sides name documents by different algorithms, its
/// bytes tell.
pub(super) async fn is_same(
    target: &impl Pull,
    at: &TagOrDigest,
    found: &Digest,
    source: &Digest,
) -> Result<bool, Error> {
    if found == source || found.algorithm() == source.algorithm() {
        return Ok(found == source);
    }
    Ok(target.manifest(at).await?.is_some_and(|manifest| source.matches(manifest.bytes())))
}
