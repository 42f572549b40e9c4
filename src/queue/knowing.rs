//! What replicas tell each other of blobs, by the bucket `known`: in the background, and none waits for it.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::bucket::Bucket;
use super::cluster::Cluster;
use super::message::{Read, read, written};
use super::names::token;
use crate::content::Location;
use crate::oci::Digest;
use crate::transfer::{BlobPlace, Hearsay};

/// So many things are being told at once.
const AT_ONCE: usize = 16;

/// This process's part in what all replicas know.
pub struct Knowing {
    bucket: Bucket,
    hearsay: Arc<Hearsay>,
}

/// As it stands in the bucket.
#[derive(Serialize, Deserialize)]
struct Fact {
    location: Location,
    digest: Digest,
}

impl Knowing {
    /// Tells the others what `hearsay` is to tell, and it what the others say.
    pub fn new(cluster: &Cluster, hearsay: &Arc<Hearsay>) -> Self {
        Self { bucket: cluster.known(), hearsay: Arc::clone(hearsay) }
    }

    /// Goes on until `stop`. What is not told by then is not told.
    pub async fn keep(&self, stop: &CancellationToken) {
        let told = self.hearsay.listen();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.hear() => {}
            () = self.tell(told) => {}
        }
    }

    async fn hear(&self) {
        let mut watch = self.bucket.watch();
        while let Some(change) = watch.next().await {
            // What cannot be read is a newer replica's, or nobody's.
            if let Some(Read::Body(fact)) = change.value.as_deref().map(read::<Fact>) {
                self.hearsay.hear(fact.into());
            }
        }
    }

    async fn tell(&self, mut told: mpsc::Receiver<BlobPlace>) {
        let mut telling = FuturesUnordered::new();
        loop {
            tokio::select! {
                place = told.recv(), if telling.len() < AT_ONCE => match place {
                    Some(place) => telling.push(self.put(place)),
                    None => return,
                },
                Some(()) = telling.next() => {}
            }
        }
    }

    async fn put(&self, BlobPlace { location, digest }: BlobPlace) {
        let key = format!("blob.{}.{}", token(location.host.as_str()), digest.to_string().replace(':', "-"));
        let Ok(fact) = written(&Fact { location, digest }) else { return };
        if let Err(error) = self.bucket.put(&key, fact).await {
            self.bucket.trouble("telling of a blob", &error);
        }
    }
}

impl From<Fact> for BlobPlace {
    fn from(Fact { location, digest }: Fact) -> Self {
        Self { location, digest }
    }
}
