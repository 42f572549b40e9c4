//! The daemon's server over a state that is made up: what a page shows of it is known, however much it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use regferry::events::{ImageOutcome, ImageReport, Observer as _, RuleReport, RunOutcome};
use regferry::oci::{Platform, Reference};
use regferry::server::{self, ImportJob, Key, Operations, Refusal, Service, SyncAccepted};
use regferry::telemetry::{Metrics, Status};
use regferry::transfer::{Import, Pushed};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A server on a port of its own choice. It ends when dropped.
pub(crate) struct Stage {
    address: String,
    _serving: AbortOnDropHandle<()>,
}

impl Stage {
    /// One that shows this state, and can be asked for nothing.
    pub(crate) async fn of(status: Arc<Status>, imports: Vec<ImportJob>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let service = Service {
            metrics: Arc::new(Metrics::new().expect("the metrics are sound")),
            status,
            ready: Arc::new(AtomicBool::new(true)),
            access: Arc::default(),
            operations: Arc::new(ToLookAt(imports)),
            cluster: None,
            webhooks: Arc::default(),
        };
        let serving = tokio::spawn(server::serve(listener, service, std::future::pending()));
        Self { address, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Rules with their names, in this order, from `source.example` to `registry.example`.
pub(crate) fn status_of(names: &[String]) -> Arc<Status> {
    let started = Timestamp::now() - Duration::from_secs(3 * 86_400 + 4 * 3600);
    let status = Status::new(env!("CARGO_PKG_VERSION"), started);
    status.configured(Path::new("/etc/regferry/regferry.toml"), started);
    status.rules(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in names {
        let side = |host: &str| vec![format!("{host}/{name}")];
        status.between(name, side("source.example"), side("registry.example/mirror"));
    }
    Arc::new(status)
}

/// A run of a rule that ended so many seconds ago, with these images.
pub(crate) fn run(status: &Status, rule: &str, ago: u64, outcome: RunOutcome, images: Vec<ImageReport>) {
    status.run_started(rule);
    status.found(rule, images.len());
    images.iter().for_each(|image| status.image(rule, image));
    let elapsed = Duration::from_millis(400 + images.iter().map(|image| image.bytes >> 15).sum::<u64>());
    let begun = SystemTime::now() - Duration::from_secs(ago) - elapsed;
    status.run_ended(&RuleReport { outcome, elapsed, images, ..RuleReport::begun(&rule.into(), begun) });
}

/// An image of a repository with a tag, and so many bytes of it.
pub(crate) fn image(from: &str, to: &str, tag: &str, outcome: ImageOutcome, bytes: u64) -> ImageReport {
    let reference = |repository: &str| format!("{repository}:{tag}").parse::<Reference>().expect("it is a reference");
    // A digest that is the same each time, and another for each image.
    let hash = to
        .bytes()
        .chain(tag.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = |part: u32| (hash.rotate_left(part * 13) ^ hash >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let digest = (1..=4).map(|part| format!("{:016x}", mixed(part))).collect::<String>();
    let platforms = ["linux/amd64", "linux/arm64"].iter().map(|name| name.parse::<Platform>().expect("it is one"));
    ImageReport {
        outcome,
        bytes,
        platforms: if outcome == ImageOutcome::Copied { platforms.collect() } else { Vec::new() },
        digest: format!("sha256:{digest}").parse().ok(),
        elapsed: Duration::from_millis(300 + (bytes >> 15)),
        ..ImageReport::new(reference(from), reference(to))
    }
}

/// Has its imports, and takes nothing.
struct ToLookAt(Vec<ImportJob>);

impl Operations for ToLookAt {
    fn sync<'a>(&'a self, _: &'a str, _: Option<Key>) -> BoxFuture<'a, Result<SyncAccepted, Refusal>> {
        async { Err(Refusal::Stopping) }.boxed()
    }

    fn import(&self, _: Import, _: Option<Key>) -> Result<ImportJob, Refusal> {
        Err(Refusal::Stopping)
    }

    fn import_job(&self, id: &str) -> Option<ImportJob> {
        self.0.iter().find(|job| job.id == id).cloned()
    }

    fn imports(&self, skip: usize, take: usize) -> (usize, Vec<ImportJob>) {
        (self.0.len(), self.0.iter().skip(skip).take(take).cloned().collect())
    }

    fn pushed(&self, _: &[Pushed]) -> usize {
        0
    }
}
