//! What happens, told to whoever listens: metrics, the log, a progress bar.

mod cluster;
mod report;
mod selected;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::RetryReason;
use crate::oci::{Host, Reference};

pub use cluster::{ClusterNews, LeaseKind, Queue};
pub use report::{BlobCounts, ImageOutcome, ImageReport, RuleReport, RunOutcome, SyncReport, Totals};
pub use selected::{Selected, StageReport};
pub use webhook::{WebhookKind, WebhookOutcome};

/// The name under which work outside of rules is reported.
pub const IMPORT: &str = "import";
/// The name under which deleting is stopped and waited for.
pub const DELETE: &str = "delete";

/// Listens to what happens. Every method has a default that does nothing; none may block.
pub trait Observer: Send + Sync {
    /// The rules that there are from now on, in the configuration's order: told at the start and after every reload. A
    /// rule that was removed is told of until its run has ended.
    fn rules(&self, _names: &[&str]) {}
    /// A registry answered a request, or did not.
    fn request(&self, _request: &Request<'_>) {}
    /// A request will be made again, after `pause`.
    fn retry(&self, _retry: &Retry<'_>) {}
    /// A registry has something to say to whoever runs this (`Warning`); once for each text.
    fn warning(&self, _registry: &Host, _text: &str) {}
    /// Something waited because of a limit.
    fn throttled(&self, _registry: &Host, _reason: ThrottleReason, _waited: Duration) {}
    /// A registry announced how many pulls are left, which holds for the length of its window at most.
    fn pulls_left(&self, _registry: &Host, _remaining: u64, _window: Duration) {}
    /// A run begins to wait for pulls.
    fn out_of_pulls(&self, _rule: &str, _wait: &dyn std::fmt::Display) {}
    /// Bytes of blobs moved.
    fn bytes(&self, _registry: &Host, _direction: Direction, _bytes: u64) {}
    /// A plan says how many bytes are missing at a target.
    fn planned(&self, _bytes: u64) {}
    /// A blob starts to move from registry to registry; [`Observer::transfer_ended`] follows.
    fn transfer_started(&self) {}
    /// A blob's transfer ended, well or not.
    fn transfer_ended(&self) {}
    /// A blob is where it belongs, or failed to get there.
    fn blob(&self, _rule: &str, _outcome: BlobOutcome) {}
    /// An image of a rule is done.
    fn image(&self, _rule: &str, _image: &ImageReport) {}
    /// An image of a rule's run is done, and was told of by [`Observer::image`] where it was worked on, which may be in
    /// another process.
    fn brought(&self, _rule: &str, _image: &ImageReport) {}
    /// A rule's run knows how many images it has to look at: so many more.
    fn found(&self, _rule: &str, _images: usize) {}
    /// A tag was deleted, since its rule would not write it.
    fn pruned(&self, _rule: &str, _tag: &Reference) {}
    /// A rule's run begins.
    fn run_started(&self, _rule: &str) {}
    /// A rule's run ended.
    fn run_ended(&self, _run: &RuleReport) {}
    /// This process is one of a cluster, and learnt something of it.
    fn cluster(&self, _news: &ClusterNews<'_>) {}
}

/// Listens to nothing.
impl Observer for () {}

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The registry on whose behalf it was made: also for its token realm.
    pub registry: &'a Host,
    /// The method.
    pub method: &'a str,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// From sending the request to the answer's headers.
    pub elapsed: Duration,
}

/// One try more.
#[derive(Clone, Copy)]
pub struct Retry<'a> {
    /// The registry.
    pub registry: &'a Host,
    /// Why it is worth it.
    pub reason: RetryReason,
    /// The pause before it.
    pub pause: Duration,
    /// What failed, in words.
    pub error: &'a dyn std::fmt::Display,
}

/// Which limit something waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    /// `max_connections`.
    Connections,
    /// The window that the registry's answers have taught.
    Window,
    /// `requests_per_second`, or what the registry's operator publishes.
    Rate,
    /// `bandwidth`.
    Bandwidth,
    /// The registry's quota of pulls, and `pull_reserve`.
    Quota,
    /// The registry asked for it.
    RetryAfter,
    /// Its cluster: this replica has no part of the registry's limits.
    Cluster,
}

impl ThrottleReason {
    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Window => "window",
            Self::Rate => "rate",
            Self::Bandwidth => "bandwidth",
            Self::Quota => "quota",
            Self::RetryAfter => "retry_after",
            Self::Cluster => "cluster",
        }
    }
}

/// Which way bytes move, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a registry to us.
    Read,
    /// From us to a registry.
    Written,
}

impl Direction {
    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Written => "written",
        }
    }
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobOutcome {
    /// Its bytes went from the source to the target.
    Copied,
    /// The target took it from another of its repositories.
    Mounted,
    /// It was there.
    Present,
    /// It did not get there.
    Failed,
}

impl BlobOutcome {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Copied, Self::Mounted, Self::Present, Self::Failed];

    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Mounted => "mounted",
            Self::Present => "present",
            Self::Failed => "failed",
        }
    }
}

/// Several observers as one.
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// Tells each of them, in this order.
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Arc<Self> {
        Arc::new(Self(observers))
    }
}

impl Observer for Observers {
    fn rules(&self, names: &[&str]) {
        self.0.iter().for_each(|o| o.rules(names));
    }
    fn request(&self, request: &Request<'_>) {
        self.0.iter().for_each(|o| o.request(request));
    }
    fn retry(&self, retry: &Retry<'_>) {
        self.0.iter().for_each(|o| o.retry(retry));
    }
    fn warning(&self, registry: &Host, text: &str) {
        self.0.iter().for_each(|o| o.warning(registry, text));
    }
    fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        self.0.iter().for_each(|o| o.throttled(registry, reason, waited));
    }
    fn pulls_left(&self, registry: &Host, remaining: u64, window: Duration) {
        self.0.iter().for_each(|o| o.pulls_left(registry, remaining, window));
    }
    fn out_of_pulls(&self, rule: &str, wait: &dyn std::fmt::Display) {
        self.0.iter().for_each(|o| o.out_of_pulls(rule, wait));
    }
    fn bytes(&self, registry: &Host, direction: Direction, bytes: u64) {
        self.0.iter().for_each(|o| o.bytes(registry, direction, bytes));
    }
    fn planned(&self, bytes: u64) {
        self.0.iter().for_each(|o| o.planned(bytes));
    }
    fn transfer_started(&self) {
        self.0.iter().for_each(|o| o.transfer_started());
    }
    fn transfer_ended(&self) {
        self.0.iter().for_each(|o| o.transfer_ended());
    }
    fn blob(&self, rule: &str, outcome: BlobOutcome) {
        self.0.iter().for_each(|o| o.blob(rule, outcome));
    }
    fn image(&self, rule: &str, image: &ImageReport) {
        self.0.iter().for_each(|o| o.image(rule, image));
    }
    fn brought(&self, rule: &str, image: &ImageReport) {
        self.0.iter().for_each(|o| o.brought(rule, image));
    }
    fn found(&self, rule: &str, images: usize) {
        self.0.iter().for_each(|o| o.found(rule, images));
    }
    fn pruned(&self, rule: &str, tag: &Reference) {
        self.0.iter().for_each(|o| o.pruned(rule, tag));
    }
    fn run_started(&self, rule: &str) {
        self.0.iter().for_each(|o| o.run_started(rule));
    }
    fn run_ended(&self, run: &RuleReport) {
        self.0.iter().for_each(|o| o.run_ended(run));
    }
    fn cluster(&self, news: &ClusterNews<'_>) {
        self.0.iter().for_each(|o| o.cluster(news));
    }
}
