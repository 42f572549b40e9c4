//! One blob on its way: mounted where that is possible, else streamed from one response into one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;

use super::knowledge::{Flight, Known};
use super::lanes;
use super::plan::{PlannedBlob, Presence};
use super::route::Route;
use crate::backoff::{Retries, RetryReason};
use crate::content::{Cause, Error, Mount, Pull, Push, Trail};
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

    /// Mounts or streams a blob. When the target breaks it off it goes on where the session stands, else from the start.
    async fn transfer(&self, blob: &Descriptor, mut from: Option<Repository>) -> Result<BlobOutcome, Error> {
        let mut progress = Progress::new(blob);
        let mut at_source = Retries::new(self.source.patience());
        let mut at_target = Retries::new(self.target.patience());
        let (mut furthest, mut has_broken, mut begun_anew) = (0, false, false);
        loop {
            let broken = match self.attempt(blob, from.take(), &mut progress).await {
                Ok(outcome) => return Ok(outcome),
                Err(broken) => broken,
            };
            let retries = if broken.side.is_source() { &mut at_source } else { &mut at_target };
            let worth = broken
                .retry_reason()
                .and_then(|reason| Some((reason, retries.next(reason, broken.error.retry_after())?)));
            let Some((reason, pause)) = worth else {
                self.close(&mut progress).await;
                // What is refused in the middle, or in chunks, may be had from the beginning, or whole.
                let in_the_middle = has_broken || broken.side == Side::SourceBody;
                if in_the_middle && broken.is_refused() && !std::mem::replace(&mut begun_anew, true) {
                    self.tell_retry(&broken, RetryReason::Server, Duration::ZERO);
                    progress = Progress::new(blob);
                    continue;
                }
                return Err(broken.error);
            };
            has_broken = true;
            self.tell_retry(&broken, reason, pause);
            match self.pause_and_look(blob, &broken, pause, &mut progress).await {
                Ok(false) => {}
                Ok(true) => return Ok(BlobOutcome::Copied),
                Err(error) => {
                    self.close(&mut progress).await;
                    return Err(error);
                }
            }
            if progress.offset() > furthest {
                furthest = progress.offset();
                at_source.progressed();
                at_target.progressed();
            }
        }
    }

    fn tell_retry(&self, broken: &Broken, reason: RetryReason, pause: Duration) {
        let location = if broken.side.is_source() { self.source.location() } else { self.target.location() };
        self.context.observer.retry(&Retry { registry: &location.host, reason, pause, error: &broken.error });
    }

    /// Waits; then tells whether the blob has arrived all the same: a commit whose answer was lost may have happened.
    /// If not, it finds out where to go on.
    async fn pause_and_look(
        &self,
        blob: &Descriptor,
        broken: &Broken,
        pause: Duration,
        progress: &mut Progress<T::Upload>,
    ) -> Result<bool, Error> {
        self.context.unless_stopped(tokio::time::sleep(pause)).await?;
        if matches!(broken.side, Side::SourceOpening | Side::TargetOpening) {
            return Ok(false);
        }
        if broken.may_be_done() && self.context.unless_stopped(self.target.has_blob(blob)).await?? {
            return Ok(true);
        }
        let is_wrong = broken.error.retry_reason() == Some(RetryReason::Digest);
        let is_lost = matches!(broken.error.cause(), Cause::SessionLost);
        if let Some((session, offset)) = progress.open.as_mut().filter(|_| !is_wrong && !is_lost)
            && let Some(kept) = self.target.kept(session, blob).await
        {
            *offset = kept;
            return Ok(false);
        }
        self.close(progress).await;
        *progress = Progress::new(blob);
        Ok(false)
    }

    /// One try.
    async fn attempt(
        &self,
        blob: &Descriptor,
        from: Option<Repository>,
        progress: &mut Progress<T::Upload>,
    ) -> Result<BlobOutcome, Broken> {
        if let Some(from) = &from {
            match self.target.mount(blob, from).await.map_err(Broken::finally)? {
                Mount::Done if *from == self.target.location().repository => return Ok(BlobOutcome::Present),
                Mount::Done => return Ok(BlobOutcome::Mounted),
                Mount::Session(session) => progress.open = Some((session, 0)),
            }
        }
        let lanes = self.context.unless_stopped(lanes::both(self.source, self.target)).await;
        let (source, target) = lanes.map_err(Broken::finally)?;
        let _permit = self.context.unless_stopped(self.context.blobs.acquire()).await.map_err(Broken::finally)?;
        let _told = InFlight::new(&*self.context.observer);

        let bytes = source.blob(blob, &progress.trail, progress.offset());
        let opening = async {
            match progress.open {
                Some(_) => Ok(None),
                None => target.open_upload(blob).await.map(Some),
            }
        };
        let (bytes, opened) = tokio::join!(self.context.unless_stopped(bytes), opening);
        if let Some(session) = opened.map_err(|error| Broken { error, side: Side::TargetOpening })? {
            progress.open = Some((session, 0));
        }
        let bytes = bytes.map_err(Broken::finally)?.map_err(|error| Broken { error, side: Side::SourceOpening })?;
        self.stream(&target, blob, bytes, progress).await
    }

    async fn stream(
        &self,
        target: &T,
        blob: &Descriptor,
        bytes: S::Blob,
        progress: &mut Progress<T::Upload>,
    ) -> Result<BlobOutcome, Broken> {
        let Some((session, offset)) = &mut progress.open else { return Err(Broken::finally(self.context.stopped())) };
        let at_source = Arc::new(AtomicBool::new(false));
        let noting = Arc::clone(&at_source);
        let bytes = bytes.inspect_err(move |_| noting.store(true, Ordering::Relaxed));
        match target.upload(session, blob, *offset, bytes).await {
            Ok(()) => Ok(BlobOutcome::Copied),
            Err(error) => {
                let side = if at_source.load(Ordering::Relaxed) { Side::SourceBody } else { Side::Target };
                Err(Broken { error, side })
            }
        }
    }

    /// Closes the upload session that a transfer leaves behind, if it does.
    async fn close(&self, progress: &mut Progress<T::Upload>) {
        if let Some((session, _)) = progress.open.take() {
            self.target.abandon(&session).await;
        }
    }
}

/// How far a blob's transfer has come.
struct Progress<U> {
    trail: Arc<Trail>,
    /// The session at the target, and the bytes that it has.
    open: Option<(U, u64)>,
}

impl<U> Progress<U> {
    fn new(blob: &Descriptor) -> Self {
        Self { trail: Arc::new(Trail::of(blob)), open: None }
    }

    fn offset(&self) -> u64 {
        self.open.as_ref().map_or(0, |(_, offset)| *offset)
    }
}

/// A try that failed, and where.
struct Broken {
    error: Error,
    side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Before the source's first byte.
    SourceOpening,
    /// In the middle of its bytes, which have been asked for again and again.
    SourceBody,
    /// Before the target took a byte.
    TargetOpening,
    /// At the target.
    Target,
    /// On neither: it is over.
    Neither,
}

impl Side {
    fn is_source(self) -> bool {
        matches!(self, Self::SourceOpening | Self::SourceBody)
    }
}

impl Broken {
    fn finally(error: Error) -> Self {
        Self { error, side: Side::Neither }
    }

    /// Whether the target may have committed all the same: what was throttled, or was too large, it did not look at.
    fn may_be_done(&self) -> bool {
        let refused = matches!(self.error.cause(), Cause::BodyTooLarge { .. });
        self.side == Side::Target && !refused && self.error.retry_reason() != Some(RetryReason::Throttled)
    }

    /// Whether a side would not have what it was asked for.
    fn is_refused(&self) -> bool {
        let is_refusal = matches!(self.error.cause(), Cause::Refused(_) | Cause::Protocol(_) | Cause::NotFound);
        let is_final = is_refusal && self.error.retry_reason().is_none();
        is_final && matches!(self.side, Side::SourceOpening | Side::SourceBody | Side::Target)
    }

    fn retry_reason(&self) -> Option<RetryReason> {
        let reason = self.error.retry_reason();
        match self.side {
            Side::SourceOpening | Side::TargetOpening | Side::Target => reason,
            // Bytes that were wrong have to come anew.
            Side::SourceBody => reason.filter(|reason| *reason == RetryReason::Digest),
            Side::Neither => None,
        }
    }
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
