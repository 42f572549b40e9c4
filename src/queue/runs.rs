//! Runs, as the replica does them that takes one: it lists and chooses, and others bring the images with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::claim::Claim;
use super::crew::QueueCrew;
use super::desk::Desk;
use super::error::{Error, Reason};
use super::inbox::Inbox;
use super::lease::Lease;
use super::message::{Read, read};
use super::names::token;
use super::order::Order;
use super::reports::{RunNews, RunState};
use super::results::{self, JobResult};
use super::seen::Seen;
use super::streams::{IMAGES, RESULTS, RUNS};
use crate::content::{Displaced, Fence};
use crate::events::{ImageReport, LeaseKind, Queue, RuleReport, RunOutcome};
use crate::transfer::{Brought, Crew, Mode, Sighting};

/// So many runs of one replica at once; each keeps its lists.
const PLACES: usize = 64;

/// A run that was begun so often, and came no further, is not begun again: it kills who begins it.
const MOST_BEGUN: u64 = 5;

/// How long until it is looked again whether a rule's run has ended.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// How long a run waits for a replica that has its rule, and how long until the next try.
const PATIENCE: Duration = Duration::from_secs(300);
const ODD_PAUSE: Duration = Duration::from_secs(2);

/// Takes runs until `stop`; then those that are under way go on elsewhere.
pub(super) async fn work(desk: Arc<Desk>, stop: CancellationToken) {
    let Some(mut puller) = desk.puller(RUNS, &stop).await else { return };
    let mut runs = JoinSet::new();
    loop {
        let free = PLACES.saturating_sub(runs.len());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = runs.join_next() => {}
            message = puller.next(free) => { runs.spawn(take(Arc::clone(&desk), message, stop.clone())); }
        }
    }
    for message in puller.close().await {
        Claim::new(&desk.cluster.link, RUNS, message, desk.cluster.ack_wait).later(Duration::ZERO).await;
    }
    while runs.join_next().await.is_some() {}
}

async fn take(desk: Arc<Desk>, message: Message, stop: CancellationToken) {
    let claim = Claim::new(&desk.cluster.link, RUNS, message, desk.cluster.ack_wait);
    let order: Order = match read(claim.payload()) {
        Read::Body(order) => order,
        Read::Newer => return claim.left_for_newer(&stop).await,
        Read::Garbage(reason) => {
            tracing::error!(reason, "an order of a run that cannot be read is dropped");
            return claim.end().await;
        }
    };
    if let Some(wait) = claim.wait() {
        return claim.later(wait).await;
    }
    let leases = desk.cluster.leases();
    let key = format!("rule.{}", token(&order.rule));
    match Lease::take(&leases, &key, &desk.name, desk.cluster.ack_wait).await {
        Ok(Some(lease)) => {
            desk.tally.held(LeaseKind::Rule);
            let run = Run { lease: Arc::new(lease), order, claim, desk: Arc::clone(&desk), stop };
            if let Err(error) = run.begin().await {
                desk.cluster.link.trouble("beginning a run", error.reason());
                run.lease.release().await;
                run.claim.later(BUSY_PAUSE).await;
            }
            desk.tally.released(LeaseKind::Rule);
        }
        Ok(None) => claim.later(BUSY_PAUSE).await,
        Err(error) => {
            desk.cluster.link.trouble("taking a rule's lease", error.reason());
            claim.later(BUSY_PAUSE).await;
        }
    }
}

/// The last result in the stream when a run was begun; none where an owner before has begun it.
#[derive(Clone, Copy)]
struct Former(Option<u64>);

/// A run whose rule is ours.
struct Run {
    lease: Arc<Lease>,
    order: Order,
    claim: Claim,
    desk: Arc<Desk>,
    stop: CancellationToken,
}

impl Run {
    async fn begin(&self) -> Result<(), Error> {
        let link = &self.desk.cluster.link;
        let failed = |reason| link.error(format!("beginning a run of {}", self.order.rule), reason);
        // A later order may have taken its place, or another owner may have done it.
        if !self.claim.is_there().await.map_err(failed)? {
            self.lease.release().await;
            return Ok(());
        }
        let rechecked = self.desk.cluster.last_recheck(&self.order.rule).await?;
        let due = self.desk.hands.mode(&self.order.rule, self.order.at, rechecked);
        let Some(mode) = due.map(|due| self.order.mode.unwrap_or(due)) else {
            return self.not_here().await;
        };
        let mut inbox = Inbox::open(link, &self.order.run()).await.map_err(failed)?;
        let mut early = inbox.kept().await.map_err(failed)?;
        let former = self.former(&early).await.map_err(failed)?;
        // What an owner before us has handed out, of this run or another, is handed out anew.
        self.clear().await.map_err(failed)?;
        // And what was brought until it was taken away is not.
        early.extend(inbox.kept().await.map_err(failed)?);
        self.tell(RunState::Began).await?;
        // Last: a run that cannot be begun since NATS does not let it has killed nobody.
        let begun = self.desk.cluster.note_begun(&self.order, early.len()).await?;
        if begun.in_vain > MOST_BEGUN {
            return self.bury().await;
        }
        if begun.times > 1 {
            self.desk.tally.redelivered(Queue::Runs);
        }
        self.go(mode, inbox, early, former).await
    }

    async fn go(&self, mode: Mode, inbox: Inbox, early: Vec<JobResult>, former: Former) -> Result<(), Error> {
        let desk = &self.desk;
        let jobs = format!("{}.{}", self.order.run(), desk.owner());
        let crew = Arc::new(QueueCrew::new(&desk.cluster.link, jobs, early, self.seen(mode).await));
        let fence = Arc::new(RunFence(Arc::clone(&self.lease)));
        let cancel = CancellationToken::new();
        let run = Arc::clone(&desk.hands).run(
            self.order.rule.as_str().into(),
            mode,
            Arc::clone(&crew) as Arc<dyn Crew>,
            fence,
            cancel.clone(),
        );
        // A task of its own, so that its panic is its own; it ends with this one.
        let mut run = AbortOnDropHandle::new(tokio::spawn(run));
        let look = desk.cluster.ack_wait.max(Duration::from_secs(2));
        let listening = crew.listen(inbox, look);
        let displaced = async {
            tokio::select! {
                () = self.lease.lost().cancelled() => {}
                () = self.stop.cancelled() => {}
            }
            crew.leave();
            cancel.cancel();
            std::future::pending::<Infallible>().await
        };
        let report = tokio::select! {
            report = &mut run => report,
            never = listening => match never {},
            never = displaced => match never {},
        };
        if self.lease.lost().is_cancelled() {
            self.note_displaced();
            return Ok(());
        }
        if self.stop.is_cancelled() {
            if let Err(error) = desk.cluster.note_given_back(&self.order).await {
                desk.cluster.link.trouble("giving a run back", error.reason());
            }
            // First the rule is free, and then others are given the run.
            self.lease.release().await;
            self.claim.later(Duration::ZERO).await;
            return Ok(());
        }
        match report {
            Ok(Some(report)) => self.end(mode, report, &crew, former).await,
            Ok(None) => self.not_here().await,
            Err(fault) => {
                let reason = format!("a fault in regferry itself: {fault}; please report it");
                self.end(mode, self.failure(reason), &crew, former).await
            }
        }
    }

    /// What the rule's runs have seen: for those that follow, and those that check what these believe.
    async fn seen(&self, mode: Mode) -> Option<Seen> {
        if !matches!(mode, Mode::Follow | Mode::Repair) {
            return None;
        }
        let begun = Seen::begin(&self.desk.cluster, &self.order.rule).await;
        begun.inspect_err(|error| tracing::debug!(%error, "reading what the last run has seen")).ok()
    }

    /// Tells what became of it, and then it is done. Until then it is begun again where this replica dies.
    async fn end(&self, mode: Mode, report: RuleReport, crew: &QueueCrew, former: Former) -> Result<(), Error> {
        while self.lease.check().await.is_ok() {
            match self.tell_end(mode, &report, crew).await {
                Ok(()) => {
                    self.claim.done().await;
                    crew.keep_seen().await;
                    self.forget_results(former, &report).await;
                    self.lease.release().await;
                    return Ok(());
                }
                Err(error) => self.desk.cluster.link.trouble("telling of a run", error.reason()),
            }
            self.desk.cluster.link.pause().await;
        }
        self.note_displaced();
        Ok(())
    }

    fn note_displaced(&self) {
        tracing::warn!(rule = self.order.rule, "a run is another replica's by now");
    }

    async fn tell_end(&self, mode: Mode, report: &RuleReport, crew: &QueueCrew) -> Result<(), Error> {
        let link = &self.desk.cluster.link;
        let failed = |reason| link.error(format!("telling of a run of {}", self.order.rule), reason);
        // What the run did itself nobody has told of: composed lists, and images that were never handed out.
        let own = report.images.iter().filter(|image| !crew.has_told(image));
        let own: Vec<JobResult> = own.map(own_result).collect();
        for chunk in own.chunks(results::MOST) {
            results::publish(link, &self.order.run(), chunk).await.map_err(failed)?;
        }
        if mode == Mode::Repair && report.has_looked() {
            self.desk.cluster.note_recheck(&self.order.rule, self.order.at).await?;
        }
        self.clear().await.map_err(failed)?;
        self.tell(RunState::ended(report)).await
    }

    /// Takes the rule's jobs away. After its run none is left to do, but a server that was killed may keep some that are
    /// done.
    async fn clear(&self) -> Result<(), Reason> {
        let link = &self.desk.cluster.link;
        link.take_away(IMAGES, &format!("{}.{}.>", link.names.subject("image"), token(&self.order.rule))).await
    }

    /// Up to where results are of runs before this one, if that is known.
    async fn former(&self, early: &[JobResult]) -> Result<Former, Reason> {
        let is_begun = !early.is_empty();
        Ok(Former(if is_begun { None } else { Some(self.desk.cluster.link.last_of(RESULTS).await?) }))
    }

    /// What became of a tick's images nobody reads, and of former runs whoever waited for those has read it long ago, once a
    /// whole run has ended since: in a day, which results are kept for at most, it would be many times all images.
    async fn forget_results(&self, Former(before): Former, report: &RuleReport) {
        if !report.has_looked() {
            return;
        }
        let link = &self.desk.cluster.link;
        let forgetting = async {
            let last = match self.order.mode {
                None => Some(link.last_of(RESULTS).await?),
                Some(_) => before,
            };
            // To a server the first sequence is none, and it would take away all.
            let Some(last) = last.filter(|last| *last > 0) else { return Ok(()) };
            let subjects = format!("{}.{}.>", link.names.subject("result"), token(&self.order.rule));
            link.purge(RESULTS, &subjects, last).await
        };
        if let Err(reason) = forgetting.await {
            link.trouble("taking away what became of images", &reason);
        }
    }

    async fn tell(&self, state: RunState) -> Result<(), Error> {
        let news = RunNews {
            order: self.order.clone(),
            sequence: self.claim.place().sequence,
            replica: self.desk.name.to_string(),
            state,
        };
        let link = &self.desk.cluster.link;
        link.tell(&news).await.map_err(|reason| link.error(format!("telling of a run of {}", self.order.rule), reason))
    }

    /// Another replica may have the rule: one that has read a newer configuration.
    async fn not_here(&self) -> Result<(), Error> {
        let since = self.desk.strangers.met(&self.order.run());
        if since.is_zero() {
            tracing::warn!(rule = self.order.rule, "a run is ordered of a rule that is not here: it is left to others");
        }
        if since > PATIENCE {
            let reason = "no replica has this rule: give all of them the same configuration";
            self.tell(RunState::Began).await?;
            self.tell(RunState::ended(&self.failure(reason.to_owned()))).await?;
            self.claim.done().await;
            self.lease.release().await;
        } else {
            self.lease.release().await;
            self.claim.later(ODD_PAUSE).await;
        }
        Ok(())
    }

    async fn bury(&self) -> Result<(), Error> {
        let link = &self.desk.cluster.link;
        let reason = format!("{MOST_BEGUN} replicas died or were cut off while they ran this rule");
        let subject = format!("{}.run", link.names.subject("dead"));
        link.publish(subject, HeaderMap::new(), self.claim.payload().clone())
            .await
            .map_err(|reason| link.error(format!("putting a run of {} aside", self.order.rule), reason))?;
        tracing::error!(rule = self.order.rule, reason, "a run is put aside");
        self.tell(RunState::ended(&self.failure(reason))).await?;
        self.claim.end().await;
        self.desk.tally.dead_letter(Queue::Runs);
        self.lease.release().await;
        Ok(())
    }

    fn failure(&self, reason: String) -> RuleReport {
        let report = RuleReport::begun(&self.order.rule.as_str().into(), SystemTime::now());
        RuleReport { outcome: RunOutcome::Failure, error: Some(reason), ..report }
    }
}

fn own_result(image: &ImageReport) -> JobResult {
    let brought = Brought { image: image.clone(), sighting: Sighting::Unknown, is_told: true, sight: None };
    JobResult { id: String::new(), brought: vec![brought] }
}

/// What a run itself writes, as composed lists, and deletes.
struct RunFence(Arc<Lease>);

impl Fence for RunFence {
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.check()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.0.check().boxed()
    }
}
