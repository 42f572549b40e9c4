//! A cluster as one of its processes sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::bucket::Bucket;
use super::error::Error;
use super::link::Link;
use super::settings::Settings;

/// How often it is looked whether the streams are all there.
const LOOK: Duration = Duration::from_secs(15);

/// The connection to a cluster, its streams and its buckets.
#[derive(Debug)]
pub struct Cluster {
    pub(super) link: Arc<Link>,
    pub(super) ack_wait: Duration,
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
        link.ensure(&settings).await?;
        let ack_wait = settings.ack_wait;
        let keeping = AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&link), settings)));
        Ok(Self { link, ack_wait, _keeping: keeping })
    }

    /// Whether NATS is there now.
    pub fn is_connected(&self) -> bool {
        self.link.happened.is_up()
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

/// Makes streams again when they are lost, for as long as the cluster is there.
async fn keep(link: Arc<Link>, settings: Settings) {
    let mut connections = link.happened.connections();
    let mut failures = 0;
    loop {
        tokio::select! {
            changed = connections.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
        match link.ensure(&settings).await {
            Ok(()) => failures = 0,
            // A server that is just starting has nothing yet.
            Err(error) if failures == 0 || error.is_passing() => {
                failures += 1;
                tracing::debug!(%error, "looking after the streams");
            }
            Err(error) => tracing::error!(%error, "the cluster's streams"),
        }
    }
}
