//! What refers to an image at the source and is not at the target.
//!
//! Of an unchanged image it costs, for each of its documents, one request to a source with the referrers API, and none
//! to one without, where the source's listing of tags tells that nothing hangs there. The target is asked, once a
//! document, only where something does, and only if the source lists something else than when all of it was in place.
//! Which documents a list has is asked of the target, once in a process.

use std::collections::HashSet;
use std::fmt;

use futures_util::future::try_join_all;

use super::super::documents::Documents;
use super::super::listed::listed_below;
use super::super::memory::Seen;
use super::super::platforms::Platforms;
use super::super::route::{Route, Tags};
use super::listed::{Listed, listed};
use super::{Hung, MOST, Referrers};
use crate::content::{Cause, Error, Pull, Push};
use crate::oci::{Descriptor, Digest, ManifestError, Subject, Tag, TagOrDigest};

/// What is looked for.
#[derive(Clone, Copy)]
pub(in super::super) struct Search<'a> {
    pub(in super::super) wanted: &'a Referrers,
    /// What the source's listing tells; none if it could not be had.
    pub(in super::super) hung: Option<&'a Hung>,
    /// Whether what is remembered to be in place is looked at all the same.
    pub(in super::super) anew: bool,
    /// The platforms whose images are at the target, if it has a list with gaps.
    pub(in super::super) sparse: Option<&'a Platforms>,
    /// Whether a tag that the target has may be moved.
    pub(in super::super) tags: Tags,
}

/// Something that the target lacks.
#[derive(Debug, Clone)]
pub(in super::super) enum Hanging {
    /// A document that names its subject.
    Listed {
        subject: Digest,
        descriptor: Box<Descriptor>,
        /// Whether the target lists it by itself once it is there.
        is_listed_by_target: bool,
    },
    /// A document whose tag names its subject.
    Tagged { tag: Tag, digest: Digest },
}

/// `sha256:ab12cd34ef56…, which refers to sha256:98fe76dc54ba…`
impl fmt::Display for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { subject, descriptor, .. } => {
                write!(f, "{}, which refers to {}", descriptor.digest.short(), subject.short())
            }
            Self::Tagged { tag, digest } => write!(f, "{} as {tag}", digest.short()),
        }
    }
}

/// What refers to one document.
struct Found {
    /// Whether the source has the referrers API.
    has_api: bool,
    all: Vec<Digest>,
    missing: Vec<Hanging>,
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Looks at an image, at what it lists, and at what refers to what refers to it, each document once. `as_written`
    /// says whether the target has the image as the source has it: what refers to a list that was made smaller does not
    /// fit the smaller one.
    pub(in super::super) async fn missing_referrers(
        &self,
        search: Search<'_>,
        root: &Digest,
        as_written: bool,
        documents: Option<&Documents>,
    ) -> Result<Vec<Hanging>, Error> {
        let (mut missing, mut level, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        if as_written {
            let found = self.hanging_on(search, root).await?;
            if !found.has_api && search.hung.is_some_and(Hung::is_empty) {
                return Ok(missing);
            }
            seen.insert(root.clone());
            missing.extend(found.missing);
            level.extend(found.all);
        }
        level.extend(self.listed_below(search, root, documents).await?);
        while !level.is_empty() {
            level.retain(|digest| seen.insert(digest.clone()));
            if seen.len() > MOST {
                let what = format!("looking for what refers to {root} in {}", self.source.location());
                let reason = format!("more than {MOST} documents");
                return Err(Error::new(what, Cause::Document(ManifestError::Unknown { what: reason })));
            }
            let found = try_join_all(level.iter().map(|subject| self.hanging_on(search, subject))).await?;
            level.clear();
            for found in found {
                missing.extend(found.missing);
                level.extend(found.all);
            }
        }
        Ok(missing)
    }

    /// All documents of a list that are to be at the target, in lists inside of it too. What is at hand comes from there,
    /// else from the target, which has them if the image is unchanged.
    async fn listed_below(
        &self,
        search: Search<'_>,
        root: &Digest,
        documents: Option<&Documents>,
    ) -> Result<Vec<Digest>, Error> {
        let fetch = |digest: Digest| async move {
            match documents {
                Some(documents) => self.document(documents, &digest).await.map(Some),
                None => self.target.manifest(&TagOrDigest::Digest(digest)).await,
            }
        };
        listed_below(root, search.sparse, &self.context.memory, fetch).await
    }

    async fn hanging_on(&self, search: Search<'_>, subject: &Digest) -> Result<Found, Error> {
        let Listed { by_api, entries } = listed(self.source, subject, |tag| search.may_have(subject, tag)).await?;
        let listed: Vec<Descriptor> = entries.into_iter().filter(|entry| search.wanted.takes(entry)).collect();
        let mut all: Vec<Digest> = listed.iter().map(|entry| entry.digest.clone()).collect();
        let mut missing = self.not_at_target(search, subject, listed, &all).await?;
        for tag in subject.cosign_tags().into_iter().filter(|tag| search.may_have(subject, tag)) {
            if let Some((digest, is_missing)) = self.compare_tag(search, &tag).await? {
                all.push(digest.clone());
                missing.extend(is_missing.then_some(Hanging::Tagged { tag, digest }));
            }
        }
        Ok(Found { has_api: by_api, all, missing })
    }

    async fn not_at_target(
        &self,
        search: Search<'_>,
        subject: &Digest,
        listed: Vec<Descriptor>,
        all: &[Digest],
    ) -> Result<Vec<Hanging>, Error> {
        let remembered = (self.target.location().clone(), subject.clone());
        let (memory, earlier) = (&self.context.memory, self.context.earlier);
        let seen = || memory.referrers.get(&remembered)?.believed(earlier);
        let was_in_place = !search.anew && seen().as_deref() == Some(all);
        if listed.is_empty() || was_in_place {
            return Ok(Vec::new());
        }
        let there = self::listed(self.target, subject, |_| true).await?;
        let is_listed_by_target = there.by_api;
        let there: HashSet<Digest> = there.entries.into_iter().map(|entry| entry.digest).collect();
        let lacking = listed.into_iter().filter(|entry| !there.contains(&entry.digest));
        let hanging =
            |entry| Hanging::Listed { subject: subject.clone(), descriptor: Box::new(entry), is_listed_by_target };
        let missing: Vec<Hanging> = lacking.map(hanging).collect();
        if missing.is_empty() {
            memory.referrers.insert(remembered, Seen::now(all.to_vec()));
        }
        Ok(missing)
    }

    /// What the source has under a tag, if it has that and it is wanted, and whether the target lacks it.
    async fn compare_tag(&self, search: Search<'_>, tag: &Tag) -> Result<Option<(Digest, bool)>, Error> {
        let at = TagOrDigest::Tag(tag.clone());
        let Some(digest) = self.source.resolve(&at).await? else { return Ok(None) };
        if !search.anew && self.seen_tag(tag).as_ref() == Some(&digest) {
            return Ok(Some((digest, false)));
        }
        let there = self.target.resolve(&at).await?;
        if there.as_ref() == Some(&digest) {
            self.remember(&at, Some(&digest));
            return Ok(Some((digest, false)));
        }
        if there.is_some() && search.tags == Tags::Stay {
            return Ok(None);
        }
        if search.wanted.needs_documents() {
            let document = self.source.manifest(&TagOrDigest::Digest(digest.clone())).await?;
            if !document.is_some_and(|document| search.wanted.takes_document(&document)) {
                return Ok(None);
            }
        }
        Ok(Some((digest, true)))
    }
}

impl Search<'_> {
    /// Whether the source may have this tag, as far as its listing tells.
    fn may_have(&self, subject: &Digest, tag: &Tag) -> bool {
        self.hung.is_none_or(|hung| hung.has(Subject::from(subject), tag))
    }
}
