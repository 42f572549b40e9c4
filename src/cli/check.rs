//! `regferry check`: whether the configuration holds, and whether the registries do.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::serve::check_secrets;
use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::config::Config;
use crate::queue::{Cluster, Settings};
use crate::registry::Reached;
use crate::telemetry::Log;
use crate::transfer::{Found, Side, Survey, SurveyedCatalog, SurveyedRegistry, SurveyedRepository};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Also reach and log in to each registry, and NATS of a cluster, and list the tags of each rule's repositories. Nothing
    /// is written
    #[arg(long)]
    online: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  Before a deployment, with its logins and certificates:
    regferry check --config regferry.toml --online

  Without a registry in reach, in CI:
    REGFERRY_CONFIG=regferry.toml regferry check

Exits 0 if all is well, 1 if a registry, NATS or a repository fails, 2 if the configuration is wrong.";

/// What a check tells.
#[derive(Serialize)]
struct Report {
    rules: usize,
    registries: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<Online>,
}

/// What was found at the registries.
#[derive(Serialize)]
struct Online {
    /// Of a configuration with a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<ClusterReached>,
    registries: Vec<Registry>,
    /// Of rules with globs.
    catalogs: Vec<Catalog>,
    repositories: Vec<Repository>,
}

#[derive(Serialize)]
struct ClusterReached {
    name: String,
    nats: String,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
struct Registry {
    host: String,
    #[serde(flatten)]
    verdict: Verdict,
    /// None where no login was used.
    user: Option<String>,
}

#[derive(Serialize)]
struct Catalog {
    rule: String,
    host: String,
    pattern: String,
    #[serde(flatten)]
    verdict: Verdict,
    /// Those that match; none of a catalog that could not be read.
    repositories: Option<usize>,
}

#[derive(Serialize)]
struct Repository {
    rule: String,
    side: &'static str,
    repository: String,
    #[serde(flatten)]
    verdict: Verdict,
    /// None of one that is not there, or was not asked.
    tags: Option<usize>,
}

#[derive(Serialize)]
struct Verdict {
    outcome: Outcome,
    error: Option<String>,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Failed,
    /// Not asked, since its registry failed.
    Skipped,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    check_secrets(&config).map_err(Failure::usage)?;
    let mut report = Report { rules: config.rules.len(), registries: config.registries.len(), online: None };
    let mut exit = Exit::Done;
    if args.online {
        let reaching = session.until_stopped(reached(config.cluster.clone()));
        let (cluster, survey) = tokio::join!(reaching, survey(session, config));
        let (Some(cluster), Some(survey)) = (cluster, survey?) else { return Ok(Exit::Failed) };
        let is_reached = cluster.as_ref().is_none_or(|cluster| cluster.verdict.outcome == Outcome::Ok);
        exit = if survey.is_success() && is_reached { Exit::Done } else { Exit::Failed };
        report.online = Some(Online { cluster, ..Online::from(&survey) });
    }
    match args.output {
        Format::Json => output::print_json(&report)?,
        Format::Text => output::print(&report.text())?,
    }
    Ok(exit)
}

async fn reached(settings: Option<Settings>) -> Option<ClusterReached> {
    let settings = settings?;
    let verdict = match Cluster::reach(&settings).await {
        Ok(()) => Verdict::OK,
        Err(error) => Verdict { outcome: Outcome::Failed, error: Some(error.to_string()) },
    };
    let servers: Vec<String> = settings.servers.iter().map(ToString::to_string).collect();
    Some(ClusterReached { name: settings.name, nats: servers.join(", "), verdict })
}

/// None if it was stopped.
async fn survey(session: &Session, config: Config) -> Result<Option<Survey>, Failure> {
    let rules: Vec<_> = config.rules.iter().map(|scheduled| Arc::clone(&scheduled.rule)).collect();
    let configured: Vec<_> = config.registries.keys().cloned().collect();
    let app = session.app(config, Log::BesideResults)?;
    Ok(session.until_stopped(app.engine().survey(&rules, configured)).await)
}

impl From<&Survey> for Online {
    fn from(survey: &Survey) -> Self {
        Self {
            cluster: None,
            registries: survey.registries.iter().map(Registry::from).collect(),
            catalogs: survey.catalogs.iter().map(Catalog::from).collect(),
            repositories: survey.repositories.iter().map(Repository::from).collect(),
        }
    }
}

impl From<&SurveyedRegistry> for Registry {
    fn from(surveyed: &SurveyedRegistry) -> Self {
        let (verdict, user) = match &surveyed.found {
            Ok(Reached::Anonymously) => (Verdict::OK, None),
            Ok(Reached::LoggedIn { user }) => (Verdict::OK, Some(user.clone())),
            Err(error) => (Verdict::failed(error), None),
        };
        Self { host: surveyed.host.to_string(), verdict, user }
    }
}

impl From<&SurveyedCatalog> for Catalog {
    fn from(surveyed: &SurveyedCatalog) -> Self {
        let (verdict, repositories) = match &surveyed.found {
            Ok(count) => (Verdict::OK, Some(*count)),
            Err(error) => (Verdict::failed(error), None),
        };
        let (host, pattern) = (surveyed.host.to_string(), surveyed.pattern.clone());
        Self { rule: surveyed.rule.to_string(), host, pattern, verdict, repositories }
    }
}

impl From<&SurveyedRepository> for Repository {
    fn from(surveyed: &SurveyedRepository) -> Self {
        let (verdict, tags) = match &surveyed.found {
            Found::Tags(tags) => (Verdict::OK, Some(*tags)),
            Found::NotYet => (Verdict::OK, None),
            Found::NotAsked => (Verdict { outcome: Outcome::Skipped, error: None }, None),
            Found::Failed(error) => (Verdict::failed(error), None),
        };
        let side = match surveyed.side {
            Side::Source => "source",
            Side::Target => "target",
        };
        Self { rule: surveyed.rule.to_string(), side, repository: surveyed.location.to_string(), verdict, tags }
    }
}

impl Verdict {
    const OK: Self = Self { outcome: Outcome::Ok, error: None };

    fn failed(error: &crate::content::Error) -> Self {
        Self { outcome: Outcome::Failed, error: Some(error.with_advice()) }
    }

    /// What to tell of it; `found` if it is well.
    fn told(&self, found: String) -> String {
        match (&self.outcome, &self.error) {
            (Outcome::Ok, _) => found,
            (Outcome::Failed, error) => error.clone().unwrap_or_default(),
            (Outcome::Skipped, _) => "not asked: its registry failed".to_owned(),
        }
    }

    fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped",
        }
    }
}

impl ClusterReached {
    fn row(&self) -> [String; 4] {
        let told = self.verdict.told("NATS answers".to_owned());
        [format!("cluster {}", self.name), self.nats.clone(), self.verdict.word().to_owned(), told]
    }
}

impl Registry {
    fn row(&self) -> [String; 4] {
        let found = match self.user.as_deref() {
            Some("") => "logged in".to_owned(),
            Some(user) => format!("logged in as {user}"),
            None => "no login used".to_owned(),
        };
        ["registry".to_owned(), self.host.clone(), self.verdict.word().to_owned(), self.verdict.told(found)]
    }
}

impl Catalog {
    fn row(&self) -> [String; 4] {
        let found = counted(self.repositories.unwrap_or_default(), "repository matches", "repositories match");
        let (what, place) = (format!("catalog of {}", self.rule), format!("{}/{}", self.host, self.pattern));
        [what, place, self.verdict.word().to_owned(), self.verdict.told(found)]
    }
}

impl Repository {
    fn row(&self) -> [String; 4] {
        let found = match self.tags {
            Some(tags) => counted(tags, "tag", "tags"),
            None => "not there yet".to_owned(),
        };
        let what = format!("{} of {}", self.side, self.rule);
        [what, self.repository.clone(), self.verdict.word().to_owned(), self.verdict.told(found)]
    }
}

impl Report {
    /// A line for each registry and each repository, and one for all.
    fn text(&self) -> String {
        let rules = counted(self.rules, "rule", "rules");
        let registries = counted(self.registries, "registry", "registries");
        match &self.online {
            None => format!("ok: {rules}, {registries} configured\n"),
            Some(online) => format!("{}{rules}, {registries} configured; {}\n", online.table(), online.counts()),
        }
    }
}

impl Online {
    fn table(&self) -> String {
        let registries = self.registries.iter().map(Registry::row);
        let catalogs = self.catalogs.iter().map(Catalog::row);
        let cluster = self.cluster.iter().map(ClusterReached::row);
        let rest = registries.chain(catalogs).chain(self.repositories.iter().map(Repository::row));
        let rows: Vec<_> = cluster.chain(rest).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (first, second, third) = (width(0), width(1), width(2));
        let mut text = String::new();
        for [what, place, word, told] in &rows {
            let _ = writeln!(text, "{what:first$}  {place:second$}  {word:third$}  {told}");
        }
        text
    }

    /// `3 ok, 1 failed`; skipped ones only where there are any.
    fn counts(&self) -> String {
        let cluster = self.cluster.iter().map(|cluster| &cluster.verdict);
        let verdicts = cluster.chain(self.registries.iter().map(|registry| &registry.verdict));
        let verdicts = verdicts.chain(self.catalogs.iter().map(|catalog| &catalog.verdict));
        let verdicts: Vec<_> = verdicts.chain(self.repositories.iter().map(|repository| &repository.verdict)).collect();
        let count = |outcome| verdicts.iter().filter(|verdict| verdict.outcome == outcome).count();
        let skipped = match count(Outcome::Skipped) {
            0 => String::new(),
            skipped => format!(", {skipped} skipped"),
        };
        format!("{} ok, {} failed{skipped}", count(Outcome::Ok), count(Outcome::Failed))
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
