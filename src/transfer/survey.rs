//! A look at all that rules need, before anything is written.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::mode::Mode;
use super::places::{Source, Target};
use super::rule::{Rule, Scope};
use crate::content::{Cause, Error, Location, Pull as _};
use crate::layout::Trust;
use crate::oci::Host;
use crate::registry::{Access, Reached};

/// What was found: each registry, and each side of each rule.
#[derive(Debug)]
pub struct Survey {
    /// In the order of their names.
    pub registries: Vec<SurveyedRegistry>,
    /// In the order of rules.
    pub catalogs: Vec<SurveyedCatalog>,
    /// In the order of rules, the source before the target.
    pub repositories: Vec<SurveyedRepository>,
}

/// What was found of a registry.
#[derive(Debug)]
pub struct SurveyedRegistry {
    /// Which one.
    pub host: Host,
    /// Who we are to it.
    pub found: Result<Reached, Error>,
}

/// What was found of a registry's catalog, where a rule has a glob.
#[derive(Debug)]
pub struct SurveyedCatalog {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Which registry's.
    pub host: Host,
    /// The glob.
    pub pattern: String,
    /// How many repositories match.
    pub found: Result<usize, Error>,
}

/// What was found of a rule's repository.
#[derive(Debug)]
pub struct SurveyedRepository {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What it is to the rule.
    pub side: Side,
    /// Which one.
    pub location: Location,
    /// What its tag list says.
    pub found: Found,
}

/// What a repository is to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Images are read from it.
    Source,
    /// Images are written to it.
    Target,
}

/// What a repository's tag list says.
#[derive(Debug)]
pub enum Found {
    /// It has so many tags.
    Tags(usize),
    /// It is a target that is not there yet.
    NotYet,
    /// It was not asked: its registry failed before.
    NotAsked,
    /// It cannot be read.
    Failed(Error),
}

impl Survey {
    /// Whether nothing is wrong.
    pub fn is_success(&self) -> bool {
        self.registries.iter().all(|registry| registry.found.is_ok())
            && self.catalogs.iter().all(|catalog| catalog.found.is_ok())
            && self.repositories.iter().all(|repository| matches!(repository.found, Found::Tags(_) | Found::NotYet))
    }
}

/// How many questions are asked side by side. Each registry has bounds of its own.
const AT_ONCE: usize = 16;

impl Engine {
    /// Reaches and logs in to each registry that the rules name, and to `others`, reads the catalogs that globs need, and
    /// lists the tags of the rules' repositories; of those that a glob finds, of one. Nothing is written. May be dropped
    /// at any time.
    ///
    /// A registry that fails is asked nothing more: to log in wrongly for each repository may lock the account.
    pub async fn survey(&self, rules: &[Arc<Rule>], others: impl IntoIterator<Item = Host>) -> Survey {
        let hosts: BTreeSet<Host> = rules.iter().flat_map(|rule| hosts(rule)).chain(others).collect();
        let reached = stream::iter(hosts).map(|host| self.survey_registry(host));
        let registries: Vec<SurveyedRegistry> = reached.buffered(AT_ONCE).collect().await;

        let failed: &HashSet<&Host> = &registries.iter().filter(|r| r.found.is_err()).map(|r| &r.host).collect();
        let sources: Vec<_> = rules
            .iter()
            .flat_map(|rule| rule.scope.sources.iter().map(move |source| (rule, source)))
            .map(|(rule, source)| self.survey_source(rule, source, failed))
            .collect();
        let (mut catalogs, mut sides) = (Vec::new(), Vec::new());
        for (catalog, found) in stream::iter(sources).buffered(AT_ONCE).collect::<Vec<_>>().await {
            catalogs.extend(catalog);
            sides.extend(found);
        }
        let mut seen = HashSet::new();
        sides.retain(|side| seen.insert(side.clone()));
        let listed = stream::iter(sides).map(|(rule, side, location)| async move {
            let found =
                if failed.contains(&location.host) { Found::NotAsked } else { self.tags(side, &location).await };
            SurveyedRepository { rule, side, location, found }
        });
        let repositories = listed.buffered(AT_ONCE).collect().await;
        Survey { registries, catalogs, repositories }
    }

    /// The repositories that a source means, and where they go. Of those that a glob finds the first stands for all.
    async fn survey_source(
        &self,
        rule: &Arc<Rule>,
        source: &Source,
        failed: &HashSet<&Host>,
    ) -> (Option<SurveyedCatalog>, Vec<(Arc<str>, Side, Location)>) {
        let scope = Scope { sources: vec![source.clone()], ..(*rule.scope).clone() };
        let side = |side, location: &Location| (Arc::clone(&rule.name), side, location.clone());
        if matches!(source, Source::Repositories(host, _) if failed.contains(host)) {
            return (None, Vec::new());
        }
        let expansion = self.expand(&scope, &self.context(&rule.name, Mode::Plan, CancellationToken::new())).await;
        let sides = expansion.mappings.first().into_iter().flat_map(|mapping| {
            let targets = mapping.targets.iter().map(|target| side(Side::Target, &target.location));
            [side(Side::Source, &mapping.source)].into_iter().chain(targets)
        });
        let sides = sides.collect();
        let Source::Repositories(host, pattern) = source else { return (None, sides) };
        let found = expansion.errors.into_iter().next().map_or(Ok(expansion.mappings.len()), Err);
        let (rule, pattern) = (Arc::clone(&rule.name), pattern.as_str().to_owned());
        (Some(SurveyedCatalog { rule, host: host.clone(), pattern, found }), sides)
    }

    async fn survey_registry(&self, host: Host) -> SurveyedRegistry {
        let found = self.registries.reach(&host).await;
        SurveyedRegistry { host, found }
    }

    async fn tags(&self, side: Side, location: &Location) -> Found {
        match (self.try_tags(side, location).await, side) {
            (Ok(Some(tags)), _) => Found::Tags(tags),
            (Ok(None), Side::Target) => Found::NotYet,
            (Ok(None), Side::Source) => {
                let error = Error::new(format!("listing the tags of {location}"), Cause::NotFound);
                Found::Failed(error.at(&location.host))
            }
            (Err(error), _) => Found::Failed(error),
        }
    }

    /// With the rights that a run asks for.
    async fn try_tags(&self, side: Side, location: &Location) -> Result<Option<usize>, Error> {
        let access = match side {
            Side::Source => Access::Pull,
            Side::Target => Access::Push,
        };
        let tags = self.store(location, access, Trust::Listed)?.tags().await?;
        Ok(tags.map(|tags| tags.len()))
    }
}

fn hosts(rule: &Rule) -> impl Iterator<Item = Host> {
    let sources = rule.scope.sources.iter().map(Source::host);
    sources.chain(rule.scope.targets.iter().map(Target::host)).filter(|host| !host.is_layout()).cloned()
}
