//! `prune`: what a rule deletes at its targets.

use super::kinds::Switch;
use super::parts::texts;
use super::problems::Problems;
use super::raw;
use super::values;
use super::written::Entry;
use crate::transfer::{Neighbour, Pattern, Prune, Rule, Scope, Source};

/// What a rule or the defaults say.
#[derive(Clone, Default)]
pub(super) enum Pruning {
    /// Nothing.
    #[default]
    Unsaid,
    /// `false`
    Off,
    /// A table.
    On(Prune),
}

impl Pruning {
    /// This, if it says something, else what the defaults say.
    pub(super) fn or(self, default: &Self) -> Option<Prune> {
        match (self, default) {
            (Self::On(prune), _) => Some(prune),
            (Self::Unsaid, Self::On(prune)) => Some(prune.clone()),
            (Self::Off | Self::Unsaid, _) => None,
        }
    }
}

pub(super) fn pruning(entry: Entry<Switch<raw::Prune>>, problems: &mut Problems<'_>) -> Pruning {
    const KIND: &str = "a table, as { keep = [\"release-*\"], max_delete = 20 }, or false";
    let Some(value) = entry.and_then(|value| value.of_kind(KIND, problems)) else { return Pruning::Unsaid };
    let at = value.span();
    match value.into_inner() {
        Switch::Set(false) => Pruning::Off,
        Switch::Set(true) => {
            problems.add(&at, format!("must be {KIND}"));
            Pruning::Unsaid
        }
        Switch::Table(table) => {
            let raw = table.known(problems);
            let pattern = |text: &str| text.parse::<Pattern>().map_err(|error| error.to_string());
            Pruning::On(Prune {
                keep: texts(raw.keep, "[\"release-*\"]", problems, pattern).unwrap_or_default(),
                max_delete: values::count(raw.max_delete, problems).unwrap_or(Prune::MAX_DELETE),
                others: Vec::new(),
            })
        }
    }
}

/// A repository that is read and pruned at once would lose what is read: the target of a source that is the same
/// repository.
pub(super) fn prunes_its_source(scope: &Scope) -> Option<String> {
    let is_target = |source: &Source| {
        let location = match source {
            Source::Repositories(..) => return None,
            Source::Repository(location) => location.clone(),
            Source::Image(image) => image.into(),
        };
        let meets = scope.targets.iter().any(|target| target.of(&location.repository, None).as_ref() == Ok(&location));
        meets.then(|| location.to_string())
    };
    scope.sources.iter().find_map(is_target)
}

/// Tells each rule that prunes which others may write to its repositories.
pub(super) fn introduce(rules: &mut [Rule]) {
    let all: Vec<Neighbour> = rules.iter().map(Neighbour::from).collect();
    for (index, rule) in rules.iter_mut().enumerate() {
        let Some(prune) = &mut rule.prune else { continue };
        let others = all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, neighbour)| neighbour);
        prune.others = others.filter(|other| may_meet(&rule.scope, &other.scope)).cloned().collect();
    }
}

fn may_meet(one: &Scope, other: &Scope) -> bool {
    one.targets.iter().any(|target| other.targets.iter().any(|its| target.may_meet(its)))
}
