//! The daemon: every rule on its schedule, until it is told to stop.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::App;
use super::imports::{Importing, Imports};
use super::member::{Duty, Member};
use super::operations::{Ask, Operator};
use super::pushes::Pushes;
use super::reload::{Loaded, Source};
use super::runs::Runs;
use super::systemd::{self, Watchdog};
use crate::config::{ApiRead, ScheduledRule, Service};
use crate::events::{Observer, RuleReport, RunOutcome, WebhookKind};
use crate::files::Stamps;
use crate::history::History;
use crate::queue::{self, Cluster, RunNews, RunState};
use crate::schedule::{Due, Now, Planned, Timetable};
use crate::server::{self, Access, Reading, Refusal, SyncAccepted, Webhooks};
use crate::telemetry::{Metrics, Notifier, Status};
use crate::transfer::{Engine, Scope};

/// What requests to the daemon itself may take after the last run has ended, if the grace lets them.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What messages that wait may take then, if the grace lets them.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// How often it is found out in a cluster when rules are due next.
const SHOWN_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// The daemon: runs every rule on its schedule and shows metrics and health on `listener`, until `cancel`; then
    /// lets runs end within the grace. The configuration was read from `source` when its file was as `made_of` says, and is
    /// read again when it is asked to, or has changed. As a `member` of a cluster it shares the work with others.
    pub async fn serve(
        self,
        listener: Option<TcpListener>,
        (source, made_of): (Source, Stamps),
        member: Option<(Arc<Cluster>, Duty)>,
        cancel: &CancellationToken,
    ) {
        let ready = Arc::new(AtomicBool::new(true));
        let stop_serving = CancellationToken::new();
        let imports = Arc::new(Imports::new(Arc::clone(&self.status)));
        let pushes = Arc::<Pushes>::default();
        let (operator, asks) = Operator::new(Arc::clone(&imports), Arc::clone(&pushes));
        let service = server::Service {
            metrics: Arc::clone(&self.metrics),
            status: Arc::clone(&self.status),
            ready: Arc::clone(&ready),
            access: Arc::default(),
            webhooks: Arc::default(),
            operations: Arc::new(operator),
            cluster: member.as_ref().map(|(cluster, _)| Arc::clone(cluster)),
        };
        let asked = Asked {
            asks,
            importing: Importing::new(imports, Arc::clone(&self.history)),
            access: Arc::clone(&service.access),
            webhooks: Arc::clone(&service.webhooks),
            pushes,
        };
        let serving = serve(listener, service, stop_serving.clone());
        let working = async {
            let mut daemon = Daemon::new(self, source, made_of, member, asked);
            daemon.until(cancel).await;
            ready.store(false, Ordering::Relaxed);
            let end = daemon.stop().await;
            stop_serving.cancel();
            end.min(Instant::now() + LAST_ANSWERS)
        };
        tokio::pin!(serving);
        tokio::select! {
            // It ends when it is told to, by the work's end.
            () = &mut serving => {}
            // A client that does not finish its request does not hold the daemon.
            end = working => drop(tokio::time::timeout_at(end, serving).await),
        }
    }
}

async fn serve(listener: Option<TcpListener>, service: server::Service, stop: CancellationToken) {
    match listener {
        Some(listener) => server::serve(listener, service, stop.cancelled()).await,
        None => stop.cancelled().await,
    }
}

/// What comes over HTTP.
struct Asked {
    asks: mpsc::Receiver<Ask>,
    importing: Importing,
    access: Arc<Access>,
    webhooks: Arc<Webhooks>,
    pushes: Arc<Pushes>,
}

/// What runs, and what it runs by.
struct Daemon {
    engine: Arc<Engine>,
    /// In the configuration's order.
    rules: Vec<ScheduledRule>,
    timetable: Timetable,
    runs: Runs,
    observer: Arc<dyn Observer>,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    notifier: Arc<Notifier>,
    service: Service,
    history: Arc<History>,
    asked: Asked,
    cluster: Option<queue::Settings>,
    /// In a cluster it does the work, and the timetable and the runs here are empty.
    member: Option<Member>,
    drained: BoxFuture<'static, ()>,
    reloads: mpsc::Receiver<Result<Loaded, String>>,
    watchdog: Watchdog,
    _watching: AbortOnDropHandle<()>,
    _keeping: AbortOnDropHandle<()>,
}

impl Daemon {
    fn new(app: App, source: Source, made_of: Stamps, member: Option<(Arc<Cluster>, Duty)>, asked: Asked) -> Self {
        let (sender, reloads) = mpsc::channel(1);
        app.status.configured(&source.file, Timestamp::now());
        let watching = Arc::new(source).watch(made_of, Arc::clone(&app.engine), sender);
        let duty = member.as_ref().map(|(_, duty)| *duty);
        let member = member.map(|(cluster, duty)| Member::new(cluster, &app, duty));
        let drained = match &member {
            Some(member) if duty == Some(Duty::Drain) => member.drained().boxed(),
            _ => std::future::pending().boxed(),
        };
        let mut daemon = Self {
            engine: app.engine,
            rules: Vec::new(),
            timetable: Timetable::new(RandomState::new().hash_one(()), now()),
            runs: Runs::default(),
            observer: app.observer,
            metrics: app.metrics,
            status: app.status,
            notifier: app.notifier,
            service: app.service,
            asked,
            _keeping: AbortOnDropHandle::new(tokio::spawn(Arc::clone(&app.history).keep())),
            history: app.history,
            cluster: app.cluster,
            member,
            drained,
            reloads,
            watchdog: Watchdog::of_the_environment(),
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        };
        daemon.set_access(&app.webhooks);
        daemon.notifier.follow(&app.notifications);
        daemon.follow(app.rules);
        daemon
    }

    async fn until(&mut self, cancel: &CancellationToken) {
        systemd::ready(self.rules.len());
        loop {
            let now = now();
            for due in self.timetable.start_due(now) {
                self.start(due);
            }
            let tick = |wait| now.wall.checked_add(wait).ok();
            match &self.member {
                Some(member) => {
                    self.status.ticks(member.next_ticks().iter().map(|(rule, at)| (&**rule, *at)));
                }
                None => self.status.ticks(self.timetable.waits().map(|(rule, wait)| (&**rule, tick(wait)))),
            }
            let look = self.next_look();
            tokio::select! {
                () = cancel.cancelled() => return,
                () = &mut self.drained => return,
                (rule, ended) = self.runs.next_end() => self.ended(&rule, ended),
                news = heard(&mut self.member) => self.heard(&news),
                Some(loaded) = self.reloads.recv() => self.reload(loaded),
                Some(ask) = self.asked.asks.recv() => self.asked_for(ask),
                rule = self.asked.pushes.next() => self.pushed(&rule),
                () = self.asked.importing.step(&self.engine) => {}
                () = self.watchdog.feed() => {}
                () = sleep_until(look) => {}
            }
        }
    }

    fn next_look(&self) -> Option<std::time::Instant> {
        match &self.member {
            // Whoever asks is told when rules are due next.
            Some(_) => Some(std::time::Instant::now() + SHOWN_EVERY),
            None => self.timetable.next_look(),
        }
    }

    /// What becomes of another replica's run is shown here too.
    fn heard(&self, news: &RunNews) {
        match &news.state {
            RunState::Began => self.status.began_elsewhere(&news.order.rule),
            RunState::Ended { report, totals } => {
                self.status.ended_elsewhere(report, totals);
                self.notifier.ended_elsewhere(report);
                if report.outcome == RunOutcome::Success {
                    self.metrics.succeeded_elsewhere(&report.name, report.started + report.elapsed);
                }
            }
        }
    }

    fn start(&mut self, due: Due) {
        if let Some(scheduled) = self.rules.iter().find(|scheduled| scheduled.rule.name == due.rule) {
            let mode = scheduled.mode(due.recheck);
            let (engine, scheduled, history) = (Arc::clone(&self.engine), scheduled.clone(), Arc::clone(&self.history));
            self.status.starts(&due.rule);
            self.runs.start(&due.rule, |cancel| async move {
                history.begin().await;
                let report = super::run(engine, scheduled, mode, cancel).await;
                history.end();
                report
            });
        }
    }

    /// Starts a rule that is asked for, or lets it run once more after the run that is under way.
    fn asked_for(&mut self, Ask { rule, answer }: Ask) {
        let is_ours = self.rules.iter().any(|scheduled| *scheduled.rule.name == *rule);
        let id = self.status.promise_run(&rule).filter(|_| is_ours);
        if let (Some(member), Some(id)) = (&mut self.member, &id) {
            let folded = self.status.is_running(&rule);
            return member.ask(SyncAccepted { id: id.clone(), rule, folded }, answer);
        }
        let accepted = id.ok_or(Refusal::UnknownRule).map(|id| {
            let due = self.timetable.ask(&rule, now());
            let folded = due.is_none();
            if let Some(due) = due {
                self.start(due);
            }
            SyncAccepted { id, rule, folded }
        });
        // Who asked may be gone; the rule runs all the same.
        drop(answer.send(accepted));
    }

    /// Has a rule run whose source has something new, as if somebody had asked for it.
    fn pushed(&mut self, rule: &str) {
        tracing::debug!(rule, "runs since its source was pushed to");
        self.asked_for(Ask { rule: rule.to_owned(), answer: oneshot::channel().0 });
    }

    fn ended(&mut self, rule: &Arc<str>, ended: Result<RuleReport, JoinError>) {
        let report = ended.unwrap_or_else(|fault| self.broken_off(rule, &fault));
        if !self.rules.iter().any(|scheduled| scheduled.rule.name == *rule) {
            self.engine.forget_rule(rule);
            self.tell_rules();
        }
        if let Some(due) = self.timetable.ended(rule, report.has_looked(), now()) {
            self.start(due);
        }
    }

    /// Tells of a run that did not end by itself.
    fn broken_off(&self, rule: &Arc<str>, fault: &JoinError) -> RuleReport {
        let mut report = RuleReport::begun(rule, SystemTime::now());
        report.outcome = RunOutcome::Failure;
        report.error = Some(format!("a fault in regferry itself: {fault}; please report it"));
        self.observer.run_ended(&report);
        report
    }

    /// Takes over a configuration that was read again, or says why the old one stays.
    fn reload(&mut self, loaded: Result<Loaded, String>) {
        systemd::reloading();
        self.metrics.reloaded(loaded.is_ok());
        self.status.reloaded(loaded.as_ref().map(drop).map_err(Clone::clone), Timestamp::now());
        match loaded {
            Ok(loaded) => {
                self.take_over(loaded);
                systemd::ready(self.rules.len());
            }
            Err(error) => {
                tracing::error!(error, "the new configuration is refused, and the one before it goes on");
                systemd::refused();
            }
        }
    }

    fn take_over(&mut self, Loaded { engine, rules, service, webhooks, notifications, cluster }: Loaded) {
        if service.listen != self.service.listen {
            tracing::warn!("[service] listen has changed: it takes effect when regferry is started again");
        }
        if service.state_dir != self.service.state_dir {
            tracing::warn!("[service] state_dir has changed: it takes effect when regferry is started again");
        }
        if cluster != self.cluster {
            tracing::warn!("[cluster] has changed: it takes effect when regferry is started again");
        }
        self.engine = engine;
        let state_dir = self.service.state_dir.take();
        self.service = Service { listen: self.service.listen, state_dir, ..service };
        self.set_access(&webhooks);
        self.notifier.follow(&notifications);
        let Changes { added, changed, removed } = self.follow(rules);
        tracing::info!(rules = self.rules.len(), added, changed, removed, "configuration reloaded");
    }

    fn set_access(&self, webhooks: &BTreeMap<WebhookKind, PathBuf>) {
        let reading = match self.service.api_read {
            ApiRead::Open => Reading::Open,
            ApiRead::Token => Reading::ByToken,
        };
        self.asked.access.set(self.service.api_token_file.clone(), reading);
        self.asked.webhooks.set(webhooks);
        self.metrics.webhooks_are(webhooks.keys().copied());
    }

    /// Runs these rules from now on. Runs of rules that are gone or do something else now are stopped.
    fn follow(&mut self, rules: Vec<ScheduledRule>) -> Changes {
        let now = now();
        let before: HashMap<Arc<str>, ScheduledRule> =
            self.rules.drain(..).map(|scheduled| (Arc::clone(&scheduled.rule.name), scheduled)).collect();
        let is_changed = |scheduled: &ScheduledRule| {
            before.get(&scheduled.rule.name).is_some_and(|before| before.rule != scheduled.rule)
        };
        if let Some(member) = &self.member {
            member.follow(&self.engine, &rules);
        }
        let own = if self.member.is_some() { &[] } else { &rules[..] };
        let planned = own.iter().map(|scheduled| Planned {
            rule: &scheduled.rule.name,
            timing: &scheduled.timing,
            is_changed: is_changed(scheduled),
        });
        self.timetable.follow(planned, now);
        let changed: Vec<&ScheduledRule> = rules.iter().filter(|scheduled| is_changed(scheduled)).collect();
        let kept = rules.iter().filter(|scheduled| before.contains_key(&scheduled.rule.name)).count();
        let changes = Changes { added: rules.len() - kept, changed: changed.len(), removed: before.len() - kept };
        changed.iter().for_each(|scheduled| self.runs.stop(&scheduled.rule.name));
        for gone in before.keys().filter(|name| !rules.iter().any(|scheduled| scheduled.rule.name == **name)) {
            self.runs.stop(gone);
            self.engine.forget_rule(gone);
        }
        self.asked.pushes.follow(&rules);
        self.rules = rules;
        self.tell_rules();
        for scheduled in &self.rules {
            self.metrics.set_interval(&scheduled.rule.name, scheduled.timing.longest_wait(now.wall));
            let Scope { sources, targets, .. } = &*scheduled.rule.scope;
            let (sources, targets) =
                (sources.iter().map(ToString::to_string).collect(), targets.iter().map(ToString::to_string).collect());
            self.status.between(&scheduled.rule.name, sources, targets);
        }
        let named = self.rules.iter().flat_map(|of| of.rule.scope.registries());
        self.status.registries_are(self.engine.registries().limits_of(named));
        changes
    }

    /// Tells listeners which rules there are, and those that are gone until their runs have ended. What registries have
    /// announced that no rule names any more is taken back, also what such a run heard last.
    fn tell_rules(&self) {
        let mut names: Vec<&str> = self.rules.iter().map(|scheduled| &*scheduled.rule.name).collect();
        let leaving: Vec<&str> = self.runs.rules().map(|rule| &**rule).filter(|rule| !names.contains(rule)).collect();
        names.extend(leaving);
        self.observer.rules(&names);
        self.metrics.keep_registries(|registry| self.rules.iter().any(|of| of.rule.scope.names(registry)));
    }

    /// Stops the runs, and drops those that have not ended by the end of the grace. Returns when that is.
    async fn stop(&mut self) -> Instant {
        systemd::stopping(self.service.shutdown_grace);
        let end = Instant::now() + self.service.shutdown_grace;
        self.runs.stop_all();
        self.asked.importing.stop();
        self.asked.asks.close();
        if let Some(member) = &mut self.member {
            tokio::select! {
                () = member.stop(end) => {}
                () = self.watchdog.feed() => {}
            }
        }
        while self.is_at_work() {
            tokio::select! {
                (rule, ended) = self.runs.next_end() => drop(ended.map_err(|fault| self.broken_off(&rule, &fault))),
                () = self.asked.importing.step(&self.engine) => {}
                () = self.watchdog.feed() => {}
                () = tokio::time::sleep_until(end) => break,
            }
        }
        for rule in self.runs.rules() {
            tracing::warn!(rule = &**rule, "the grace ended before the run did: it is dropped where it is");
        }
        for import in self.asked.importing.under_way() {
            tracing::warn!(import = &**import, "the grace ended before the import did: it is dropped where it is");
        }
        self.runs.abort().await;
        self.asked.importing.abort().await;
        self.history.write().await;
        self.notifier.finish(end.min(Instant::now() + LAST_MESSAGES)).await;
        end
    }

    fn is_at_work(&self) -> bool {
        self.runs.rules().next().is_some() || self.asked.importing.under_way().next().is_some()
    }
}

async fn heard(member: &mut Option<Member>) -> RunNews {
    match member {
        Some(member) => member.news().await,
        None => std::future::pending().await,
    }
}

/// How many rules are others than before.
struct Changes {
    added: usize,
    changed: usize,
    removed: usize,
}

fn now() -> Now {
    Now { monotonic: Instant::now().into_std(), wall: Timestamp::now() }
}

/// Never ends without a time.
pub(super) async fn sleep_until(look: Option<std::time::Instant>) {
    match look {
        Some(look) => tokio::time::sleep_until(look.into()).await,
        None => std::future::pending().await,
    }
}
