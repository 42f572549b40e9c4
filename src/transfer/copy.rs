//! One blob on its way: mounted where that is possible, else streamed from one response into one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::knowledge::{Flight, Known};
use super::plan::{PlannedBlob, Presence};
use super::route::Route;
use crate::backoff::{Patience, RetryReason};
use crate::content::{Begun, Error, Pull, Push};
use crate::events::{BlobOutcome, Observer, Retry};
use crate::oci::Descriptor;

/// Wrong bytes are fetched this often in all: a fault on the way passes, a broken source does not.
const MAX_DIGEST_TRIES: u32 = 3;

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Brings one blob to where it belongs, and counts it.
    pub(super) async fn place(&self, blob: &PlannedBlob) -> Result<(), Error> {
        let result = match blob.presence {
            Presence::Present => Ok(BlobOutcome::Present),
            Presence::Mountable | Presence::Missing => self.place_missing(&blob.descriptor).await,
        };
        let outcome = *result.as_ref().unwrap_or(&BlobOutcome::Failed);
        let stopped = result.as_ref().is_err_and(Error::is_cancelled);
        if !stopped && self.tally.count(&blob.descriptor, outcome) {
            self.context.observer.blob(&self.context.rule, outcome);
        }
        result.map(drop)
    }

    /// One task brings a blob to a registry; others that need it there wait, and mount it or find it.
    async fn place_missing(&self, blob: &Descriptor) -> Result<BlobOutcome, Error> {
        let knowledge = &self.context.knowledge;
        let location = self.target.location();
        let into = Flight::BlobInto(location.clone(), blob.digest.clone());
        let _alone_here = self.context.unless_stopped(knowledge.flight(into)).await?;

        let mut alone = None;
        if knowledge.blob(location, &blob.digest) == Known::Nowhere {
            let flight = Flight::Blob(location.host.clone(), blob.digest.clone());
            alone = Some(self.context.unless_stopped(knowledge.flight(flight)).await?);
        }
        let (outcome, session) = match knowledge.blob(location, &blob.digest) {
            Known::Here => return Ok(BlobOutcome::Present),
            Known::Nowhere => (BlobOutcome::Copied, None),
            Known::Elsewhere(from) => {
                drop(alone.take());
                match self.context.unless_stopped(self.target.begin_upload(blob, Some(&from))).await?? {
                    Begun::Mounted => (BlobOutcome::Mounted, None),
                    Begun::Session(session) => (BlobOutcome::Copied, Some(session)),
                }
            }
        };
        if outcome == BlobOutcome::Copied {
            self.transfer(blob, session).await?;
        }
        knowledge.learn_blob(location, &blob.digest);
        drop(alone);
        Ok(outcome)
    }

    /// Streams a blob, from the start again when it breaks on the way.
    async fn transfer(&self, blob: &Descriptor, mut session: Option<T::Upload>) -> Result<(), Error> {
        let _permit = self.context.unless_stopped(self.context.blobs.acquire()).await?;
        let _told = InFlight::new(&*self.context.observer);
        let started = Instant::now();
        let mut pauses = Patience::STANDARD.pauses();
        let mut digest_tries = 0;
        loop {
            let broken = match self.stream(blob, session.take()).await? {
                Ok(()) => return Ok(()),
                Err(broken) => broken,
            };
            let Some(reason) = broken.error.retry_reason() else {
                return Err(broken.error);
            };
            digest_tries += u32::from(reason == RetryReason::Digest);
            let pause = pauses.next(Patience::STANDARD.max_elapsed, started.elapsed(), broken.error.retry_after());
            let Some(pause) = pause.filter(|_| digest_tries < MAX_DIGEST_TRIES) else {
                return Err(broken.error);
            };
            let registry = if broken.at_source { self.source.location() } else { self.target.location() };
            self.context.observer.retry(&Retry { registry: &registry.host, reason, pause, error: &broken.error });
            self.context.unless_stopped(tokio::time::sleep(pause)).await?;
            // A commit whose answer was lost may have happened.
            if !broken.at_source && self.context.unless_stopped(self.target.has_blob(blob)).await?? {
                return Ok(());
            }
        }
    }

    /// One try. The outer error is final; the inner one tells of a break on the way.
    async fn stream(&self, blob: &Descriptor, session: Option<T::Upload>) -> Result<Result<(), Broken>, Error> {
        let opening = async { tokio::join!(self.source.blob(blob), self.session(blob, session)) };
        let (bytes, session) = match self.context.unless_stopped(opening).await? {
            (Ok(bytes), Ok(Some(session))) => (bytes, session),
            // Mounted after all: some registries find the blob by themselves.
            (_, Ok(None)) => return Ok(Ok(())),
            (Err(error), Ok(Some(session))) => {
                self.target.abandon(&session).await;
                return Err(error);
            }
            (_, Err(error)) => return Err(error),
        };

        let at_source = Arc::new(AtomicBool::new(false));
        let noting = Arc::clone(&at_source);
        let bytes = bytes
            .inspect_err(move |_| noting.store(true, Ordering::Relaxed))
            // Ends the body short of its length, which the target cannot take for a whole one. A body that is sent
            // whole is not cut any more.
            .take_until(self.context.cancel.clone().cancelled_owned());
        let Err(error) = self.target.upload(&session, blob, bytes).await else {
            return Ok(Ok(()));
        };
        self.target.abandon(&session).await;
        if self.context.cancel.is_cancelled() {
            return Err(self.context.stopped());
        }
        Ok(Err(Broken { error, at_source: at_source.load(Ordering::Relaxed) }))
    }

    async fn session(&self, blob: &Descriptor, open: Option<T::Upload>) -> Result<Option<T::Upload>, Error> {
        if open.is_some() {
            return Ok(open);
        }
        Ok(match self.target.begin_upload(blob, None).await? {
            Begun::Session(session) => Some(session),
            Begun::Mounted => None,
        })
    }
}

/// A transfer that broke on the way, and on which side.
struct Broken {
    error: Error,
    at_source: bool,
}

/// Tells the observer that a transfer goes on, as long as it lives.
struct InFlight<'a>(&'a dyn Observer);

impl<'a> InFlight<'a> {
    fn new(observer: &'a dyn Observer) -> Self {
        observer.transfer_started();
        Self(observer)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.transfer_ended();
    }
}
