//! `[[rules]]`, and the `[defaults]` of what they leave out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::conflicts;
use super::keys::{Table, section};
use super::problems::Problems;
use super::raw;
use super::route::{self, Route, TagsOfRule};
use super::tags::{self, Tags};
use super::values;
use super::written::{Entry, Written};
use crate::events;
use crate::transfer::Rule;

/// A rule and when it runs.
#[derive(Debug, Clone)]
pub struct ScheduledRule {
    /// What is mirrored.
    pub rule: Arc<Rule>,
    /// The time from the start of one run to the start of the next.
    pub every: Duration,
}

/// What holds for a rule that does not say otherwise.
pub(super) struct Defaults {
    every: Duration,
    timeout: Option<Duration>,
    /// None if they are broken.
    tags: Option<Tags>,
}

/// A rule as far as it could be made out.
struct Draft {
    name: Option<Spanned<String>>,
    route: Option<Route>,
    every: Duration,
    timeout: Option<Duration>,
}

pub(super) fn defaults(entry: Entry<Table<raw::Defaults>>, problems: &mut Problems<'_>) -> Defaults {
    const EVERY: Duration = Duration::from_secs(60 * 60);
    let raw = section(entry, problems);
    Defaults {
        every: values::duration(raw.schedule, problems).unwrap_or(EVERY),
        timeout: values::duration(raw.timeout, problems),
        tags: raw.tags.map_or_else(|| Some(Tags::default()), |table| tags::tags(table, problems)),
    }
}

/// The rules in the file's order. Those that are broken, and told, are not among them.
pub(super) fn rules(
    entry: Entry<Vec<Written<Table<raw::Rule>>>>,
    defaults: &Defaults,
    problems: &mut Problems<'_>,
) -> Vec<ScheduledRule> {
    let tables = entry.and_then(|rules| rules.of_kind("a list of tables: write [[rules]] above each rule", problems));
    let tables = tables.map(Spanned::into_inner).unwrap_or_default();
    let drafts: Vec<Draft> = tables.into_iter().filter_map(|table| draft(table, defaults, problems)).collect();

    tell_same_names(drafts.iter().filter_map(|draft| draft.name.as_ref()), problems);
    conflicts::tell(drafts.iter().filter_map(|draft| draft.route.as_ref()), problems);
    drafts.into_iter().filter_map(Draft::finish).collect()
}

fn draft(table: Written<Table<raw::Rule>>, defaults: &Defaults, problems: &mut Problems<'_>) -> Option<Draft> {
    let table = table.of_kind("a table: write [[rules]] above each rule", problems)?;
    let at = table.span();
    let raw = table.into_inner().known(problems);
    for (key, missing) in
        [("name", raw.name.is_none()), ("source", raw.source.is_none()), ("target", raw.target.is_none())]
    {
        if missing {
            problems.add(&at, format!("has no `{key}`"));
        }
    }

    let own = raw.tags.map(|table| (table.span.clone(), tags::tags(table, problems)));
    let tags = TagsOfRule { own, default: defaults.tags.as_ref() };
    let (source, target) = (route::source(raw.source, problems), route::target(raw.target, problems));
    Some(Draft {
        name: values::parsed(raw.name, values::TEXT, problems, name),
        route: route::route(source, target, tags, problems),
        every: values::duration(raw.schedule, problems).unwrap_or(defaults.every),
        timeout: values::duration(raw.timeout, problems).or(defaults.timeout),
    })
}

impl Draft {
    fn finish(self) -> Option<ScheduledRule> {
        let (name, Route { source, target, images, .. }) = (self.name?.into_inner(), self.route?);
        let rule = Rule { name: name.into(), source, target, images, timeout: self.timeout };
        Some(ScheduledRule { rule: Arc::new(rule), every: self.every })
    }
}

/// A name stands in labels of metrics, in log lines and in URLs: one line, nothing in it to be escaped.
fn name(text: &str) -> Result<String, String> {
    const LONGEST: usize = 128;
    if text == events::IMPORT {
        return Err(format!("{text:?} is what metrics call work outside of rules: choose another name"));
    }
    let plain = text.escape_debug().eq(text.chars()) && text.trim() == text;
    if text.is_empty() || text.chars().count() > LONGEST || !plain {
        return Err(format!(
            "is no name: write 1 to {LONGEST} printable characters, without quotes, backslashes, and spaces at the ends"
        ));
    }
    Ok(text.to_owned())
}

fn tell_same_names<'n>(names: impl Iterator<Item = &'n Spanned<String>>, problems: &mut Problems<'_>) {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    for name in names {
        match first.get(name.get_ref().as_str()) {
            Some(other) => {
                let line = problems.line(other);
                problems.add(&name.span(), format!("is also the name of the rule at line {line}: each needs its own"));
            }
            None => {
                first.insert(name.get_ref(), name.span());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_text_of_one_line() {
        for text in ["hello-world", "a", "Team A / nightly", "größe", "x.y_z:1@2", "日本"] {
            assert_eq!(name(text), Ok(text.to_owned()));
        }
        for text in ["", " a", "a ", "a\nb", "a\"b", "a'b", "a\\b", "a\tb", "a\u{202e}b", &"a".repeat(129)] {
            assert!(name(text).unwrap_err().contains("is no name"), "{text:?}");
        }
        assert!(name("import").is_err());
    }
}
