//! What of a source's image is to be at a target: all of it, or some of its platforms.

use std::collections::{HashMap, HashSet};

use super::config::read_config;
use super::documents::{Documents, MAX_DEPTH, MAX_DOCUMENTS};
use super::platforms::{Fate, NoSuchPlatform, NotSmaller, PlatformMode, Platforms, Seen, platform_config};
use super::route::Route;
use crate::content::{Cause, Error, Pull, Push};
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, TagOrDigest};

/// What is to be at the target.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The document that the tag is to point at.
    pub(super) root: Digest,
    /// Whether that is the source's.
    pub(super) as_written: bool,
    /// Documents that are listed, and are not to be there.
    pub(super) left_out: HashSet<Digest>,
    /// Platforms that the source has, if that was looked at.
    pub(super) seen: Option<Seen>,
    /// Platforms that are wanted and that it does not have.
    pub(super) missing: Vec<Platform>,
}

impl Shape {
    /// All of it.
    pub(super) fn whole(root: Digest) -> Self {
        Self { root, as_written: true, left_out: HashSet::new(), seen: None, missing: Vec::new() }
    }

    /// The name under which it is written: an image without a tag has its digest, which is not always the source's.
    pub(super) fn name(&self, to: &TagOrDigest) -> TagOrDigest {
        match to {
            TagOrDigest::Tag(_) => to.clone(),
            TagOrDigest::Digest(_) => TagOrDigest::Digest(self.root.clone()),
        }
    }

    /// Whether a listed document is to be there.
    pub(super) fn has(&self, child: &Descriptor) -> bool {
        !self.left_out.contains(&child.digest)
    }
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Finds out what of the source's image of this digest is wanted. What is written instead of its lists is kept among
    /// its documents.
    pub(super) async fn shape(
        &self,
        documents: &Documents,
        digest: &Digest,
        platforms: Option<&Platforms>,
    ) -> Result<Shape, Error> {
        let Some(platforms) = platforms else { return Ok(Shape::whole(digest.clone())) };
        let root = self.document(documents, digest).await?;
        if matches!(root.content(), Content::Image(_)) {
            return self.single(root, platforms).await;
        }
        let lists = self.lists_inside(documents, &root, platforms).await?;
        match platforms.mode() {
            PlatformMode::Rewrite => self.smaller(documents, &root, &lists, platforms),
            PlatformMode::Sparse => self.sparse(&root, &lists, platforms),
        }
    }

    /// An image that is no list: taken if its config says that it is wanted, or says nothing.
    async fn single(&self, image: Manifest, platforms: &Platforms) -> Result<Shape, Error> {
        let seen = match platform_config(&image) {
            Some(config) => Seen::in_config(&read_config(self.source, config).await?.unwrap_or_default()),
            None => Seen::default(),
        };
        let missing = platforms.missing(&seen).map_err(|error| self.no_such_platform(image.digest(), &error))?;
        let remembered = (image.digest().clone(), platforms.wanted().to_vec());
        self.context.memory.facts.smaller.insert(remembered, image.digest().clone());
        Ok(Shape { seen: Some(seen), missing, ..Shape::whole(image.digest().clone()) })
    }

    /// The lists that have to be looked into, by their digests.
    ///
    /// # Errors
    /// If they are more, or deeper, than what is walked: whoever looks through them goes as deep.
    async fn lists_inside(
        &self,
        documents: &Documents,
        root: &Manifest,
        platforms: &Platforms,
    ) -> Result<HashMap<Digest, Manifest>, Error> {
        let (mut lists, mut waiting) = (HashMap::new(), vec![(root.clone(), 0)]);
        while let Some((list, level)) = waiting.pop() {
            for (child, fate) in platforms.choose(&list) {
                if fate != Fate::LookInside || lists.contains_key(&child.digest) {
                    continue;
                }
                if level == MAX_DEPTH || lists.len() == MAX_DOCUMENTS {
                    return Err(self.too_much(root.digest()));
                }
                let inner = self.document(documents, &child.digest).await?;
                lists.insert(child.digest.clone(), inner.clone());
                waiting.push((inner, level + 1));
            }
        }
        Ok(lists)
    }

    fn smaller(
        &self,
        documents: &Documents,
        root: &Manifest,
        lists: &HashMap<Digest, Manifest>,
        platforms: &Platforms,
    ) -> Result<Shape, Error> {
        let smaller = platforms.smaller(root, lists).map_err(|error| match error {
            NotSmaller::NoSuchPlatform(error) => self.no_such_platform(root.digest(), &error),
            NotSmaller::Document(error) => {
                let what = format!("making manifest {} of {} smaller", root.digest(), self.source.location());
                Error::new(what, Cause::Document(error))
            }
        })?;
        let shape = Shape {
            root: smaller.root.digest().clone(),
            as_written: smaller.root.digest() == root.digest(),
            left_out: HashSet::new(),
            seen: Some(smaller.seen),
            missing: smaller.missing,
        };
        let remembered = (root.digest().clone(), platforms.wanted().to_vec());
        self.context.memory.facts.smaller.insert(remembered, shape.root.clone());
        smaller.inner.into_iter().for_each(|list| documents.keep(list));
        documents.keep(smaller.root);
        Ok(shape)
    }

    fn sparse(
        &self,
        root: &Manifest,
        lists: &HashMap<Digest, Manifest>,
        platforms: &Platforms,
    ) -> Result<Shape, Error> {
        let (mut kept, mut left_out, mut seen) = (HashSet::new(), HashSet::new(), Seen::default());
        for list in lists.values().chain([root]) {
            seen.add(Seen::in_list(list));
            for (child, fate) in platforms.choose(list) {
                let these = if fate == Fate::Drop { &mut left_out } else { &mut kept };
                these.insert(child.digest.clone());
            }
        }
        // Two platforms may share an image.
        left_out.retain(|digest| !kept.contains(digest));
        let missing = platforms.missing(&seen).map_err(|error| self.no_such_platform(root.digest(), &error))?;
        Ok(Shape { left_out, seen: Some(seen), missing, ..Shape::whole(root.digest().clone()) })
    }

    pub(super) fn no_such_platform(&self, digest: &Digest, error: &NoSuchPlatform) -> Error {
        let what = format!("choosing platforms of manifest {digest} of {}", self.source.location());
        Error::new(what, Cause::NoSuchPlatform(error.to_string()))
    }
}
