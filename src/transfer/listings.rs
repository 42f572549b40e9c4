//! What registries list, read once for all rules of a pass.

use std::hash::Hash;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::once::Once;
use super::store::Store;
use crate::content::{Error, Location, Pull};
use crate::oci::{Host, Repository, Tag};
use crate::registry::{Access, Registries};

/// Tag lists and catalogs as they were when one of the runs that share them asked first.
///
/// They do not see what those runs write. Whoever deletes at the target what the source no longer has goes by the
/// target's tags as they stand here, not by newer ones: those may have been brought by another from a newer source.
#[derive(Default)]
pub struct Listings {
    /// By side too, since a login that may write is asked for another right.
    tags: Shared<(Access, Location), Option<Arc<[Tag]>>>,
    catalogs: Shared<Host, Arc<[Repository]>>,
}

/// Failures are shared too: a registry that is away is waited for once, not once for each who asks.
type Shared<K, V> = Once<K, Result<V, Error>>;

/// The answer that there is, or the one that is under way, or that of `ask`. Who is stopped leaves the asking to the
/// next.
async fn shared<K: Eq + Hash + Clone, V: Clone>(
    answers: &Shared<K, V>,
    key: K,
    ask: impl Future<Output = Result<V, Error>>,
) -> Result<V, Error> {
    let ask = async {
        match ask.await {
            Err(stopped) if stopped.is_cancelled() => Err(stopped),
            answer => Ok(answer),
        }
    };
    answers.get(&key, ask).await?
}

impl Listings {
    /// All tags of a repository, or `None` if there is no such repository. `access` is what the store was made for.
    pub(super) async fn tags(&self, store: &Store, access: Access) -> Result<Option<Arc<[Tag]>>, Error> {
        let ask = async { Ok(store.tags().await?.map(Arc::from)) };
        shared(&self.tags, (access, store.location().clone()), ask).await
    }

    /// All repositories of a registry.
    pub(super) async fn catalog(
        &self,
        registries: &Registries,
        host: &Host,
        cancel: &CancellationToken,
    ) -> Result<Arc<[Repository]>, Error> {
        let ask = async { registries.catalog(host, &Arc::default(), cancel).await.map(Arc::from) };
        shared(&self.catalogs, host.clone(), ask).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;
    use crate::content::Cause;

    fn error(cause: Cause) -> Error {
        Error::new("asking", cause)
    }

    #[tokio::test]
    async fn all_who_ask_side_by_side_get_one_answer_be_it_a_failure() {
        for failure in [None, Some(error(Cause::NotFound))] {
            let (once, asked) = (Shared::default(), AtomicU32::new(0));
            let ask = || async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                failure.clone().map_or(Ok("answer"), Err)
            };

            let answers = join_all((0..5).map(|_| shared(&once, "question", ask()))).await;

            assert!(answers.iter().all(|answer| answer.is_ok() == failure.is_none()));
            assert_eq!((answers.len(), asked.into_inner()), (5, 1));
        }
    }

    #[tokio::test]
    async fn who_is_stopped_or_dropped_leaves_the_asking_to_the_next() {
        let once = Shared::default();
        let stopped = shared(&once, "question", ready(Err(error(Cause::Cancelled)))).await;
        assert!(stopped.is_err_and(|error| error.is_cancelled()));
        assert!(shared(&once, "question", pending()).now_or_never().is_none());

        assert!(shared(&once, "question", ready(Ok("answer"))).await.is_ok_and(|answer| answer == "answer"));
    }
}
