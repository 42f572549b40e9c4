//! A run's images, brought by all replicas: the owner's side.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Reason;
use super::inbox::Inbox;
use super::link::Link;
use super::message::written;
use super::results::JobResult;
use super::seen::Seen;
use super::streams::IMAGES;
use crate::events::ImageReport;
use crate::transfer::{Brought, Crew, Task};

/// How many jobs are on their way into the stream at once.
const PUBLISHED_AT_ONCE: usize = 256;

/// When a run is stopped: how long nothing is heard until all who were at work have told.
const QUIET: Duration = Duration::from_secs(2);
const LONGEST_QUIET: Duration = Duration::from_secs(15);

/// Why images of a stopped run were not brought.
const STOPPED: &str = "stopped before it was begun";

/// Brings a run's images through the queue.
pub(super) struct QueueCrew {
    link: Arc<Link>,
    /// `<rule>.<tick>.<owner>`: what another owner of the run has handed out is not ours to stop.
    jobs: String,
    /// What is known of the images, if the run has use for that.
    seen: Option<Seen>,
    state: Mutex<State>,
    /// Counts results, so that it is seen whether any came.
    heard: AtomicU64,
    publishing: Semaphore,
    /// All that is waited for ends.
    ended: CancellationToken,
    /// The run is another's, or is to be: what it has handed out stays.
    left: CancellationToken,
}

#[derive(Default)]
struct State {
    waiting: HashMap<String, Waiting>,
    /// What an owner before us has been told.
    early: HashMap<String, Vec<Brought>>,
    /// What the results tell of already, by the hash of the image's names.
    told: HashSet<u64>,
}

struct Waiting {
    payload: Bytes,
    /// How many times it was published.
    times: u32,
    is_brought: oneshot::Sender<Vec<Brought>>,
}

impl QueueCrew {
    /// The crew of a run, with what became of its images under an owner before.
    pub(super) fn new(link: &Arc<Link>, jobs: String, early: Vec<JobResult>, seen: Option<Seen>) -> Self {
        let told = early.iter().flat_map(|result| &result.brought).map(|brought| named(&brought.image)).collect();
        // What was told first of an image counts.
        let early = early.into_iter().rev().map(|result| (result.id, result.brought)).collect();
        Self {
            link: Arc::clone(link),
            jobs,
            seen,
            state: Mutex::new(State { waiting: HashMap::new(), early, told }),
            heard: AtomicU64::new(0),
            publishing: Semaphore::new(PUBLISHED_AT_ONCE),
            ended: CancellationToken::new(),
            left: CancellationToken::new(),
        }
    }

    /// Keeps what was seen of the images for the rule's next run.
    pub(super) async fn keep_seen(&self) {
        if let Some(seen) = &self.seen
            && let Err(error) = seen.keep().await
        {
            tracing::debug!(%error, "keeping what a run has seen");
        }
    }

    /// The run goes on elsewhere: nothing is taken back.
    pub(super) fn leave(&self) {
        self.left.cancel();
        self.ended.cancel();
    }

    /// Whether the results tell what became of this image.
    pub(super) fn has_told(&self, image: &ImageReport) -> bool {
        self.lock().told.contains(&named(image))
    }

    /// Hears results, and looks after what is waited for, until it is dropped.
    pub(super) async fn listen(&self, mut inbox: Inbox, look: Duration) -> Infallible {
        let mut looked = (0, 0);
        let mut connections = self.link.happened.connections();
        loop {
            let (until, mut is_quiet) = (Instant::now() + look, true);
            while let Ok(results) = tokio::time::timeout_at(until, inbox.next()).await {
                is_quiet = false;
                self.hear(results);
            }
            // Where results come none were missed, or it shows when those end that come.
            if is_quiet || connections.has_changed().unwrap_or(false) {
                connections.mark_unchanged();
                self.hear(inbox.kept().await.unwrap_or_default());
            }
            let now = (self.heard.load(Ordering::Relaxed), self.lock().waiting.len());
            if now == looked && now.1 > 0 && self.are_some_lost(&mut inbox).await.unwrap_or(false) {
                self.publish_again().await;
            }
            looked = now;
        }
    }

    fn hear(&self, results: Vec<JobResult>) {
        self.heard.fetch_add(results.len().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut state = self.lock();
        for JobResult { id, brought } in results {
            state.told.extend(brought.iter().map(|brought| named(&brought.image)));
            if let Some(waiting) = state.waiting.remove(&id) {
                let _ = waiting.is_brought.send(brought);
            }
        }
    }

    /// Whether fewer jobs are in the stream than are waited for: a server lost them, or somebody took them away.
    async fn are_some_lost(&self, inbox: &mut Inbox) -> Result<bool, Reason> {
        let asked: Vec<String> = self.lock().waiting.keys().cloned().collect();
        let (stream, subject) = (self.link.names.stream(IMAGES), self.subject());
        let question = json!({ "subjects_filter": subject });
        let info: Subjects = self.link.ask(format!("STREAM.INFO.{stream}"), &question).await?;
        let there = info.state.subjects.and_then(|subjects| subjects.get(&subject).copied()).unwrap_or(0);
        // What was done by then, perhaps since it was looked last, has left the stream after its result was kept.
        self.hear(inbox.kept().await?);
        let state = self.lock();
        let left = asked.iter().filter(|id| state.waiting.contains_key(*id)).count();
        Ok(there < left.try_into().unwrap_or(u64::MAX))
    }

    async fn publish_again(&self) {
        let again: Vec<(String, u32, Bytes)> = {
            let mut state = self.lock();
            let again = state.waiting.iter_mut().map(|(id, waiting)| {
                waiting.times += 1;
                (id.clone(), waiting.times, waiting.payload.clone())
            });
            again.collect()
        };
        tracing::warn!(jobs = again.len(), "jobs are no longer in NATS: they are handed out again");
        for (id, times, payload) in again {
            if let Err(reason) = self.publish(&id, times, payload).await {
                // The next look finds it.
                return self.link.trouble("handing out an image again", &reason);
            }
        }
    }

    async fn brought(&self, mut task: Task) -> Vec<Brought> {
        let id = task.id();
        if let Some(brought) = self.lock().early.remove(&id) {
            return all_of(&task, brought);
        }
        if let Some(seen) = &self.seen {
            seen.write_to(&mut task);
        }
        let payload = match written(&task) {
            Ok(payload) => payload,
            Err(error) => return task.failed(&format!("it cannot be handed out: {error}; please report it")),
        };
        let (is_brought, brought) = oneshot::channel();
        self.lock().waiting.insert(id.clone(), Waiting { payload: payload.clone(), times: 0, is_brought });
        let waiting = async {
            // On the heap until it is out: what waits for the result then is small, and waits by the thousand.
            if let Err(reason) = Box::pin(self.hand_out(&id, payload)).await {
                self.lock().waiting.remove(&id);
                return task.failed(&format!("handing it out: {reason}"));
            }
            let brought = all_of(&task, brought.await.unwrap_or_default());
            if let Some(seen) = &self.seen {
                seen.note(&task, &brought);
            }
            brought
        };
        tokio::select! {
            biased;
            brought = waiting => brought,
            () = self.ended.cancelled() => task.left_alone(STOPPED),
        }
    }

    /// Into the stream, however long NATS is away.
    async fn hand_out(&self, id: &str, payload: Bytes) -> Result<(), Reason> {
        loop {
            let published = {
                let Ok(_permit) = self.publishing.acquire().await else { return Ok(()) };
                self.publish(id, 0, payload.clone()).await
            };
            match published {
                Ok(()) => return Ok(()),
                Err(reason @ (Reason::TooLarge(_) | Reason::NotAllowed(_))) => return Err(reason),
                Err(reason) => self.link.trouble("handing out an image", &reason),
            }
            self.link.pause().await;
        }
    }

    async fn publish(&self, id: &str, times: u32, payload: Bytes) -> Result<(), Reason> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, format!("{}.{id}.{times}", self.jobs));
        self.link.publish(self.subject(), headers, payload).await.map(drop)
    }

    /// Takes back what nobody has begun, tells who has, and waits for what they tell.
    async fn take_back(&self) {
        if self.left.is_cancelled() {
            return;
        }
        if let Err(reason) = self.link.take_away(IMAGES, &self.subject()).await {
            self.link.trouble("taking back a stopped run's images", &reason);
        }
        let subject = format!("{}.{}", self.link.names.subject("cancel"), self.jobs);
        if let Err(error) = self.link.client.publish(subject, Bytes::new()).await {
            tracing::debug!(%error, "telling that a run is stopped");
        }
        let end = Instant::now() + LONGEST_QUIET;
        while !self.lock().waiting.is_empty() && Instant::now() < end {
            let heard = self.heard.load(Ordering::Relaxed);
            tokio::time::sleep(QUIET).await;
            if self.heard.load(Ordering::Relaxed) == heard {
                break;
            }
        }
        self.ended.cancel();
    }

    fn subject(&self) -> String {
        format!("{}.{}", self.link.names.subject("image"), self.jobs)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew for QueueCrew {
    fn bring(&self, task: Task) -> BoxFuture<'_, Vec<Brought>> {
        self.brought(task).boxed()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.take_back().boxed()
    }
}

/// What was told, and for the targets that nothing was told of that they were left alone.
fn all_of(task: &Task, brought: Vec<Brought>) -> Vec<Brought> {
    let told = |rest: &Brought| brought.iter().find(|told| told.image.target == rest.image.target).cloned();
    task.left_alone(STOPPED).into_iter().map(|rest| told(&rest).unwrap_or(rest)).collect()
}

fn named(image: &ImageReport) -> u64 {
    let mut hasher = DefaultHasher::new();
    (image.source.to_string(), image.target.to_string()).hash(&mut hasher);
    hasher.finish()
}

#[derive(Deserialize)]
struct Subjects {
    state: SubjectState,
}

#[derive(Deserialize)]
struct SubjectState {
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}
