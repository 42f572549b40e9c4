//! `[[rules]]` and `[[compose]]`, and the `[defaults]` of what they leave out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::compose;
use super::conflicts;
use super::keys::{Table, section};
use super::parts::{self, Parts};
use super::problems::Problems;
use super::prune::{self, Pruning};
use super::raw;
use super::schedule;
use super::scope::{self, RouteOfRule, TagsOfRule};
use super::tags::{self, Tags};
use super::values;
use super::written::{Entry, Written};
use crate::events;
use crate::schedule::Timing;
use crate::transfer::{Kept, Mode, Platforms, Prune, Rule};

/// A rule and when it runs.
#[derive(Debug, Clone)]
pub struct ScheduledRule {
    /// What is mirrored.
    pub rule: Arc<Rule>,
    /// When it runs.
    pub timing: Timing,
}

impl ScheduledRule {
    /// What a run is for that was begun by schedule; `is_recheck` if it is to look below unchanged tags.
    pub fn mode(&self, is_recheck: bool) -> Mode {
        match (is_recheck, self.timing.recheck) {
            (true, _) => Mode::Repair,
            (false, Some(_)) => Mode::Follow,
            // Nobody would look again at what was in place once.
            (false, None) => Mode::Execute,
        }
    }
}

/// What the file says of rules.
pub(super) struct Rules {
    /// In the file's order, then the lists that are kept composed; without those that are broken, and told.
    pub(super) sound: Vec<ScheduledRule>,
    /// The names of all of them: who names a broken one has made no mistake.
    pub(super) names: Vec<String>,
}

/// What holds for a rule that does not say otherwise.
pub(super) struct Defaults {
    pub(super) schedule: schedule::Defaults,
    pub(super) timeout: Option<Duration>,
    parts: Parts,
    pub(super) overwrite: bool,
    prune: Pruning,
    /// None if they are broken.
    tags: Option<Tags>,
}

/// A rule as far as it could be made out.
pub(super) struct Draft {
    pub(super) name: Option<Spanned<String>>,
    pub(super) route: Option<RouteOfRule>,
    pub(super) kept: Option<Kept>,
    pub(super) timing: Timing,
    pub(super) timeout: Option<Duration>,
    pub(super) parts: Parts,
    pub(super) platforms: Option<Platforms>,
    pub(super) overwrite: bool,
    pub(super) prune: Option<Prune>,
}

pub(super) fn defaults(entry: Entry<Table<raw::Defaults>>, problems: &mut Problems<'_>) -> Defaults {
    let raw = section(entry, problems);
    let keys =
        schedule::Keys { schedule: raw.schedule, timezone: raw.timezone, jitter: raw.jitter, recheck: raw.recheck };
    Defaults {
        schedule: schedule::defaults(keys, problems),
        timeout: values::duration(raw.timeout, problems),
        parts: parts::parts(raw.platforms, raw.platform_mode, raw.referrers, problems),
        overwrite: values::switch(raw.overwrite, problems).unwrap_or(true),
        prune: prune::pruning(raw.prune, problems),
        tags: raw.tags.map_or_else(|| Some(Tags::default()), |table| tags::tags(table, problems)),
    }
}

pub(super) fn rules(
    entry: Entry<Vec<Written<Table<raw::Rule>>>>,
    composed: Entry<Vec<Written<Table<raw::Compose>>>>,
    defaults: &Defaults,
    problems: &mut Problems<'_>,
) -> Rules {
    let tables = entry.and_then(|rules| rules.of_kind("a list of tables: write [[rules]] above each rule", problems));
    let tables = tables.map(Spanned::into_inner).unwrap_or_default();
    let mut drafts: Vec<Draft> = tables.into_iter().filter_map(|table| draft(table, defaults, problems)).collect();
    drafts.extend(compose::drafts(composed, defaults, problems));

    let names = drafts.iter().filter_map(|draft| Some(draft.name.as_ref()?.get_ref().clone())).collect();
    tell_same_names("rule", drafts.iter().filter_map(|draft| draft.name.as_ref()), problems);
    conflicts::tell(drafts.iter().filter_map(|draft| draft.route.as_ref()), problems);
    let (mut rules, timings): (Vec<Rule>, Vec<Timing>) = drafts.into_iter().filter_map(Draft::finish).unzip();
    prune::introduce(&mut rules);
    let scheduled = rules.into_iter().zip(timings).map(|(rule, timing)| ScheduledRule { rule: Arc::new(rule), timing });
    Rules { sound: scheduled.collect(), names }
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
    let keys =
        schedule::Keys { schedule: raw.schedule, timezone: raw.timezone, jitter: raw.jitter, recheck: raw.recheck };
    let (sources, targets) = (scope::sources(raw.source, problems), scope::targets(raw.target, problems));
    let platforms_at = raw.platforms.as_ref().map_or_else(|| at.clone(), |platforms| platforms.span.clone());
    let mode_is_written = raw.platform_mode.is_some();
    let own = parts::parts(raw.platforms, raw.platform_mode, raw.referrers, problems);
    let parts = own.or(&defaults.parts);
    let platforms = parts.platforms().unwrap_or_else(|reason| {
        // A mode that is broken is told already.
        if !mode_is_written || parts.has_mode() {
            problems.add(&platforms_at, reason);
        }
        None
    });
    let prune_at = raw.prune.as_ref().map_or(at, |prune| prune.span.clone());
    let prune = prune::pruning(raw.prune, problems).or(&defaults.prune);
    let route = scope::route(sources, targets, tags, problems);
    if let (Some(_), Some(source)) = (&prune, route.as_ref().and_then(|route| prune::prunes_its_source(&route.scope))) {
        problems.add(&prune_at, format!("would delete tags of {source}, which the rule reads: set prune = false"));
    }
    Some(Draft {
        name: values::parsed(raw.name, values::TEXT, problems, name),
        route,
        kept: None,
        timing: schedule::timing(keys, &defaults.schedule, problems),
        timeout: values::duration(raw.timeout, problems).or(defaults.timeout),
        parts,
        platforms,
        overwrite: values::switch(raw.overwrite, problems).unwrap_or(defaults.overwrite),
        prune,
    })
}

impl Draft {
    fn finish(self) -> Option<(Rule, Timing)> {
        let (name, scope) = (self.name?.into_inner().into(), Arc::new(self.route?.scope));
        let rule = Rule {
            name,
            scope,
            kept: self.kept,
            platforms: self.platforms,
            referrers: self.parts.referrers.unwrap_or_default(),
            overwrite: self.overwrite,
            prune: self.prune,
            timeout: self.timeout,
        };
        Some((rule, self.timing))
    }
}

/// A name stands in labels of metrics, in log lines and in URLs: one line, nothing in it to be escaped.
pub(super) fn name(text: &str) -> Result<String, String> {
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

/// Tells names that are there twice; `what` has them.
pub(super) fn tell_same_names<'n>(
    what: &str,
    names: impl Iterator<Item = &'n Spanned<String>>,
    problems: &mut Problems<'_>,
) {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    for name in names {
        match first.get(name.get_ref().as_str()) {
            Some(other) => {
                let line = problems.line(other);
                problems
                    .add(&name.span(), format!("is also the name of the {what} at line {line}: each needs its own"));
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
