//! Imports that the API was asked for: they wait their turn, run beside the rules with the engine's permits, and are kept
//! for a while when they have ended.

mod book;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::value::to_raw_value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::runs::Runs;
use crate::history::History;
use crate::server::{ImportJob, Refusal};
use crate::telemetry::Status;
use crate::telemetry::status::now;
use crate::transfer::{Engine, Import};
use book::{Book, Outcome};

/// So many are at work at once; more would only stand in the engine's own line.
const AT_ONCE: usize = 8;

/// The imports, for who asks for them and who does them.
pub(super) struct Imports {
    known: Mutex<Known>,
    taken: Notify,
    status: Arc<Status>,
}

#[derive(Default)]
struct Known {
    book: Book,
    count: u64,
    is_stopping: bool,
}

impl Imports {
    pub(super) fn new(status: Arc<Status>) -> Self {
        Self { known: Mutex::default(), taken: Notify::new(), status }
    }

    /// Takes one into the queue.
    pub(super) fn take(&self, import: Import) -> Result<ImportJob, Refusal> {
        let mut known = self.known();
        if known.is_stopping {
            return Err(Refusal::Stopping);
        }
        let id = self.status.id(known.count + 1);
        let job = known.book.take(id, import, now()).ok_or(Refusal::Full)?;
        known.count += 1;
        drop(known);
        self.tell(&job);
        self.taken.notify_one();
        Ok(job)
    }

    pub(super) fn find(&self, id: &str) -> Option<ImportJob> {
        self.known().book.find(id, Instant::now())
    }

    pub(super) fn list(&self, skip: usize, take: usize) -> (usize, Vec<ImportJob>) {
        self.known().book.list(skip, take, Instant::now())
    }

    fn begin(&self) -> Option<(ImportJob, Arc<Import>)> {
        let begun = self.known().book.begin(now())?;
        self.tell(&begun.0);
        Some(begun)
    }

    fn end(&self, id: &str, outcome: Outcome) {
        let ended = self.known().book.end(id, outcome, now(), Instant::now());
        if let Some(job) = ended {
            match &job.error {
                Some(error) => tracing::error!(import = id, error, "import failed"),
                None => tracing::info!(import = id, source = job.source, "import ended"),
            }
            self.tell(&job);
        }
    }

    fn give_up(&self) {
        let mut known = self.known();
        known.is_stopping = true;
        let why = "the daemon stopped before the import began: ask for it again";
        let given_up = known.book.give_up(why, now(), Instant::now());
        drop(known);
        given_up.iter().for_each(|job| self.tell(job));
    }

    fn tell(&self, job: &ImportJob) {
        self.status.feed().tell("import", job);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the imports. Dropped, it ends them where they are.
pub(super) struct Importing {
    imports: Arc<Imports>,
    history: Arc<History>,
    runs: Runs<Outcome>,
}

impl Importing {
    pub(super) fn new(imports: Arc<Imports>, history: Arc<History>) -> Self {
        Self { imports, history, runs: Runs::default() }
    }

    /// Begins those that wait, as far as there is room, and waits until one has ended or is asked for. Cancel safe.
    pub(super) async fn step(&mut self, engine: &Arc<Engine>) {
        while self.runs.len() < AT_ONCE
            && let Some((job, import)) = self.imports.begin()
        {
            let (engine, history) = (Arc::clone(engine), Arc::clone(&self.history));
            self.runs.start(&job.id.into(), |cancel| async move {
                history.begin().await;
                let outcome = outcome(&engine, &import, &cancel).await;
                history.end();
                outcome
            });
        }
        tokio::select! {
            (id, ended) = self.runs.next_end() => {
                let fault = |fault| Outcome {
                    is_in_place: false,
                    result: Err(format!("a fault in regferry itself: {fault}; please report it")),
                };
                self.imports.end(&id, ended.unwrap_or_else(fault));
            }
            () = self.imports.taken.notified() => {}
        }
    }

    /// Stops those at work: commits are let through, then they end. Those that wait are not begun any more.
    pub(super) fn stop(&self) {
        self.imports.give_up();
        self.runs.stop_all();
    }

    /// Those at work.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Arc<str>> {
        self.runs.rules()
    }

    /// Ends all of them where they are.
    pub(super) async fn abort(&mut self) {
        self.runs.abort().await;
    }
}

async fn outcome(engine: &Engine, import: &Import, cancel: &CancellationToken) -> Outcome {
    match engine.import(import, cancel).await {
        Ok(imported) => Outcome {
            is_in_place: imported.is_in_place(),
            result: to_raw_value(&imported.result(import)).map(Into::into).map_err(|error| error.to_string()),
        },
        Err(error) => Outcome { is_in_place: false, result: Err(error.to_string()) },
    }
}
