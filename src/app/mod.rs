//! The composition root: from a configuration to something that runs, until it is told to stop.

mod daemon;
mod hands;
mod imports;
mod keys;
mod member;
mod operations;
mod ordered;
mod pushes;
mod reload;
mod runs;
mod systemd;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ScheduledRule, Service};
use crate::events::{Observer, Observers, RuleReport, SyncReport, WebhookKind};
use crate::history::History;
use crate::queue::{self, Cluster};
use crate::registry::{Allotments, CertificateFolders, DockerConfigFiles, Registries};
use crate::telemetry::notify::Channel;
use crate::telemetry::{Metrics, Notifier, Status};
use crate::transfer::{Engine, Mode};

pub use member::Duty;
pub use reload::Source;

/// Everything built, nothing running.
pub struct App {
    engine: Arc<Engine>,
    rules: Vec<ScheduledRule>,
    observer: Arc<dyn Observer>,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    notifier: Arc<Notifier>,
    service: Service,
    webhooks: BTreeMap<WebhookKind, PathBuf>,
    notifications: Vec<Arc<Channel>>,
    cluster: Option<queue::Settings>,
    allotments: Option<Arc<Allotments>>,
    history: Arc<History>,
}

impl App {
    /// Builds the engine with its listeners: metrics, status, notifications, and `listeners` (the log, a progress bar).
    ///
    /// # Errors
    /// If the metrics cannot be registered.
    pub fn build(
        config: Config,
        docker_config: DockerConfigFiles,
        certificates: CertificateFolders,
        listeners: Vec<Arc<dyn Observer>>,
    ) -> prometheus::Result<Self> {
        Self::built(config, docker_config, certificates, listeners, None)
    }

    /// The same for a process that works for the configuration's cluster, if there is one: it talks to no registry whose
    /// limits are shared before it has a part of them.
    ///
    /// # Errors
    /// As [`App::build`].
    pub fn build_member(
        config: Config,
        docker_config: DockerConfigFiles,
        certificates: CertificateFolders,
        listeners: Vec<Arc<dyn Observer>>,
    ) -> prometheus::Result<Self> {
        let allotments = config.cluster.is_some().then(Arc::default);
        Self::built(config, docker_config, certificates, listeners, allotments)
    }

    fn built(
        config: Config,
        docker_config: DockerConfigFiles,
        certificates: CertificateFolders,
        listeners: Vec<Arc<dyn Observer>>,
        allotments: Option<Arc<Allotments>>,
    ) -> prometheus::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let status = Arc::new(Status::new(env!("CARGO_PKG_VERSION"), Timestamp::now()));
        let notifier = Arc::new(Notifier::new(Arc::clone(&metrics)));
        let own: [Arc<dyn Observer>; 3] =
            [Arc::clone(&metrics) as _, Arc::clone(&status) as _, Arc::clone(&notifier) as _];
        let observer: Arc<dyn Observer> = Observers::new(own.into_iter().chain(listeners).collect());
        observer.rules(&config.rules.iter().map(|scheduled| &*scheduled.rule.name).collect::<Vec<_>>());
        let registries =
            Registries::new(config.registries, docker_config, Arc::clone(&observer)).with_certificates(certificates);
        let registries = match &allotments {
            Some(allotments) => registries.with_allotments(Arc::clone(allotments)),
            None => registries,
        };
        Ok(Self {
            engine: Arc::new(Engine::new(registries, config.limits, Arc::clone(&observer))),
            rules: config.rules,
            observer,
            metrics,
            status,
            notifier,
            service: config.service,
            webhooks: config.webhooks,
            notifications: config.notifications,
            cluster: config.cluster,
            allotments,
            history: Arc::default(),
        })
    }

    /// Goes on with what earlier processes have left in the configuration's `state_dir`, if it names one, and leaves there
    /// what later ones may go on with.
    pub async fn remember(&mut self) {
        let Some(folder) = self.service.state_dir.clone() else { return };
        let (status, metrics) = (Arc::clone(&self.status), Arc::clone(&self.metrics));
        let (recollection, is_one_of_many) = (self.engine.recollection(), self.cluster.is_some());
        let opened = tokio::task::spawn_blocking(move || {
            History::open(&folder, &status, &metrics, recollection, is_one_of_many)
        });
        self.history = Arc::new(opened.await.unwrap_or_default());
    }

    /// Writes down what is to be remembered, at the end.
    pub async fn write_down(&self) {
        self.history.write().await;
    }

    /// The engine, for commands that work without rules.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What was counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How long work under way may go on after a stop was asked for.
    pub fn shutdown_grace(&self) -> Duration {
        self.service.shutdown_grace
    }

    /// The cluster that the configuration names, connected; none if it names none.
    ///
    /// # Errors
    /// What NATS refuses and why, and what to do about it.
    pub async fn cluster(&self) -> Result<Option<Arc<Cluster>>, queue::Error> {
        match &self.cluster {
            Some(settings) => Cluster::connect(settings.clone()).await.map(|cluster| Some(Arc::new(cluster))),
            None => Ok(None),
        }
    }

    /// Runs the rules that `chosen` takes once, all side by side, and reports them in the configuration's order.
    pub async fn sync(&self, chosen: impl Fn(&str) -> bool, mode: Mode, cancel: &CancellationToken) -> SyncReport {
        let clock = Instant::now();
        // Held over all rules: a layer that ten of them share is fetched once.
        let knowledge = (self.engine.knowledge(), self.engine.planned_knowledge());
        let pass = self.engine.begin_pass();
        let chosen = self.rules.iter().filter(|scheduled| chosen(&scheduled.rule.name));
        if mode.changes() {
            self.history.begin().await;
        }
        let run = |scheduled: &'_ ScheduledRule| {
            // What the process before saw at the targets need not be asked for again, as in a daemon.
            let mode = match mode {
                Mode::Execute if self.history.is_kept() && self.cluster.is_none() => scheduled.mode(false),
                mode => mode,
            };
            run(Arc::clone(&self.engine), scheduled.clone(), mode, cancel.clone())
        };
        let reports = join_all(chosen.map(run)).await;
        if mode.changes() {
            self.history.end();
        }
        drop((knowledge, pass));
        SyncReport::new(reports, clock.elapsed())
    }
}

/// Runs a rule. One that is followed believes what an earlier process saw at its targets until it is due to be looked at
/// again.
async fn run(engine: Arc<Engine>, scheduled: ScheduledRule, mode: Mode, cancel: CancellationToken) -> RuleReport {
    match (mode, scheduled.timing.recheck) {
        (Mode::Follow, Some(recheck)) => engine.follow(&scheduled.rule, recheck, &cancel).await,
        _ => engine.run(&scheduled.rule, mode, &cancel).await,
    }
}
