//! A process as part of its cluster: what it works on, and what it tells of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_nats::jetstream::consumer;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::desk::Desk;
use super::error::{Error, Reason};
use super::hands::Hands;
use super::lease::Lease;
use super::names::own_token;
use super::strangers::Strangers;
use super::streams::{IMAGES, RUNS, WORKERS};
use super::tally::Tally;
use super::{jobs, runs};
use crate::events::{ClusterNews, Observer, Queue};

/// How often it is told how things are.
const TOLD: Duration = Duration::from_secs(5);

/// A process that works for its cluster.
pub struct Replica {
    desk: Arc<Desk>,
}

/// How much a replica takes on.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// So many images at once: as they are mostly in place, more than are copied at once.
    pub images: usize,
}

impl Replica {
    /// One that does the work by these hands, and tells of its part in the cluster to `observer`.
    pub fn new(cluster: Arc<Cluster>, hands: Arc<dyn Hands>, observer: Arc<dyn Observer>) -> Self {
        let token = own_token();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = format!("{} {token}", host.trim()).trim().into();
        let tally = Arc::new(Tally::new(observer));
        Self {
            desk: Arc::new(Desk {
                cluster,
                hands,
                tally,
                name,
                token,
                owned: AtomicU64::new(0),
                strangers: Strangers::default(),
            }),
        }
    }

    /// What it is called, unlike any other.
    pub fn name(&self) -> &str {
        &self.desk.name
    }

    /// Works until `stop`; then everything that is not done is given back at once. Ends when all of it is. Dropped, it
    /// leaves its work to others, who have it after `ack_wait`.
    pub async fn work(&self, part: Part, stop: &CancellationToken) {
        let working = async {
            tokio::join!(
                runs::work(Arc::clone(&self.desk), stop.clone()),
                jobs::work(Arc::clone(&self.desk), part.images, stop.clone())
            );
        };
        tokio::select! {
            () = working => {}
            never = self.tell_on() => match never {},
            never = self.be_present(stop) => match never {},
        }
    }

    async fn tell_on(&self) -> Infallible {
        let (cluster, tally) = (&self.desk.cluster, &self.desk.tally);
        loop {
            tally.tell(&ClusterNews::Connected(cluster.is_connected()));
            let mut answer = Ok(());
            for queue in Queue::ALL {
                match cluster.backlog(queue).await {
                    Ok(messages) => tally.tell(&ClusterNews::Backlog { queue, messages }),
                    Err(error) => answer = Err(error),
                }
            }
            cluster.note_answer(&answer);
            if let Ok(count) = cluster.replicas().await {
                tally.tell(&ClusterNews::Replicas(count));
            }
            tally.tell(&ClusterNews::Connected(cluster.is_connected()));
            tokio::time::sleep(TOLD).await;
        }
    }

    /// A lease of its own says that it lives.
    async fn be_present(&self, stop: &CancellationToken) -> Infallible {
        let (desk, leases) = (&self.desk, self.desk.cluster.leases());
        let key = format!("replica.{}", desk.token);
        loop {
            if let Ok(Some(lease)) = Lease::take(&leases, &key, &desk.name, desk.cluster.ack_wait).await {
                tokio::select! {
                    () = lease.lost().cancelled() => {}
                    () = stop.cancelled() => {
                        lease.release().await;
                        return std::future::pending().await;
                    }
                }
            }
            desk.cluster.link.pause().await;
        }
    }
}

impl Cluster {
    /// How much work waits or is being done, over all replicas.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn backlog(&self, queue: Queue) -> Result<u64, Error> {
        let stream = self.link.names.stream(match queue {
            Queue::Runs => RUNS,
            Queue::Images => IMAGES,
        });
        // The consumer's count: a server that was killed may keep what it has been told is done, and gives it to nobody.
        let info = self.link.look::<consumer::Info>(format!("CONSUMER.INFO.{stream}.{WORKERS}")).await;
        let info = info.map_err(|reason| self.error("counting the work", reason))?;
        Ok(info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX))
    }

    /// All that was asked in a round was answered, or not: who only sees the connection would take three servers without a majority
    /// for well.
    fn note_answer(&self, answer: &Result<(), Error>) {
        let happened = &self.link.happened;
        match answer {
            Ok(()) if happened.answers(true) => tracing::info!("NATS answers again"),
            Err(error) if happened.is_up() && happened.answers(false) => {
                tracing::warn!(%error, "NATS is reached, and does not answer");
            }
            _ => {}
        }
    }

    /// How many replicas live.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn replicas(&self) -> Result<usize, Error> {
        let bucket = self.link.names.stream("leases");
        let question = json!({ "subjects_filter": format!("$KV.{bucket}.replica.*") });
        let info = self.link.ask::<Info>(format!("STREAM.INFO.KV_{bucket}"), &question).await;
        let info = info.map_err(|reason| self.error("counting the replicas", reason))?;
        Ok(info.state.subjects.map_or(0, |subjects| subjects.len()))
    }

    fn error(&self, operation: &str, reason: Reason) -> Error {
        self.link.error(operation, reason)
    }
}

#[derive(Deserialize)]
struct Info {
    state: State,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}
