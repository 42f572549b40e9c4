//! `tags`: which of a repository's tags a rule takes.

use super::keys::Table;
use super::problems::Problems;
use super::raw;
use super::values;
use super::written::{Entry, Written};
use crate::transfer::TagFilter;

/// A filter, and whether it lets every tag through.
#[derive(Clone)]
pub(super) struct Tags {
    pub(super) filter: TagFilter,
    pub(super) all: bool,
}

impl Default for Tags {
    fn default() -> Self {
        Self { filter: TagFilter::default(), all: true }
    }
}

/// The tags of a table; none if something in it is broken, and told.
pub(super) fn tags(table: Written<Table<raw::Tags>>, problems: &mut Problems<'_>) -> Option<Tags> {
    let table = table.of_kind("a table, as { include = [\"latest\", \"3.*\"], exclude = [\"*-rc*\"] }", problems)?;
    let raw = table.into_inner().known(problems);
    let include_at = raw.include.as_ref().map(|include| include.span.clone());
    let (include, exclude) = (patterns(raw.include, problems), patterns(raw.exclude, problems));
    let (include, exclude) = (include?, exclude?);
    if let Some(span) = include_at.filter(|_| include.is_empty()) {
        problems.add(&span, "is an empty list, which no tag is in: leave it out to take all tags");
        return None;
    }
    let all = include.is_empty() && exclude.is_empty();
    let filter = TagFilter::new(&include, &exclude).ok()?;
    Some(Tags { filter, all })
}

/// The patterns of a list, each of them tried by itself, so that all that are broken are told.
fn patterns(entry: Entry<Vec<Written<String>>>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let Some(written) = entry else { return Some(Vec::new()) };
    let list = written.of_kind("a list of texts in quotes, as [\"latest\", \"3.*\"]", problems)?.into_inner();
    let patterns: Vec<Option<String>> = list.into_iter().map(|written| pattern(written, problems)).collect();
    patterns.into_iter().collect()
}

fn pattern(written: Written<String>, problems: &mut Problems<'_>) -> Option<String> {
    let text = written.of_kind(values::TEXT, problems)?;
    let broken = TagFilter::new(std::slice::from_ref(text.get_ref()), &[]).err();
    match broken {
        Some(error) => {
            problems.add(&text.span(), error.to_string());
            None
        }
        None => Some(text.into_inner()),
    }
}
