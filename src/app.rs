//! The composition root: from a configuration to something that runs, until it is told to stop.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ScheduledRule};
use crate::events::{Observer, Observers, RuleReport, SyncReport};
use crate::registry::{CertificateFolders, DockerConfigFiles, Registries};
use crate::schedule::{Due, Now, Timetable};
use crate::server;
use crate::telemetry::Metrics;
use crate::transfer::{Engine, Mode};

/// What requests to the daemon itself may take after the last run has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Everything built, nothing running.
pub struct App {
    engine: Arc<Engine>,
    rules: Vec<ScheduledRule>,
    metrics: Arc<Metrics>,
    shutdown_grace: Duration,
}

impl App {
    /// Builds the engine with its listeners: metrics, and `listeners` (the log, a progress bar).
    ///
    /// # Errors
    /// If the metrics cannot be registered.
    pub fn build(
        config: Config,
        docker_config: DockerConfigFiles,
        certificates: CertificateFolders,
        listeners: Vec<Arc<dyn Observer>>,
    ) -> prometheus::Result<Self> {
        let metrics = Arc::new(Metrics::new(config.rules.iter().map(|scheduled| &*scheduled.rule.name))?);
        let counting: Arc<dyn Observer> = Arc::clone(&metrics) as _;
        let observer = Observers::new([counting].into_iter().chain(listeners).collect());
        let registries = Registries::new(config.registries, docker_config, Arc::clone(&observer) as _)
            .with_certificates(certificates);
        Ok(Self {
            engine: Arc::new(Engine::new(registries, config.limits, observer)),
            rules: config.rules,
            metrics,
            shutdown_grace: config.service.shutdown_grace,
        })
    }

    /// The engine, for commands that work without rules.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How long work under way may go on after a stop was asked for.
    pub fn shutdown_grace(&self) -> Duration {
        self.shutdown_grace
    }

    /// Runs the rules that `chosen` takes once, all side by side, and reports them in the configuration's order.
    pub async fn sync(&self, chosen: impl Fn(&str) -> bool, mode: Mode, cancel: &CancellationToken) -> SyncReport {
        let clock = Instant::now();
        // Held over all rules: a layer that ten of them share is fetched once.
        let knowledge = (self.engine.knowledge(), self.engine.planned_knowledge());
        let pass = self.engine.begin_pass();
        let chosen = self.rules.iter().filter(|scheduled| chosen(&scheduled.rule.name));
        let reports = join_all(chosen.map(|scheduled| self.engine.run(&scheduled.rule, mode, cancel))).await;
        drop((knowledge, pass));
        SyncReport::new(reports, clock.elapsed())
    }

    /// The daemon: runs every rule on its schedule and shows metrics and health on `listener`, until `cancel`; then
    /// lets runs end within the grace.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(&self, listener: Option<TcpListener>, cancel: &CancellationToken) -> io::Result<()> {
        let ready = Arc::new(AtomicBool::new(true));
        let stop_serving = CancellationToken::new();
        let serving = async {
            match listener {
                Some(listener) => {
                    let service = server::Service { metrics: Arc::clone(&self.metrics), ready: Arc::clone(&ready) };
                    server::serve(listener, service, stop_serving.clone().cancelled_owned()).await
                }
                None => {
                    stop_serving.cancelled().await;
                    Ok(())
                }
            }
        };
        let working = async {
            let mut runs = Runs::new(self);
            runs.until(cancel).await;
            ready.store(false, Ordering::Relaxed);
            runs.drain(self.shutdown_grace).await;
            stop_serving.cancel();
        };
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => served,
            // A client that does not finish its request does not hold the daemon.
            () = working => tokio::time::timeout(LAST_ANSWERS, serving).await.unwrap_or(Ok(())),
        }
    }
}

/// The daemon's runs: which are due, and which are under way.
struct Runs<'a> {
    app: &'a App,
    timetable: Timetable,
    under_way: JoinSet<RuleReport>,
    rules: HashMap<task::Id, usize>,
    cancel: CancellationToken,
}

impl<'a> Runs<'a> {
    fn new(app: &'a App) -> Self {
        let rules = app.rules.iter().map(|scheduled| (&*scheduled.rule.name, &scheduled.timing));
        Self {
            app,
            timetable: Timetable::new(rules, RandomState::new().hash_one(()), now()),
            under_way: JoinSet::new(),
            rules: HashMap::new(),
            cancel: CancellationToken::new(),
        }
    }

    async fn until(&mut self, cancel: &CancellationToken) {
        loop {
            for due in self.timetable.start_due(now()) {
                self.start(due);
            }
            let look = self.timetable.next_look();
            tokio::select! {
                () = cancel.cancelled() => return,
                Some(ended) = self.under_way.join_next_with_id() => self.ended(ended),
                () = sleep_until(look) => {}
            }
        }
    }

    fn start(&mut self, due: Due) {
        let engine = Arc::clone(&self.app.engine);
        let (scheduled, cancel) = (Arc::clone(&self.app.rules[due.rule].rule), self.cancel.clone());
        let mode = if due.recheck { Mode::Repair } else { Mode::Execute };
        let handle = self.under_way.spawn(async move { engine.run(&scheduled, mode, &cancel).await });
        self.rules.insert(handle.id(), due.rule);
    }

    fn ended(&mut self, ended: Result<(task::Id, RuleReport), task::JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => {
                tracing::error!("a fault in regferry itself: {error}");
                error.id()
            }
        };
        if let Some(rule) = self.rules.remove(&id)
            && let Some(due) = self.timetable.ended(rule, now())
        {
            self.start(due);
        }
    }

    /// Stops what is under way: commits are let through, the rest ends; what has not ended by then is dropped.
    async fn drain(&mut self, grace: Duration) {
        self.cancel.cancel();
        let ending = async { while self.under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ending).await.is_err() {
            tracing::warn!(grace = ?grace, "the grace ended before all runs did: the rest is dropped");
            self.under_way.shutdown().await;
        }
    }
}

fn now() -> Now {
    Now { monotonic: tokio::time::Instant::now().into_std(), wall: Timestamp::now() }
}

async fn sleep_until(look: Option<Instant>) {
    match look {
        Some(look) => tokio::time::sleep_until(look.into()).await,
        None => std::future::pending().await,
    }
}
