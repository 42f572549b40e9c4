//! What the daemon does now, and what became of it: kept within bounds, for whoever asks or follows.

mod elsewhere;
mod feed;
mod images;
mod past;
mod registries;
mod rules;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::json;

use crate::events::{
    ClusterNews, Direction, ImageOutcome, ImageReport, Observer, Queue, Request, Retry, RuleReport, ThrottleReason,
};
use crate::oci::Host;
use crate::registry::Limits;

pub use feed::{Event, Feed, News};
pub use images::Choice;
pub use past::{Changed, Past};
pub use snapshot::{
    ClusterState, Condition, Configuration, Fault, Health, Image, ImageCounts, ImagePage, Progress, PullsLeft,
    Registry, RegistryLimits, Reload, Rule, RuleDetail, Run, Snapshot, State, Traffic,
};

use registries::Registries;
use rules::Rules;

/// The longest error that is shown, in characters; the log has the whole.
const LONGEST_ERROR: usize = 1000;

/// Keeps what [`Snapshot`] and its neighbours show. Rules are those that [`Observer::rules`] last told of.
///
/// Runs, images, registries and events are kept from [`Status::configured`] or [`Status::watch`] on: nobody looks at those
/// of a program that does one thing and ends.
#[derive(Debug)]
pub struct Status {
    version: &'static str,
    /// How the ids of this process begin: replicas that begin within one second have others.
    origin: String,
    started: Timestamp,
    is_looked_at: AtomicBool,
    known: Mutex<Known>,
    registries: Mutex<Registries>,
    feed: Feed,
    moved: Moved,
}

#[derive(Debug, Default)]
struct Known {
    config: Configuration,
    cluster: Option<ClusterState>,
    rules: Rules,
}

/// Told for every piece of a blob: so without a lock.
#[derive(Debug, Default)]
struct Moved {
    read: AtomicU64,
    written: AtomicU64,
    transfers: AtomicU64,
}

impl Status {
    /// The state of a program that began at `started`, and knows no rules yet.
    pub fn new(version: &'static str, started: Timestamp) -> Self {
        Self {
            version,
            origin: origin(started),
            started: to_the_second(started),
            is_looked_at: AtomicBool::new(false),
            known: Mutex::default(),
            registries: Mutex::default(),
            feed: Feed::default(),
            moved: Moved::default(),
        }
    }

    /// This is a daemon, which works by a file that was read at `at`.
    pub fn configured(&self, file: &Path, at: Timestamp) {
        self.is_looked_at.store(true, Ordering::Relaxed);
        let config = &mut self.known().config;
        config.file = Some(file.display().to_string());
        config.loaded = Some(to_the_second(at));
    }

    /// The file was read again, and holds now, or is wrong as the text says.
    pub fn reloaded(&self, result: Result<(), String>, at: Timestamp) {
        let at = to_the_second(at);
        let reload = Reload { at, successful: result.is_ok(), error: result.err() };
        self.feed.tell("reload", &reload);
        let config = &mut self.known().config;
        if reload.successful {
            config.loaded = Some(at);
        }
        config.last_reload = Some(reload);
    }

    /// Where a rule's images come from, and where they go.
    pub fn between(&self, rule: &str, sources: Vec<String>, targets: Vec<String>) {
        self.known().rules.change(rule, |rule| (rule.sources, rule.targets) = (sources, targets));
    }

    /// The registries that rules and settings name, with what each may be asked.
    pub fn registries_are(&self, registries: impl IntoIterator<Item = (Host, Limits)>) {
        self.registries_known().follow(registries);
    }

    /// When rules are due next, in the order of the configuration; `None` if a schedule ends.
    pub fn ticks<'r>(&self, next: impl IntoIterator<Item = (&'r str, Option<Timestamp>)>) {
        let mut known = self.known();
        let mut next = next.into_iter().peekable();
        for rule in known.rules.iter_mut() {
            if let Some((_, at)) = next.next_if(|(name, _)| *name == rule.name) {
                rule.next = at.map(to_the_second);
            }
        }
    }

    /// A run of a rule is started, and will soon say that it has begun.
    pub fn starts(&self, rule: &str) {
        self.known().rules.start(rule);
    }

    /// The id of the next run that is started of a rule, whoever asks for it; `None` if there is no such rule.
    pub fn promise_run(&self, rule: &str) -> Option<String> {
        let number = self.known().rules.promise(rule)?;
        Some(self.id(number))
    }

    /// Whether a run of a rule is under way.
    pub fn is_running(&self, rule: &str) -> bool {
        self.known().rules.is_running(rule)
    }

    /// The state now. Whether the daemon is ready, who runs it knows.
    pub fn snapshot(&self, ready: bool) -> Snapshot {
        let known = self.known();
        Snapshot {
            version: self.version.to_owned(),
            started: self.started,
            ready,
            config: known.config.clone(),
            cluster: known.cluster.clone(),
            rules: known.rules.shown(),
        }
    }

    /// A rule with its last runs; `None` if there is no such rule.
    pub fn rule(&self, name: &str) -> Option<RuleDetail> {
        self.known().rules.detail(name)
    }

    /// A page of a rule's images, from 1 on; `None` if there is no such rule.
    pub fn images(&self, name: &str, choice: &Choice, page: usize, per_page: usize) -> Option<ImagePage> {
        let skip = page.saturating_sub(1).saturating_mul(per_page);
        let (total, images) = self.known().rules.images(name, choice, skip, per_page)?;
        Some(ImagePage { rule: name.to_owned(), page, per_page, total, images })
    }

    /// The registries, by their names.
    pub fn registries(&self) -> Vec<Registry> {
        self.registries_known().shown(Timestamp::now())
    }

    /// What moves now.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            bytes_read: self.moved.read.load(Ordering::Relaxed),
            bytes_written: self.moved.written.load(Ordering::Relaxed),
            transfers: self.moved.transfers.load(Ordering::Relaxed),
            runs: self.known().rules.under_way(),
        }
    }

    /// Takes in what an earlier process knew of the rules that there are. Returns whether it knew more.
    pub fn recall(&self, past: impl IntoIterator<Item = Past>) -> bool {
        self.known().rules.recall(past, now())
    }

    /// From now on [`Status::changes`] tells what has changed of what the next process may go on with.
    pub fn watch(&self) {
        self.is_looked_at.store(true, Ordering::Relaxed);
        self.known().rules.watch();
    }

    /// What has changed since this was asked before.
    pub fn changes(&self) -> Changed {
        self.known().rules.changes()
    }

    /// All that the next process may go on with.
    pub fn past(&self) -> Vec<Past> {
        self.known().rules.past()
    }

    /// What happens.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// A number of this process's, which no other process has.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.origin)
    }

    /// The number of an id of this process's.
    pub fn number_of(&self, id: &str) -> Option<u64> {
        let (origin, number) = id.split_once('-')?;
        (origin == self.origin).then(|| number.parse().ok())?
    }

    fn keeps(&self) -> bool {
        self.is_looked_at.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registries_known(&self) -> MutexGuard<'_, Registries> {
        self.registries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Status {
    fn rules(&self, names: &[&str]) {
        self.known().rules.follow(names);
        if self.keeps() {
            self.feed.tell("rules", &json!({ "rules": names }));
        }
    }

    fn cluster(&self, news: &ClusterNews<'_>) {
        let mut known = self.known();
        let cluster = known.cluster.get_or_insert_default();
        match news {
            ClusterNews::Connected(connected) => cluster.connected = *connected,
            ClusterNews::Replicas(count) => cluster.replicas = *count,
            ClusterNews::Backlog { queue: Queue::Runs, messages } => cluster.runs = *messages,
            ClusterNews::Backlog { queue: Queue::Images, messages } => cluster.images = *messages,
            ClusterNews::Redelivered(_)
            | ClusterNews::DeadLetter(_)
            | ClusterNews::Leases { .. }
            | ClusterNews::Share { .. } => {}
        }
    }

    fn request(&self, request: &Request<'_>) {
        if self.keeps() {
            self.registries_known().requested(request, now());
        }
    }

    fn retry(&self, retry: &Retry<'_>) {
        if self.keeps() {
            self.registries_known().tried_again(retry, now());
        }
    }

    fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        if self.keeps() {
            self.registries_known().throttled(registry, reason, waited);
        }
    }

    fn pulls_left(&self, registry: &Host, remaining: u64, window: Duration) {
        if self.keeps() {
            self.registries_known().pulls_left(registry, remaining, window, now());
        }
    }

    fn out_of_pulls(&self, rule: &str, wait: &dyn std::fmt::Display) {
        let mut known = self.known();
        if let Some(waiting) = known.rules.wait(rule, wait.to_string()).filter(|_| self.keeps()) {
            self.feed.tell("run_waiting", &json!({ "rule": rule, "waiting": waiting }));
        }
    }

    fn bytes(&self, _registry: &Host, direction: Direction, bytes: u64) {
        let moved = match direction {
            Direction::Read => &self.moved.read,
            Direction::Written => &self.moved.written,
        };
        moved.fetch_add(bytes, Ordering::Relaxed);
    }

    fn transfer_started(&self) {
        self.moved.transfers.fetch_add(1, Ordering::Relaxed);
    }

    fn transfer_ended(&self) {
        self.moved.transfers.fetch_sub(1, Ordering::Relaxed);
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        if !self.keeps() {
            return;
        }
        let known = self.known().rules.image(rule, image, now());
        // Of what is in place, every run would tell again.
        if let Some(known) = known.filter(|_| image.outcome != ImageOutcome::Unchanged) {
            self.feed.tell("image", &json!({ "rule": rule, "image": known }));
        }
    }

    fn brought(&self, rule: &str, image: &ImageReport) {
        self.image(rule, image);
    }

    fn found(&self, rule: &str, images: usize) {
        self.known().rules.found(rule, images);
    }

    fn run_started(&self, rule: &str) {
        let run = self.known().rules.begin(rule, |number| self.id(number), now());
        if let Some(run) = run.filter(|_| self.keeps()) {
            self.feed.tell("run_started", &json!({ "rule": rule, "run": run }));
        }
    }

    fn run_ended(&self, report: &RuleReport) {
        let run = self.known().rules.end(report);
        if let Some(run) = run.filter(|_| self.keeps()) {
            self.feed.tell("run_ended", &json!({ "rule": report.name, "run": run }));
        }
    }
}

/// The seconds, and what there is beside them.
fn origin(started: Timestamp) -> String {
    match started.subsec_nanosecond() {
        0 => format!("{:x}", started.as_second()),
        nanoseconds => format!("{:x}.{nanoseconds:x}", started.as_second()),
    }
}

/// An error as it is shown: not at any length.
pub(super) fn shortened(mut error: String) -> String {
    if let Some((end, _)) = error.char_indices().nth(LONGEST_ERROR) {
        error.truncate(end);
        error.push('…');
    }
    error
}

/// The time, to the second, as documents have it.
pub fn now() -> Timestamp {
    to_the_second(Timestamp::now())
}

/// A date outside of what calendars know shows as the epoch.
pub(super) fn second_of(time: SystemTime) -> Timestamp {
    to_the_second(Timestamp::try_from(time).unwrap_or_default())
}

fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or_default()
}
