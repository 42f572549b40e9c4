//! Jobs that were given out too often. One of them kills whoever has it, and the others only lay there when it did.
//!
//! To tell them apart each is begun alone: a replica has one suspect at a time, and notes that it begins it. Who lies
//! beside one that kills comes through when its own turn is there; who dies at every turn is guilty.

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::bucket::Bucket;
use super::cluster::Cluster;
use super::error::Error;
use super::message::{Read, read, written};

/// Given out more often than that, and with nobody who came to its end, a job is a suspect.
pub(super) const SUSPECTED: u64 = 5;

/// A suspect is begun so often.
const TURNS: u64 = 3;

/// A replica's suspects, one at a time.
pub(super) struct Suspects {
    turn: Semaphore,
    /// It forgets after a day; what is lost is that a job kills some replicas more.
    notes: Bucket,
}

/// What is done with a suspect.
pub(super) enum Verdict<'s> {
    /// It is begun, with this as long as it takes.
    Turn(SemaphorePermit<'s>),
    /// So many replicas had it, and none came to its end.
    Guilty(u64),
}

#[derive(Serialize, Deserialize)]
struct Begun {
    times: u64,
}

impl Suspects {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self { turn: Semaphore::new(1), notes: cluster.known() }
    }

    /// Waits for the turn of a job of a run; none if it was stopped before.
    ///
    /// # Errors
    /// If NATS does not take the note.
    pub(super) async fn judge(
        &self,
        run: &str,
        id: &str,
        stop: &CancellationToken,
    ) -> Result<Option<Verdict<'_>>, Error> {
        let Some(Ok(turn)) = stop.run_until_cancelled(self.turn.acquire()).await else { return Ok(None) };
        let key = format!("suspect.{run}.{id}");
        let before = self.notes.get(&key).await?.map(|entry| read::<Begun>(&entry.value));
        let times = if let Some(Read::Body(begun)) = before { begun.times } else { 0 };
        if times >= TURNS {
            return Ok(Some(Verdict::Guilty(SUSPECTED + times)));
        }
        if let Ok(value) = written(&Begun { times: times + 1 }) {
            // Whose message it is writes alone.
            self.notes.put(&key, value).await?;
        }
        Ok(Some(Verdict::Turn(turn)))
    }
}
