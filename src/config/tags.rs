//! `tags`: which of a repository's tags a rule takes.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;

use toml::Spanned;

use super::keys::Table;
use super::problems::Problems;
use super::raw;
use super::values;
use super::written::{Entry, Written};
use crate::transfer::{Pattern, TagFilter, VersionRange};

/// A filter, and whether it lets every tag through.
#[derive(Clone)]
pub(super) struct Tags {
    pub(super) filter: TagFilter,
    pub(super) all: bool,
}

impl Default for Tags {
    fn default() -> Self {
        TagFilter::default().into()
    }
}

impl From<TagFilter> for Tags {
    fn from(filter: TagFilter) -> Self {
        Self { all: filter.takes_all(), filter }
    }
}

/// The tags of a table; none if something in it is broken, and told.
pub(super) fn tags(table: Written<Table<raw::Tags>>, problems: &mut Problems<'_>) -> Option<Tags> {
    let table = table.of_kind("a table, as { include = [\"latest\", \"3.*\"], exclude = [\"*-rc*\"] }", problems)?;
    let raw = table.into_inner().known(problems);
    let include_at = raw.include.as_ref().map(|include| include.span.clone());
    let (include, exclude) = (patterns(raw.include, problems), patterns(raw.exclude, problems));
    let semver = if_written(raw.semver, |entry| range(entry, problems));
    let latest = if_written(raw.latest, |entry| count(entry, problems));
    let filter = TagFilter { include: include?, exclude: exclude?, semver: semver?, latest: latest? };
    if let Some(span) = include_at.filter(|_| filter.include.is_empty()) {
        problems.add(&span, "is an empty list, which no tag is in: leave it out to take all tags");
        return None;
    }
    Some(filter.into())
}

/// What a key says, if the file has it; none at all if what it says is broken.
fn if_written<W, T>(entry: Entry<W>, read: impl FnOnce(Entry<W>) -> Option<T>) -> Option<Option<T>> {
    match entry {
        None => Some(None),
        written => read(written).map(Some),
    }
}

/// The patterns of a list, each of them tried by itself, so that all that are broken are told.
fn patterns(entry: Entry<Vec<Written<String>>>, problems: &mut Problems<'_>) -> Option<Vec<Pattern>> {
    let Some(written) = entry else { return Some(Vec::new()) };
    let list = written.of_kind("a list of texts in quotes, as [\"latest\", \"3.*\"]", problems)?.into_inner();
    let patterns: Vec<Option<Pattern>> = list.into_iter().map(|written| pattern(written, problems)).collect();
    patterns.into_iter().collect()
}

fn pattern(written: Written<String>, problems: &mut Problems<'_>) -> Option<Pattern> {
    let parse = |text: &str| text.parse::<Pattern>().map_err(|error| error.to_string());
    values::parsed(Some(written), values::TEXT, problems, parse).map(Spanned::into_inner)
}

fn range(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<VersionRange> {
    let parse = |text: &str| text.parse::<VersionRange>().map_err(|error| error.to_string());
    values::parsed(entry, "a range of versions in quotes, as \">=3.18, <4\"", problems, parse).map(Spanned::into_inner)
}

fn count(entry: Entry<i64>, problems: &mut Problems<'_>) -> Option<NonZeroUsize> {
    const BOUNDS: RangeInclusive<u64> = 1..=100_000;
    values::whole(entry, BOUNDS, problems).and_then(|count| usize::try_from(count).ok()).and_then(NonZeroUsize::new)
}
