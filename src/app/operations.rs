//! What the API asks of the daemon, on its way there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::imports::Imports;
use super::keys::{Answered, Keys, Seen};
use super::pushes::Pushes;
use crate::server::{ImportJob, Key, Operations, Refusal, SyncAccepted};
use crate::transfer::{Import, Pushed};

/// So many who ask wait for the daemon's answer at most.
const MOST_ASKING: usize = 64;

/// A rule is to run.
pub(super) struct Ask {
    pub(super) rule: String,
    pub(super) answer: oneshot::Sender<Result<SyncAccepted, Refusal>>,
}

/// The API's side.
pub(super) struct Operator {
    asks: mpsc::Sender<Ask>,
    imports: Arc<Imports>,
    pushes: Arc<Pushes>,
    keys: Mutex<Keys>,
    /// Held by who asks with a key, until the key is noted: of two equal requests at once one is the second.
    turn: tokio::sync::Mutex<()>,
}

impl Operator {
    /// Also what the daemon is asked.
    pub(super) fn new(imports: Arc<Imports>, pushes: Arc<Pushes>) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(MOST_ASKING);
        (Self { asks, imports, pushes, keys: Mutex::default(), turn: tokio::sync::Mutex::default() }, asked)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_once(&self, rule: &str, key: Key) -> Result<SyncAccepted, Refusal> {
        let _turn = self.turn.lock().await;
        match self.keys().look(&key, Instant::now()) {
            Seen::New => {}
            Seen::Same(Answered::Run(accepted)) => return Ok(accepted.clone()),
            Seen::Same(Answered::Import(_)) | Seen::Taken => return Err(Refusal::KeyTaken),
        }
        let accepted = self.ask(rule.to_owned()).await?;
        self.keys().note(key, Answered::Run(accepted.clone()), Instant::now());
        Ok(accepted)
    }

    async fn ask(&self, rule: String) -> Result<SyncAccepted, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(Ask { rule, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Stopping,
        })?;
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }
}

impl Operations for Operator {
    fn sync<'a>(&'a self, rule: &'a str, key: Option<Key>) -> BoxFuture<'a, Result<SyncAccepted, Refusal>> {
        async move {
            match key {
                Some(key) => self.ask_once(rule, key).await,
                None => self.ask(rule.to_owned()).await,
            }
        }
        .boxed()
    }

    fn pushed(&self, pushes: &[Pushed]) -> usize {
        self.pushes.tell(pushes)
    }

    fn import(&self, import: Import, key: Option<Key>) -> Result<ImportJob, Refusal> {
        // Held until the key is noted: of two equal requests at once one is the second.
        let mut keys = self.keys();
        let now = Instant::now();
        if let Some(key) = &key {
            match keys.look(key, now) {
                Seen::New => {}
                Seen::Same(Answered::Run(_)) | Seen::Taken => return Err(Refusal::KeyTaken),
                Seen::Same(Answered::Import(id)) => {
                    // One that has ended may be forgotten before its key is: then it is done anew.
                    if let Some(job) = self.imports.find(id) {
                        return Ok(job);
                    }
                }
            }
        }
        let job = self.imports.take(import)?;
        if let Some(key) = key {
            keys.note(key, Answered::Import(job.id.clone()), now);
        }
        Ok(job)
    }

    fn import_job(&self, id: &str) -> Option<ImportJob> {
        self.imports.find(id)
    }

    fn imports(&self, skip: usize, take: usize) -> (usize, Vec<ImportJob>) {
        self.imports.list(skip, take)
    }
}
