//! What the parts of a replica work with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::claim::Claim;
use super::cluster::Cluster;
use super::hands::Hands;
use super::pull::Puller;
use super::strangers::Strangers;
use super::tally::Tally;

/// One replica's.
pub(super) struct Desk {
    pub(super) cluster: Arc<Cluster>,
    pub(super) hands: Arc<dyn Hands>,
    pub(super) tally: Arc<Tally>,
    /// Unlike that of any other replica.
    pub(super) name: Arc<str>,
    /// The same as a part of a subject.
    pub(super) token: String,
    pub(super) owned: AtomicU64,
    pub(super) strangers: Strangers,
}

impl Desk {
    /// Names an owner of a run: this replica, this time.
    pub(super) fn owner(&self) -> String {
        format!("{}-{}", self.token, self.owned.fetch_add(1, Ordering::Relaxed))
    }

    /// Who pulls a stream's work; none if it was stopped before that was possible.
    pub(super) async fn puller(&self, stream: &str, stop: &CancellationToken) -> Option<Puller> {
        let pulling = async {
            loop {
                match Puller::new(&self.cluster.link, stream).await {
                    Ok(puller) => return puller,
                    Err(reason) => tracing::debug!(%reason, "beginning to pull work"),
                }
                self.cluster.link.pause().await;
            }
        };
        stop.run_until_cancelled(pulling).await
    }
}

impl Claim {
    /// A message that a newer replica has to have. The number of its deliveries is begun anew before anybody could take
    /// it for poison.
    pub(super) async fn left_for_newer(&self, stop: &CancellationToken) {
        const PAUSE: Duration = Duration::from_secs(5);
        let wait = if stop.is_cancelled() { Duration::ZERO } else { PAUSE };
        if self.place().deliveries < 3 { self.later(wait).await } else { self.anew(wait).await }
    }
}
