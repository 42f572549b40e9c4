//! An engine to test with, and the shortest way to a rule and an import.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regferry::content::Location;
use regferry::events::{ImageOutcome, ImageReport, Observer, Retry, RuleReport};
use regferry::oci::{Digest, Host, Manifest, Reference};
use regferry::registry::{Credentials, DockerConfigFiles, Password, Registries, Settings, Tls};
use regferry::transfer::{Engine, Import, Limits, Mode, Referrers, Rule, Scope, Source, TagFilter, Target};
use testkit::content::Document;
use testkit::{Front, Image};
use tokio_util::sync::CancellationToken;

pub(crate) fn engine() -> Arc<Engine> {
    engine_with(HashMap::new(), Arc::new(()))
}

pub(crate) fn engine_with(settings: HashMap<Host, Settings>, observer: Arc<dyn Observer>) -> Arc<Engine> {
    let registries = Registries::new(settings, DockerConfigFiles::default(), Arc::clone(&observer));
    Arc::new(Engine::new(registries, Limits::default(), observer))
}

/// An engine that knows a Docker config.
pub(crate) fn engine_with_docker_config(file: &Path) -> Arc<Engine> {
    let files = DockerConfigFiles::new(vec![file.to_owned()]);
    Arc::new(Engine::new(Registries::new(HashMap::new(), files, Arc::new(())), Limits::default(), Arc::new(())))
}

/// Registries without an engine around them.
pub(crate) fn registries() -> Registries {
    Registries::new(HashMap::new(), DockerConfigFiles::default(), Arc::new(()))
}

/// What a document of the kit is to the client.
pub(crate) fn manifest(document: &Document) -> Manifest {
    Manifest::parse(document.bytes.clone(), Some(&document.media_type), None).unwrap()
}

pub(crate) fn digest(of: &Image) -> Digest {
    of.digest().parse().unwrap()
}

pub(crate) fn host(text: &str) -> Host {
    text.parse().unwrap()
}

/// Settings with a login.
pub(crate) fn login(registry: &str, username: &str, password: &str) -> (Host, Settings) {
    let host = host(registry);
    let credentials = Credentials::User { username: username.to_owned(), password: Password::Literal(password.into()) };
    let settings = Settings { credentials: Some(credentials), ..Settings::for_host(&host) };
    (host, settings)
}

/// HTTPS settings that trust the front's authority.
pub(crate) fn https(front: &Front) -> (Host, Settings) {
    let host = host(front.host());
    let settings =
        Settings { tls: Tls::Https, ca_files: vec![front.ca_file().to_owned()], ..Settings::for_host(&host) };
    (host, settings)
}

pub(crate) fn location(host: &str, repository: &str) -> Location {
    Location { host: host.parse().unwrap(), repository: repository.parse().unwrap() }
}

/// A rule over the tags that `include` takes.
pub(crate) fn rule(name: &str, source: Location, target: Location, include: &[&str]) -> Arc<Rule> {
    rule_of(name, vec![Source::Repository(source)], vec![to(target)], include)
}

/// A rule for one image, by its tag.
pub(crate) fn rule_for_image(name: &str, source: &str, target: Location, timeout: Option<Duration>) -> Arc<Rule> {
    let rule = rule_of(name, vec![Source::Image(reference(source))], vec![to(target)], &[]);
    Arc::new(Rule { timeout, ..(*rule).clone() })
}

pub(crate) fn rule_of(name: &str, sources: Vec<Source>, targets: Vec<Target>, include: &[&str]) -> Arc<Rule> {
    let include = include.iter().map(|pattern| pattern.parse().unwrap()).collect();
    let scope = Scope { sources, targets, tags: TagFilter { include, ..TagFilter::default() } };
    Arc::new(Rule {
        name: name.into(),
        scope: Arc::new(scope),
        platforms: None,
        referrers: Referrers::None,
        overwrite: true,
        prune: None,
        timeout: None,
    })
}

pub(crate) fn to(location: Location) -> Target {
    Target::Repository { location, tag: None }
}

pub(crate) async fn run(engine: &Arc<Engine>, rule: &Arc<Rule>) -> RuleReport {
    engine.run(rule, Mode::Execute, &CancellationToken::new()).await
}

/// Copies one image; the report of its one target.
pub(crate) async fn copy(engine: &Arc<Engine>, source: &str, target: &str) -> ImageReport {
    let import = Import { force: true, ..Import::new(reference(source), vec![reference(target)]) };
    match engine.import(&import, &CancellationToken::new()).await {
        Ok(mut imported) => imported.images.remove(0),
        Err(error) => {
            ImageReport { error: Some(error.to_string()), ..ImageReport::new(import.source, reference(target)) }
        }
    }
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// The outcomes of a run's images, failures with their reasons.
pub(crate) fn failures(report: &RuleReport) -> Vec<String> {
    report
        .images
        .iter()
        .filter(|image| image.outcome == ImageOutcome::Failed)
        .map(|image| image.error.clone().unwrap())
        .collect()
}

/// Remembers why things were tried again.
#[derive(Default)]
pub(crate) struct Retries(Mutex<Vec<(String, Duration)>>);

impl Retries {
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(reason, _)| reason.clone()).collect()
    }

    pub(crate) fn longest_pause(&self) -> Duration {
        self.0.lock().unwrap().iter().map(|(_, pause)| *pause).max().unwrap_or_default()
    }
}

impl Observer for Retries {
    fn retry(&self, retry: &Retry<'_>) {
        self.0.lock().unwrap().push((retry.reason.as_str().to_owned(), retry.pause));
    }
}
