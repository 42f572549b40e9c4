//! Which tags: pure, shared by a rule's run, its dry run and `regferry tags`.

use std::collections::HashSet;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use crate::oci::Tag;

/// A choice of tags: all that match an `include` (all, if there is none) and no `exclude`.
#[derive(Debug, Clone, Default)]
pub struct TagFilter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// What became of the candidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The tags chosen, in the order of the listing.
    pub tags: Vec<Tag>,
    /// Tags that the filter names exactly and the listing does not have.
    pub missing: Vec<Tag>,
    /// Patterns of `include` that match nothing in the listing.
    pub unmatched: Vec<String>,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {reason}")]
pub struct InvalidPattern {
    pattern: String,
    reason: String,
}

#[derive(Debug, Clone)]
enum Pattern {
    Exact(Tag),
    Glob(GlobMatcher),
    Regex { regex: Regex, text: String },
}

impl TagFilter {
    /// Patterns are tags, globs (`3.*`) or regular expressions between slashes (`/v\d+/`), which match whole tags.
    ///
    /// # Errors
    /// If a pattern is none of them.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, InvalidPattern> {
        let parse = |patterns: &[String]| patterns.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>, _>>();
        Ok(Self { include: parse(include)?, exclude: parse(exclude)? })
    }

    /// The tags, if the filter names each of them exactly: then no listing is needed.
    pub fn exact_tags(&self) -> Option<Vec<Tag>> {
        let exact = |pattern: &Pattern| match pattern {
            Pattern::Exact(tag) => Some(tag.clone()),
            _ => None,
        };
        let tags: Vec<Tag> = self.include.iter().map(exact).collect::<Option<_>>()?;
        (!tags.is_empty()).then(|| tags.into_iter().filter(|tag| !self.excludes(tag)).collect())
    }

    /// Chooses among the tags of a listing. Tags that hang referrers on an image are never candidates.
    pub fn select(&self, listed: Vec<Tag>) -> Selection {
        let mut matched = vec![self.include.is_empty(); self.include.len()];
        let mut included = |tag: &Tag| {
            let mut any = self.include.is_empty();
            for (pattern, hit) in self.include.iter().zip(&mut matched) {
                if pattern.matches(tag) {
                    (*hit, any) = (true, true);
                }
            }
            any
        };
        let mut seen = HashSet::new();
        let tags = listed
            .into_iter()
            .filter(|tag| !tag.is_referrers_fallback() && included(tag) && !self.excludes(tag))
            .filter(|tag| seen.insert(tag.clone()))
            .collect();

        let mut selection = Selection { tags, ..Selection::default() };
        for (pattern, _) in self.include.iter().zip(matched).filter(|(_, hit)| !hit) {
            match pattern {
                Pattern::Exact(tag) if !self.excludes(tag) => selection.missing.push(tag.clone()),
                Pattern::Exact(_) => {}
                other => selection.unmatched.push(other.text().to_owned()),
            }
        }
        selection
    }

    fn excludes(&self, tag: &Tag) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(tag))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |reason: String| InvalidPattern { pattern: text.to_owned(), reason };
        if let Some(expression) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            let regex = Regex::new(&format!("^(?:{expression})$")).map_err(|error| invalid(one_line(&error)))?;
            return Ok(Self::Regex { regex, text: text.to_owned() });
        }
        if !text.contains(['*', '?', '[', '{']) {
            return text.parse().map(Self::Exact).map_err(|error: crate::oci::InvalidName| invalid(error.to_string()));
        }
        let glob = GlobBuilder::new(text).build().map_err(|error| invalid(error.kind().to_string()))?;
        Ok(Self::Glob(glob.compile_matcher()))
    }

    fn matches(&self, tag: &Tag) -> bool {
        match self {
            Self::Exact(exact) => exact == tag,
            Self::Glob(glob) => glob.is_match(tag.as_str()),
            Self::Regex { regex, .. } => regex.is_match(tag.as_str()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(tag) => tag.as_str(),
            Self::Glob(glob) => glob.glob().glob(),
            Self::Regex { text, .. } => text,
        }
    }
}

/// The parser draws its error over several lines; the last one says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn filter(include: &[&str], exclude: &[&str]) -> TagFilter {
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        TagFilter::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn without_a_filter_all_tags_are_taken_but_referrers() {
        let referrers = format!("sha256-{}.sig", "0".repeat(64));
        let selection = TagFilter::default().select(tags(&["1", "2", &referrers]));
        assert_eq!(selection, Selection { tags: tags(&["1", "2"]), ..Selection::default() });
    }

    #[test]
    fn globs_expressions_and_names_choose_and_exclude() {
        let listed = tags(&["latest", "3.18", "3.19-rc1", "v1", "v22", "edge"]);
        let chosen = filter(&["latest", "3.*", r"/v\d/"], &["*-rc*"]).select(listed);
        assert_eq!(chosen.tags, tags(&["latest", "3.18", "v1"]));
        assert_eq!((chosen.missing.len(), chosen.unmatched.len()), (0, 0));
    }

    #[test]
    fn what_matches_nothing_is_told() {
        let selection = filter(&["latest", "4.*", "/x/", "old"], &["old"]).select(tags(&["3.18"]));
        assert_eq!(selection.missing, tags(&["latest"]));
        assert_eq!(selection.unmatched, ["4.*", "/x/"]);
    }

    #[test]
    fn exact_names_need_no_listing() {
        assert_eq!(filter(&["a", "b"], &["b"]).exact_tags(), Some(tags(&["a"])));
        assert_eq!(filter(&["a", "b*"], &[]).exact_tags(), None);
        assert_eq!(filter(&[], &["a"]).exact_tags(), None);
    }

    #[test]
    fn broken_patterns_are_named() {
        for (pattern, hint) in
            [("/(/", "unclosed group"), ("a[", "unclosed character class"), ("a b", "is no tag"), ("", "is no tag")]
        {
            let error = TagFilter::new(&[pattern.to_owned()], &[]).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_selection_is_a_part_of_the_listing_without_what_is_excluded(names in proptest::collection::vec("[a-c]{1,3}", 0..20), pattern in "[a-c*?]{1,3}") {
            let listed: Vec<Tag> = names.iter().map(|n| n.parse().unwrap()).collect();
            let with = filter(&[&pattern], &[]).select(listed.clone()).tags;
            let without = filter(&[], &[&pattern]).select(listed.clone()).tags;
            prop_assert!(with.iter().all(|tag| listed.contains(tag) && !without.contains(tag)));
            prop_assert!(listed.iter().all(|tag| with.contains(tag) || without.contains(tag)));
        }
    }
}
