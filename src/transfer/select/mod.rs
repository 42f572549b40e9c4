//! Which tags: pure, shared by a rule's run, its dry run and `regferry tags`.
//!
//! `include` and `semver` choose, `exclude` drops, and of what is left `latest` keeps the newest. Tags that `include`
//! names exactly are wanted as they are: neither `semver` nor `latest` drops or counts them. What is a version, a
//! variant and a pre-release stands in [`version`], what a range takes in [`range`], what is newer in [`newest`].

mod natural;
mod newest;
mod pattern;
mod range;
mod selection;
#[cfg(test)]
mod tests;
mod version;

use std::collections::HashSet;
use std::num::NonZeroUsize;

use crate::oci::Tag;

pub use pattern::{InvalidPattern, Pattern};
pub use range::{InvalidRange, VersionRange};
pub use selection::{Selection, Stage, StageKind, Unmatched};

/// A choice of tags; the default takes them all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagFilter {
    /// Only tags that match one of these; none takes all.
    pub include: Vec<Pattern>,
    /// No tags that match one of these.
    pub exclude: Vec<Pattern>,
    /// Only versions of this range, beside the tags that `include` names exactly.
    pub semver: Option<VersionRange>,
    /// Only the newest so many, beside the tags that `include` names exactly.
    pub latest: Option<NonZeroUsize>,
}

impl TagFilter {
    /// Whether the filter lets every tag through.
    pub fn takes_all(&self) -> bool {
        let Self { include, exclude, semver, latest } = self;
        include.is_empty() && exclude.is_empty() && semver.is_none() && latest.is_none()
    }

    /// The tags, if the filter names each of them exactly: then no listing is needed.
    pub fn exact_tags(&self) -> Option<Vec<Tag>> {
        let tags: Vec<&Tag> = self.include.iter().map(Pattern::exact).collect::<Option<_>>()?;
        (!tags.is_empty()).then(|| tags.into_iter().filter(|tag| !self.excludes(tag)).cloned().collect())
    }

    /// Whether a listing with this tag in it may have it chosen: only `latest` looks at the others too.
    pub fn may_take(&self, tag: &Tag) -> bool {
        let is_included = self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(tag));
        let is_in_range = self.semver.as_ref().is_none_or(|range| self.names(tag) || range.matches(tag));
        !tag.is_referrers_fallback() && is_included && is_in_range && !self.excludes(tag)
    }

    /// Chooses among the tags of a listing. Tags that hang referrers on an image are never candidates.
    pub fn select(&self, listed: Vec<Tag>) -> Selection {
        let tags = candidates(listed);
        let mut selection = Selection { listed: tags.len(), ..Selection::default() };
        self.note_unmatched(&tags, &mut selection);
        selection.tags = tags;

        if !self.include.is_empty() {
            selection.keep(StageKind::Include, |tag| self.include.iter().any(|pattern| pattern.matches(tag)));
        }
        if let Some(range) = &self.semver {
            selection.keep(StageKind::Semver, |tag| self.names(tag) || range.matches(tag));
        }
        if !self.exclude.is_empty() {
            selection.keep(StageKind::Exclude, |tag| !self.excludes(tag));
        }
        if let Some(count) = self.latest {
            let counted: Vec<Tag> = selection.tags.iter().filter(|tag| !self.names(tag)).cloned().collect();
            let newest: HashSet<Tag> = newest::newest(&counted, count.get()).into_iter().collect();
            selection.keep(StageKind::Latest, |tag| self.names(tag) || newest.contains(tag));
        }
        selection
    }

    fn note_unmatched(&self, listed: &[Tag], selection: &mut Selection) {
        for pattern in self.include.iter().filter(|pattern| !listed.iter().any(|tag| pattern.matches(tag))) {
            match pattern.exact() {
                Some(tag) if self.excludes(tag) => {}
                Some(tag) => selection.missing.push(tag.clone()),
                None => selection.unmatched.push(Unmatched::Pattern(pattern.to_string())),
            }
        }
        let range = self.semver.iter().filter(|range| !listed.iter().any(|tag| range.matches(tag)));
        selection.unmatched.extend(range.map(|range| Unmatched::Range(range.to_string())));
    }

    /// Whether `include` has this very name.
    fn names(&self, tag: &Tag) -> bool {
        self.include.iter().any(|pattern| pattern.exact() == Some(tag))
    }

    fn excludes(&self, tag: &Tag) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(tag))
    }
}

/// Each tag once, in the listing's order, without those of referrers.
fn candidates(mut listed: Vec<Tag>) -> Vec<Tag> {
    let mut seen = HashSet::with_capacity(listed.len());
    listed.retain(|tag| !tag.is_referrers_fallback() && seen.insert(tag.clone()));
    listed
}
