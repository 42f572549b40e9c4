//! Image jobs, as a worker does them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::claim::{Claim, Notes};
use super::desk::Desk;
use super::job_fence::JobFence;
use super::message::{Read, read, written};
use super::results::{JobResult, Results};
use super::streams::IMAGES;
use super::suspects::{SUSPECTED, Suspects, Verdict};
use crate::content::Fence;
use crate::events::Queue;
use crate::transfer::{Brought, Parked, Task, Worked};

/// How long a job waits for a replica that has its rule, and how long until the next try.
const PATIENCE: Duration = Duration::from_secs(300);
const ODD_PAUSE: Duration = Duration::from_secs(2);

/// How long until it is looked again whether another replica is done with an image.
const OTHERS_PAUSE: Duration = Duration::from_millis(500);

/// Does image jobs, `places` at a time, until `stop`; then gives back what is not done.
pub(super) async fn work(desk: Arc<Desk>, places: usize, stop: CancellationToken) {
    let worker = Arc::new(Worker {
        results: Results::new(Arc::clone(&desk.cluster.link)),
        suspects: Suspects::new(&desk.cluster),
        stopped_runs: StoppedRuns::default(),
        stop: stop.clone(),
        desk,
    });
    let listening = Arc::clone(&worker);
    let working = async {
        let Some(mut puller) = worker.desk.puller(IMAGES, &stop).await else { return };
        let mut jobs = JoinSet::new();
        loop {
            let free = places.saturating_sub(jobs.len());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = jobs.join_next() => {}
                message = puller.next(free) => { jobs.spawn(Arc::clone(&worker).job(message)); }
            }
        }
        for message in puller.close().await {
            jobs.spawn(Arc::clone(&worker).job(message));
        }
        while jobs.join_next().await.is_some() {}
    };
    tokio::select! {
        () = working => {}
        never = listening.listen() => match never {},
    }
}

struct Worker {
    desk: Arc<Desk>,
    results: Results,
    suspects: Suspects,
    stopped_runs: StoppedRuns,
    stop: CancellationToken,
}

impl Worker {
    async fn job(self: Arc<Self>, message: Message) {
        let desk = &self.desk;
        let claim = Arc::new(Claim::new(&desk.cluster.link, IMAGES, message, desk.cluster.ack_wait));
        let deliveries = claim.place().deliveries;
        let task: Task = match read(claim.payload()) {
            Read::Body(task) => task,
            Read::Newer => return claim.left_for_newer(&self.stop).await,
            Read::Garbage(reason) => return self.bury(&claim, None, &format!("it cannot be read: {reason}")).await,
        };
        if let Some(wait) = claim.wait() {
            return claim.later(wait).await;
        }
        if self.stop.is_cancelled() {
            return claim.back(Duration::ZERO).await;
        }
        if deliveries > 1 + u64::from(claim.was_put_off()) {
            desk.tally.redelivered(Queue::Images);
        }
        let task = if deliveries > 1 || claim.had() > 0 { task.after_others() } else { task };
        let fence = self.fence(&claim, &task);
        if claim.had() >= SUSPECTED {
            return self.suspect(claim, fence, task).await;
        }
        self.begin(claim, fence, task).await;
    }

    fn fence(&self, claim: &Arc<Claim>, task: &Task) -> Arc<JobFence> {
        let desk = &self.desk;
        let holder = (Arc::clone(&desk.name), desk.cluster.ack_wait);
        let leases = desk.cluster.leases();
        let tally = Arc::clone(&desk.tally);
        Arc::new(JobFence::new(Arc::clone(claim), leases, format!("job.{}", task.id()), holder, tally))
    }

    /// A job that too many have had.
    async fn suspect(&self, claim: Arc<Claim>, fence: Arc<JobFence>, task: Task) {
        let desk = &self.desk;
        let Some(_turn) = self.suspects.turn(&self.stop).await else { return claim.back(Duration::ZERO).await };
        // Before it counts as begun: while who had it last holds it still, it is not.
        if fence.hold().await.is_err() {
            self.displaced(&claim, &fence, &task).await;
            return fence.release().await;
        }
        if self.stop.is_cancelled() {
            fence.release().await;
            return claim.back(Duration::ZERO).await;
        }
        let run = run_of(claim.subject()).unwrap_or_default();
        match self.suspects.judge(run, &task.id()).await {
            Ok(Verdict::Begin) => return self.begin(claim, fence, task).await,
            Ok(Verdict::Guilty(deaths)) => {
                let reason = format!("{deaths} replicas died or were cut off while they had this image");
                self.bury(&claim, Some(&task), &reason).await;
            }
            // It comes again, and is looked at then.
            Err(error) => {
                desk.cluster.link.trouble("looking at an image that too many have had", error.reason());
            }
        }
        fence.release().await;
    }

    async fn begin(&self, claim: Arc<Claim>, fence: Arc<JobFence>, task: Task) {
        let desk = &self.desk;
        let id = task.id();
        let run_stop = self.stopped_runs.enter(claim.subject());
        let cancel = self.stop.child_token();
        let work = Arc::clone(&desk.hands).work(task.clone(), Arc::clone(&fence) as Arc<dyn Fence>, cancel.clone());
        // A task of its own, so that its panic is its own; it ends with this one.
        let worked = AbortOnDropHandle::new(tokio::spawn(work));
        let stopping = async {
            run_stop.cancelled().await;
            cancel.cancel();
            std::future::pending::<Infallible>().await
        };
        let worked = tokio::select! {
            worked = worked => worked,
            never = stopping => match never {},
        };
        let is_run_stopped = run_stop.is_cancelled();
        match worked {
            Ok(Some(Worked::Done(brought))) => self.tell(&claim, &fence, id, brought).await,
            Ok(Some(Worked::Stopped(brought))) if is_run_stopped => self.tell(&claim, &fence, id, brought).await,
            Ok(Some(Worked::Stopped(_))) => {
                // First it is free, and then others are given it.
                fence.release().await;
                claim.anew(Duration::ZERO).await;
            }
            Ok(Some(Worked::Parked(parked))) => {
                fence.release().await;
                park(&claim, &parked).await;
            }
            Ok(Some(Worked::Displaced)) => self.displaced(&claim, &fence, &task).await,
            Ok(None) if claim.odd_for() > PATIENCE => {
                let reason = "no replica has the rule as the replica had it that began the run: give all of them the same \
                              configuration";
                self.tell(&claim, &fence, id, task.failed(reason)).await;
            }
            Ok(None) => claim.odd(ODD_PAUSE).await,
            Err(fault) => {
                let reason = format!("a fault in regferry itself: {fault}; please report it");
                self.tell(&claim, &fence, id, task.failed(&reason)).await;
            }
        }
        fence.release().await;
        self.stopped_runs.leave(claim.subject());
    }

    /// A job that another has.
    async fn displaced(&self, claim: &Claim, fence: &JobFence, task: &Task) {
        if fence.is_others().await {
            claim.back(OTHERS_PAUSE).await;
        } else {
            tracing::info!(image = task.id(), "an image is another replica's by now");
        }
    }

    /// The result first, and the job is done when it is kept: what breaks off between the two is done again, which
    /// changes nothing.
    async fn tell(&self, claim: &Claim, fence: &JobFence, id: String, brought: Vec<Brought>) {
        let Some(run) = run_of(claim.subject()) else { return claim.end().await };
        let result = JobResult { id, brought };
        while fence.may_tell().await {
            match self.results.send(run, result.clone()).await {
                Ok(()) => return claim.done().await,
                Err(reason) => self.desk.cluster.link.trouble("telling what became of an image", &reason),
            }
            self.desk.cluster.link.pause().await;
        }
        tracing::info!(image = result.id, "an image is another replica's by now");
    }

    /// A job that nobody is to have again.
    async fn bury(&self, claim: &Claim, task: Option<&Task>, reason: &str) {
        let buried = Buried { reason, subject: claim.subject(), job: String::from_utf8_lossy(claim.payload()) };
        let link = &self.desk.cluster.link;
        let Ok(payload) = written(&buried) else { return };
        let subject = format!("{}.image", link.names.subject("dead"));
        if let Err(reason) = link.publish(subject, HeaderMap::new(), payload).await {
            // It comes again, and is put aside then.
            return link.trouble("putting an image aside", &reason);
        }
        if let (Some(task), Some(run)) = (task, run_of(claim.subject())) {
            let result = JobResult { id: task.id(), brought: task.failed(reason) };
            if let Err(reason) = self.results.send(run, result).await {
                return link.trouble("telling what became of an image", &reason);
            }
        }
        claim.end().await;
        self.desk.tally.dead_letter(Queue::Images);
        tracing::error!(reason, subject = claim.subject(), "an image is put aside");
    }

    /// Hears which runs were stopped.
    async fn listen(&self) -> Infallible {
        let link = &self.desk.cluster.link;
        let prefix = format!("{}.", link.names.subject("cancel"));
        loop {
            match link.client.subscribe(format!("{prefix}>")).await {
                Ok(mut told) => {
                    while let Some(message) = told.next().await {
                        if let Some(jobs) = message.subject.strip_prefix(&*prefix) {
                            self.stopped_runs.stop(jobs);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "listening for stopped runs"),
            }
            link.pause().await;
        }
    }
}

async fn park(claim: &Claim, parked: &Parked) {
    // That a run waits is told by its listeners; each of its images comes back here again and again.
    tracing::debug!(rule = &*parked.task.rule, wait = ?parked.wait, none = ?parked.none, "an image waits for pulls");
    match written(&parked.task) {
        Ok(payload) => claim.replaced(payload, parked.wait, Notes::default()).await,
        Err(error) => tracing::error!(%error, "a task that cannot be written"),
    }
}

/// The run, `<rule>.<tick>`, that a job with this subject, `image.<rule>.<tick>.<owner>`, is of.
fn run_of(subject: &str) -> Option<&str> {
    subject.strip_prefix("image.")?.rsplit_once('.').map(|(run, _)| run)
}

#[derive(Serialize)]
struct Buried<'a> {
    reason: &'a str,
    subject: &'a str,
    job: std::borrow::Cow<'a, str>,
}

/// The jobs under way, by what stops them: how many, and the token.
#[derive(Default)]
struct StoppedRuns(Mutex<HashMap<String, (usize, CancellationToken)>>);

impl StoppedRuns {
    fn enter(&self, subject: &str) -> CancellationToken {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, token) = runs.entry(subject.to_owned()).or_default();
        *count += 1;
        token.clone()
    }

    fn leave(&self, subject: &str) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = runs.get_mut(subject) {
            *count -= 1;
            if *count == 0 {
                runs.remove(subject);
            }
        }
    }

    fn stop(&self, jobs: &str) {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = runs.get(&format!("image.{jobs}")) {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_names_its_run_in_its_subject() {
        assert_eq!(run_of("image.0123.17-due.owner"), Some("0123.17-due"));
        assert_eq!(run_of("run.0123"), None);
    }

    #[test]
    fn a_run_that_is_stopped_stops_its_own_jobs() {
        let runs = StoppedRuns::default();
        let (one, other) = (runs.enter("image.a.1.x"), runs.enter("image.b.1.x"));
        runs.stop("a.1.x");
        assert!(one.is_cancelled() && !other.is_cancelled());
        runs.leave("image.a.1.x");
        assert!(!runs.enter("image.a.1.x").is_cancelled(), "a later job is not stopped");
    }
}
