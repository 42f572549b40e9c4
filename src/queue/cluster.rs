//! A cluster as one of its processes sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::bucket::Bucket;
use super::connect::PATIENCE;
use super::error::Error;
use super::link::Link;
use super::settings::Settings;
use super::streams::Streams;

/// How often it is looked whether the streams are all there.
const LOOK: Duration = Duration::from_secs(15);

/// The connection to a cluster, its streams and its buckets.
#[derive(Debug)]
pub struct Cluster {
    pub(super) link: Arc<Link>,
    pub(super) ack_wait: Duration,
    losses: watch::Receiver<u64>,
    _keeping: AbortOnDropHandle<()>,
}

impl Cluster {
    /// Connects, and makes the streams and buckets that are not there. What is lost later, connection or stream, is
    /// there again by itself.
    ///
    /// # Errors
    /// What NATS refuses and why, and what to do about it.
    pub async fn connect(settings: Settings) -> Result<Self, Error> {
        let link = Arc::new(Link::connect(&settings).await?);
        let streams = made(&link, &settings).await?;
        let ack_wait = settings.ack_wait;
        let (telling, losses) = watch::channel(0);
        let keeping = AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&link), settings, streams, telling)));
        Ok(Self { link, ack_wait, losses, _keeping: keeping })
    }

    /// Whether NATS is there, lets us in, and has JetStream for us. Nothing is made.
    ///
    /// # Errors
    /// What NATS refuses and why, and what to do about it.
    pub async fn reach(settings: &Settings) -> Result<(), Error> {
        let link = Link::connect(settings).await?;
        let account: Result<serde_json::Value, _> = link.look("INFO".to_owned()).await;
        account.map(drop).map_err(|reason| link.error("asking for JetStream", reason))
    }

    /// Whether NATS is there now, and answers.
    pub fn is_connected(&self) -> bool {
        self.link.happened.is_up() && self.link.happened.is_answering()
    }

    /// How many times streams were found to be lost, and made again: what was ordered before may be gone.
    pub fn losses(&self) -> watch::Receiver<u64> {
        self.losses.clone()
    }

    /// Something was not done and is tried again: that is told now and then, unless it passes by itself.
    pub fn trouble(&self, doing: &'static str, error: &Error) {
        self.link.trouble(doing, error.reason());
    }

    /// How long a process may be silent before its jobs and leases are others'.
    pub fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Who holds what; what is not renewed for `ack_wait` is gone.
    pub fn leases(&self) -> Bucket {
        Bucket::new(&self.link, "leases")
    }

    /// Which ticks were made runs.
    pub fn ticks(&self) -> Bucket {
        Bucket::new(&self.link, "ticks")
    }

    /// How the registries' limits are shared.
    pub fn shares(&self) -> Bucket {
        Bucket::new(&self.link, "shares")
    }

    /// Which tags are moved, and which were.
    pub fn moves(&self) -> Bucket {
        Bucket::new(&self.link, "moves")
    }

    /// What runs have seen in place.
    pub fn seen(&self) -> Bucket {
        Bucket::new(&self.link, "seen")
    }

    /// What saves requests.
    pub fn known(&self) -> Bucket {
        Bucket::new(&self.link, "known")
    }
}

/// Makes what is not there, with some patience for servers that have not found each other yet.
async fn made(link: &Link, settings: &Settings) -> Result<Streams, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match link.ensure(settings).await {
            Err(error) if error.is_passing() && Instant::now() < deadline => link.pause().await,
            made => return made.inspect(tell_scarce),
        }
    }
}

fn tell_scarce(streams: &Streams) {
    if streams.are_scarce {
        tracing::warn!(
            "fewer than three servers of NATS are there: streams are on one of them, and on three as soon as those are there"
        );
    }
}

/// Makes streams again when they are lost, for as long as the cluster is there.
async fn keep(link: Arc<Link>, settings: Settings, mut streams: Streams, losses: watch::Sender<u64>) {
    let mut connections = link.happened.connections();
    let mut failures = 0;
    loop {
        tokio::select! {
            changed = connections.changed() => if changed.is_err() { return },
            () = link.deleted.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        match link.ensure(&settings).await {
            Ok(now) => {
                failures = 0;
                if now.changed {
                    tracing::warn!(
                        "another replica keeps the cluster's streams by other settings: give all of them the same [cluster]"
                    );
                }
                if streams.are_scarce && !now.are_scarce {
                    tracing::info!("streams are kept on three servers of NATS");
                }
                let lost = streams.lost_in(&now);
                if !lost.is_empty() {
                    if let Err(reason) = link.forget_ticks().await {
                        link.trouble("forgetting which ticks were ordered", &reason);
                        continue;
                    }
                    let streams = lost.join(", ");
                    tracing::warn!(streams, "NATS has lost streams: they are made again, and rules run anew");
                    losses.send_modify(|count| *count += 1);
                }
                streams = now;
            }
            // A server that is just starting has nothing yet.
            Err(error) if failures == 0 || error.is_passing() => {
                failures += 1;
                tracing::debug!(%error, "looking after the streams");
            }
            Err(error) => tracing::error!(%error, "the cluster's streams"),
        }
    }
}
