//! One blob on its way: mounted where that is possible, else streamed from one response into one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;

use super::knowledge::{Flight, Known};
use super::plan::{PlannedBlob, Presence};
use super::route::Route;
use crate::backoff::{Patience, RetryReason};
use crate::content::{Error, Mount, Pull, Push};
use crate::events::{BlobOutcome, Observer, Retry};
use crate::oci::{Descriptor, Repository};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Brings one blob to where it belongs, and counts it.
    pub(super) async fn place(&self, blob: &PlannedBlob) -> Result<(), Error> {
        let result = match blob.presence {
            Presence::Present => Ok(BlobOutcome::Present),
            Presence::Missing | Presence::Unasked => self.place_missing(blob).await,
        };
        let outcome = *result.as_ref().unwrap_or(&BlobOutcome::Failed);
        let stopped = result.as_ref().is_err_and(Error::is_cancelled);
        if !stopped && self.tally.count(&blob.descriptor, outcome) {
            self.context.observer.blob(&self.context.rule, outcome);
        }
        result.map(drop)
    }

    /// One task brings a blob to a registry; others that need it there wait, and mount it or find it.
    async fn place_missing(&self, planned: &PlannedBlob) -> Result<BlobOutcome, Error> {
        let (knowledge, location, blob) = (&self.context.knowledge, self.target.location(), &planned.descriptor);
        let into = Flight::BlobInto(location.clone(), blob.digest.clone());
        let _alone_here = self.context.unless_stopped(knowledge.flight(into)).await?;

        let mut alone = None;
        if knowledge.blob(location, &blob.digest) == Known::Nowhere {
            let flight = Flight::Blob(location.host.clone(), blob.digest.clone());
            alone = Some(self.context.unless_stopped(knowledge.flight(flight)).await?);
        }
        let from = match knowledge.blob(location, &blob.digest) {
            Known::Here => return Ok(BlobOutcome::Present),
            Known::Elsewhere(from) => {
                alone = None;
                Some(from)
            }
            // The same question as a HEAD's, and the upload is open if the answer is no.
            Known::Nowhere if planned.presence == Presence::Unasked => Some(location.repository.clone()),
            Known::Nowhere => None,
        };
        let outcome = self.transfer(blob, from).await?;
        knowledge.learn_blob(location, &blob.digest);
        drop(alone);
        Ok(outcome)
    }

    /// Mounts or streams a blob; streams it from the start again when the target breaks it off.
    async fn transfer(&self, blob: &Descriptor, mut from: Option<Repository>) -> Result<BlobOutcome, Error> {
        let mut effort = Patience::STANDARD.effort();
        let mut waited = Duration::ZERO;
        loop {
            let broken = match self.attempt(blob, from.take()).await? {
                Ok(outcome) => return Ok(outcome),
                Err(broken) => broken,
            };
            // What broke at the source has been tried there already; bytes that were wrong have to come anew.
            let reason = broken.error.retry_reason();
            let reason = reason.filter(|reason| !broken.at_source || *reason == RetryReason::Digest);
            let worth = reason.and_then(|reason| {
                // What was spent on moving bytes is no reason to give up: only the pauses count.
                let limit = Patience::STANDARD.max_elapsed;
                Some((reason, effort.next(reason, limit, waited, broken.error.retry_after())?))
            });
            let Some((reason, pause)) = worth else {
                self.target.abandon(&broken.session).await;
                return Err(broken.error);
            };
            waited += pause;
            let registry = if broken.at_source { self.source.location() } else { self.target.location() };
            self.context.observer.retry(&Retry { registry: &registry.host, reason, pause, error: &broken.error });
            let mended = self.pause_and_look(blob, &broken, pause).await;
            if matches!(mended, Ok(true)) {
                return Ok(BlobOutcome::Copied);
            }
            self.target.abandon(&broken.session).await;
            mended?;
        }
    }

    /// Waits; then tells whether the blob has arrived all the same: a commit whose answer was lost may have happened.
    async fn pause_and_look(
        &self,
        blob: &Descriptor,
        broken: &Broken<T::Upload>,
        pause: Duration,
    ) -> Result<bool, Error> {
        self.context.unless_stopped(tokio::time::sleep(pause)).await?;
        if broken.at_source {
            return Ok(false);
        }
        self.context.unless_stopped(self.target.has_blob(blob)).await?
    }

    /// One try. The outer error is final; the inner one tells of a break on the way.
    async fn attempt(
        &self,
        blob: &Descriptor,
        from: Option<Repository>,
    ) -> Result<Result<BlobOutcome, Broken<T::Upload>>, Error> {
        let _permit = self.context.unless_stopped(self.context.blobs.acquire()).await?;
        let mut open = None;
        if let Some(from) = &from {
            match self.target.mount(blob, from).await? {
                Mount::Done if *from == self.target.location().repository => return Ok(Ok(BlobOutcome::Present)),
                Mount::Done => return Ok(Ok(BlobOutcome::Mounted)),
                Mount::Session(session) => open = Some(session),
            }
        }
        let _told = InFlight::new(&*self.context.observer);
        let opening = async {
            match open {
                Some(session) => Ok(session),
                None => self.target.open_upload(blob).await,
            }
        };
        let (bytes, session) = tokio::join!(self.context.unless_stopped(self.source.blob(blob)), opening);
        let session = session?;
        match bytes.and_then(|bytes| bytes) {
            Ok(bytes) => Ok(self.stream(blob, bytes, session).await),
            Err(error) => {
                self.target.abandon(&session).await;
                Err(error)
            }
        }
    }

    async fn stream(
        &self,
        blob: &Descriptor,
        bytes: S::Blob,
        session: T::Upload,
    ) -> Result<BlobOutcome, Broken<T::Upload>> {
        let at_source = Arc::new(AtomicBool::new(false));
        let noting = Arc::clone(&at_source);
        let bytes = bytes.inspect_err(move |_| noting.store(true, Ordering::Relaxed));
        match self.target.upload(&session, blob, bytes).await {
            Ok(()) => Ok(BlobOutcome::Copied),
            Err(error) => Err(Broken { error, session, at_source: at_source.load(Ordering::Relaxed) }),
        }
    }
}

/// A transfer that broke on the way, and on which side.
struct Broken<U> {
    error: Error,
    session: U,
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
