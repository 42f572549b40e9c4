//! Keeping this process's part of the registries' limits, by the documents in the bucket `shares`: one for each limit.
//! `shares/` says what to write; here it is read and written.

mod side;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::names::own_token;
use super::shares::Timing;
use crate::events::Observer;
use crate::oci::Host;
use crate::registry::{Allotments, Shared};
use side::Side;

/// No limit is looked at more often than this, whatever happens.
const SPACE: Duration = Duration::from_millis(100);

/// This process's side of all limits that a cluster shares.
pub struct Sharing {
    cluster: Arc<Cluster>,
    allotments: Arc<Allotments>,
    observer: Arc<dyn Observer>,
    me: String,
}

impl Sharing {
    /// Keeps the parts of these limits, and tells `observer` of them.
    pub fn new(cluster: Arc<Cluster>, allotments: Arc<Allotments>, observer: Arc<dyn Observer>) -> Self {
        Self { cluster, allotments, observer, me: own_token() }
    }

    /// Goes on until `stop`, which gives all parts back. Dropped, it leaves them to others after some seconds.
    pub async fn keep(&self, stop: &CancellationToken) {
        let mut sides: HashMap<(Host, Shared), (CancellationToken, Arc<Notify>)> = HashMap::new();
        let (mut keeping, mut begun) = (JoinSet::new(), 0u64);
        while !stop.is_cancelled() {
            let shared = self.allotments.shared();
            sides.retain(|limit, (gone, _)| {
                let is_there = shared.contains(limit);
                if !is_there {
                    gone.cancel();
                }
                is_there
            });
            for limit in shared {
                let (gone, poked) = sides.entry(limit.clone()).or_insert_with(|| {
                    let (gone, poked) = (stop.child_token(), Arc::new(Notify::new()));
                    begun += 1;
                    keeping.spawn(self.side(begun, limit).keep(Arc::clone(&poked), gone.clone()));
                    (gone, poked)
                });
                if !gone.is_cancelled() {
                    poked.notify_one();
                }
            }
            while keeping.try_join_next().is_some() {}
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.allotments.changed() => tokio::time::sleep(SPACE).await,
                () = tokio::time::sleep(Timing::STANDARD.beat) => {}
            }
        }
        while keeping.join_next().await.is_some() {}
    }

    fn side(&self, number: u64, limit: (Host, Shared)) -> Side {
        // A limit that is gone and comes back may have its former side beside it for a moment.
        let me = format!("{}-{number}", self.me);
        Side::new(&self.cluster, Arc::clone(&self.allotments), Arc::clone(&self.observer), me, limit)
    }
}
