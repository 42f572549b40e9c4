//! Hands that work on nothing, and note what they were given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use regferry::content::Fence;
use regferry::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome};
use regferry::oci::Digest;
use regferry::queue::{Cluster, Hands, Order, Part, Replica, RunNews, RunState, Told};
use regferry::transfer::{Brought, Crew, Hangs, Mode, Sighting, Task, TaskTarget, Worked};
use testkit::NatsServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{connect, settings};

/// What a replica does with an image.
pub(crate) type Work =
    Box<dyn Fn(Task, Arc<dyn Fence>, CancellationToken) -> BoxFuture<'static, Option<Worked>> + Send + Sync>;

pub(crate) struct TestHands {
    images: usize,
    work: Work,
    /// The tags that were worked on, in order.
    pub(crate) begun: Mutex<Vec<String>>,
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) ran: Mutex<Vec<u64>>,
}

impl TestHands {
    pub(crate) fn new(images: usize, work: Work) -> Arc<Self> {
        Arc::new(Self { images, work, begun: Mutex::default(), done: Mutex::default(), ran: Mutex::default() })
    }

    /// Each image takes so long.
    pub(crate) fn quick(images: usize, takes: Duration) -> Arc<Self> {
        Self::new(
            images,
            Box::new(move |task, fence, cancel| {
                async move {
                    if fence.hold().await.is_err() {
                        return Some(Worked::Displaced);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(takes) => {}
                        () = cancel.cancelled() => return Some(Worked::Stopped(Vec::new())),
                    }
                    Some(if fence.check().await.is_ok() { done(&task) } else { Worked::Displaced })
                }
                .boxed()
            }),
        )
    }

    /// Each image takes for ever.
    pub(crate) fn stuck(images: usize) -> Arc<Self> {
        Self::quick(images, Duration::from_secs(600))
    }

    /// One image is brought at once, and all others take for ever.
    pub(crate) fn only_one_of(images: usize) -> Arc<Self> {
        let is_to_do = Arc::new(AtomicBool::new(true));
        Self::new(
            images,
            Box::new(move |task, fence, _cancel| {
                let is_to_do = Arc::clone(&is_to_do);
                async move {
                    if !is_to_do.swap(false, Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                    if fence.hold().await.is_ok() && fence.check().await.is_ok() {
                        return Some(done(&task));
                    }
                    is_to_do.store(true, Ordering::Relaxed);
                    Some(Worked::Displaced)
                }
                .boxed()
            }),
        )
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    pub(crate) fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }
}

impl Hands for TestHands {
    fn mode(&self, rule: &str, _at: u64, rechecked: Option<u64>) -> Option<Mode> {
        let mode = if rechecked.is_none() { Mode::Repair } else { Mode::Follow };
        rule.starts_with("rule").then_some(mode)
    }

    fn run(
        self: Arc<Self>,
        rule: Arc<str>,
        mode: Mode,
        crew: Arc<dyn Crew>,
        _fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<RuleReport>> {
        async move {
            let begun = SystemTime::now();
            self.ran.lock().unwrap().push(0);
            let tasks = (0..self.images).map(|number| task(&rule, mode, number));
            let bringing = join_all(tasks.map(|task| crew.bring(task)));
            tokio::pin!(bringing);
            let brought = tokio::select! {
                brought = &mut bringing => brought,
                () = cancel.cancelled() => {
                    crew.stop().await;
                    bringing.await
                }
            };
            let mut report = RuleReport::begun(&rule, begun);
            report.images = brought.into_iter().flatten().map(|brought| brought.image).collect();
            report.outcome = if report.has_failures() { RunOutcome::Failure } else { RunOutcome::Success };
            Some(report)
        }
        .boxed()
    }

    fn work(
        self: Arc<Self>,
        task: Task,
        fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Worked>> {
        async move {
            let name = task.from.to_string();
            self.begun.lock().unwrap().push(name.clone());
            let worked = (self.work)(task, fence, cancel).await;
            if let Some(Worked::Done(_)) = worked {
                self.done.lock().unwrap().push(name);
            }
            worked
        }
        .boxed()
    }
}

pub(crate) fn task(rule: &Arc<str>, mode: Mode, number: usize) -> Task {
    Task {
        rule: Arc::clone(rule),
        fingerprint: Digest::of(b"rule"),
        mode,
        begun: 0,
        since: None,
        source: "source.example/app".parse().unwrap(),
        from: format!("v{number}").parse().unwrap(),
        hangs: Hangs::Unlisted,
        targets: vec![TaskTarget {
            location: "target.example/app".parse().unwrap(),
            to: format!("v{number}").parse().unwrap(),
            // Only what was there once is followed.
            is_absent: mode == Mode::Execute,
            is_new: false,
            seen: None,
            brought: None,
        }],
        copy: 0,
        documents: Vec::new(),
    }
}

/// The task is done, and the image was copied.
pub(crate) fn done(task: &Task) -> Worked {
    let brought = task.targets.iter().map(|stop| {
        let image = ImageReport::new(task.source.reference(&task.from), stop.location.reference(&stop.to));
        let image = ImageReport { outcome: ImageOutcome::Copied, ..image };
        Brought { image, sighting: Sighting::Unknown, is_told: true, sight: None }
    });
    Worked::Done(brought.collect())
}

/// A replica at work.
pub(crate) struct Working {
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Working {
    pub(crate) async fn start(server: &NatsServer, hands: &Arc<TestHands>, places: usize) -> Self {
        Self::at(&server.url(), hands, places).await
    }

    pub(crate) async fn at(url: &str, hands: &Arc<TestHands>, places: usize) -> Self {
        let cluster = Arc::new(Cluster::connect(settings(url)).await.unwrap());
        let replica = Replica::new(cluster, Arc::clone(hands) as _, Arc::new(()));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { replica.work(Part { images: places }, &stopped).await });
        Self { stop, task }
    }

    /// As a deployment does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Orders a run and waits until it, or a later one, has ended.
pub(crate) async fn run(server: &NatsServer, rule: &str, at: u64) -> (RuleReport, Vec<ImageReport>) {
    let cluster = connect(server).await;
    let order = Order { rule: rule.into(), at, mode: Some(Mode::Execute) };
    let sequence = cluster.order(&order).await.unwrap();
    ended(&cluster, rule, sequence).await
}

/// Waits until a run with this place in the queue, or a later one, has ended.
pub(crate) async fn ended(cluster: &Cluster, rule: &str, sequence: u64) -> (RuleReport, Vec<ImageReport>) {
    let mut runs = cluster.runs_of(rule, Told::default());
    let waiting = async {
        loop {
            let RunNews { order, sequence: of, state, .. } = runs.next().await.unwrap();
            if let RunState::Ended { report, .. } = state
                && of >= sequence
            {
                return (*report, cluster.images(&order).await.unwrap());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the run ends")
}
