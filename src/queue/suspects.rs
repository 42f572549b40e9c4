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

/// Had by so many, of whom nobody came to its end, a job is a suspect.
pub(super) const SUSPECTED: u64 = 5;

/// A suspect is begun so often.
const TURNS: u64 = 3;

/// A replica's suspects, one at a time.
pub(super) struct Suspects {
    turn: Semaphore,
    /// It forgets after an hour; what is lost is that a job kills some replicas more.
    notes: Bucket,
}

/// What is done with a suspect.
#[derive(Debug)]
pub(super) enum Verdict {
    Begin,
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

    /// Waits for the turn of a suspect, which lasts as long as this is kept; none if it was stopped before.
    pub(super) async fn turn(&self, stop: &CancellationToken) -> Option<SemaphorePermit<'_>> {
        stop.run_until_cancelled(self.turn.acquire()).await?.ok()
    }

    /// Notes that a job of a run is begun, if it is not guilty. Whose job it is asks for it alone.
    ///
    /// # Errors
    /// If NATS does not take the note.
    pub(super) async fn judge(&self, run: &str, id: &str) -> Result<Verdict, Error> {
        let key = format!("suspect.{run}.{id}");
        let before = self.notes.get(&key).await?.map(|entry| read::<Begun>(&entry.value));
        let times = if let Some(Read::Body(begun)) = before { begun.times } else { 0 };
        if times >= TURNS {
            return Ok(Verdict::Guilty(SUSPECTED + times));
        }
        if let Ok(value) = written(&Begun { times: times + 1 }) {
            self.notes.put(&key, value).await?;
        }
        Ok(Verdict::Begin)
    }
}
