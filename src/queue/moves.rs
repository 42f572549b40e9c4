//! What replicas tell each other of tags that move, by the bucket `moves`: what stands there is going on, and what is over
//! leaves the mark of something deleted.
//!
//! What was begun by two at the same time, or by one who died, is never over: it grows too old. Until then nobody
//! believes what he sees of that tag, which costs a request a run.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::bucket::{Bucket, Standing};
use super::cluster::Cluster;
use super::error::Error;
use super::names::wide;
use crate::content::Location;
use crate::oci::Tag;
use crate::transfer::{Movable, Moves};

/// This process's part in it.
pub struct ToldMoves(Bucket);

impl ToldMoves {
    /// Tells the cluster, and asks it.
    pub fn new(cluster: &Cluster) -> Self {
        Self(cluster.moves())
    }

    async fn try_to_begin(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.0.create(key, Bytes::new()).await? {
            // Written over what the other has begun: he cannot say either that nobody moves it any more.
            None => self.0.put(key, Bytes::new()).await.map(|_| None),
            begun => Ok(begun),
        }
    }
}

impl Moves for ToldMoves {
    fn begin(&self, what: Movable) -> BoxFuture<'_, Option<u64>> {
        async move {
            let key = key(&what);
            loop {
                match self.try_to_begin(&key).await {
                    Ok(begun) => return begun,
                    Err(error) => tracing::debug!(%error, "telling that a tag is moved: it waits for that"),
                }
                self.0.pause().await;
            }
        }
        .boxed()
    }

    fn end(&self, what: Movable, begun: u64) -> BoxFuture<'_, Option<u64>> {
        async move {
            let ended = self.0.delete(&key(&what), begun).await;
            ended.inspect_err(|error| tracing::debug!(%error, "telling that a tag was moved")).ok().flatten()
        }
        .boxed()
    }

    fn last(&self, what: Movable) -> BoxFuture<'_, Option<u64>> {
        async move {
            match self.0.standing(&key(&what)).await {
                Ok(Standing::Nothing) => Some(0),
                Ok(Standing::Deleted(revision)) => Some(revision),
                Ok(Standing::Entry(_)) => None,
                Err(error) => {
                    tracing::debug!(%error, "asking who moves a tag");
                    None
                }
            }
        }
        .boxed()
    }
}

/// Where it is told of something: `tag.<hash>` or `repository.<hash>`.
pub(super) fn key(what: &Movable) -> String {
    match what {
        Movable::Tag(location, tag) => format!("tag.{:032x}", name(location, tag)),
        Movable::Repository(location) => format!("repository.{:032x}", wide(&location.to_string())),
    }
}

/// A tag as a number.
pub(super) fn name(location: &Location, tag: &Tag) -> u128 {
    wide(&format!("{location}:{tag}"))
}
