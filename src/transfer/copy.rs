//! One blob on its way: mounted where that is possible, else streamed from one response into one request.
//!
//! Hundreds of blobs wait here for their turn. What speaks to a registry is boxed, so that they wait in 3 KiB each, not
//! in 25.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

use super::knowledge::{Flight, Known};
use super::lanes;
use super::plan::{PlannedBlob, Presence};
use super::progress::Progress;
use super::relay::Part;
use super::route::Route;
use super::shares::Permit;
use super::supply::Supply;
use crate::backoff::{Retries, RetryReason};
use crate::content::{BlobFound, Cause, Error, Mount, Pull, Push};
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
            self.context.observer.blob(&self.context.claimant.rule, outcome);
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
            Known::Nowhere => match knowledge.may_lie_in(location, &blob.digest) {
                // The same question as a HEAD's, and the upload is open if the answer is no.
                None if planned.presence == Presence::Unasked => Some(location.repository.clone()),
                elsewhere => elsewhere,
            },
        };
        let mut progress = Progress::new(blob);
        let outcome = self.transfer(blob, from, &mut progress).await?;
        // Whoever waits for what this transfer takes part in looks when the progress is dropped.
        knowledge.learn_blob(location, &blob.digest);
        drop((progress, alone));
        Ok(outcome)
    }

    /// Mounts or streams a blob. When the target breaks it off it goes on where the session stands, else from the start.
    async fn transfer(
        &self,
        blob: &Descriptor,
        mut from: Option<Repository>,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Error> {
        let mut at_source = Retries::new(self.source.patience());
        let mut at_target = Retries::new(self.target.patience());
        let (mut furthest, mut has_broken, mut begun_anew) = (0, false, false);
        loop {
            let broken = match self.attempt(blob, from.take(), progress).await {
                Ok(outcome) => return Ok(outcome),
                Err(broken) => broken,
            };
            if broken.has_other_sources() {
                if self.pause_and_look(blob, &broken, Duration::ZERO, progress).await? {
                    return Ok(BlobOutcome::Copied);
                }
                continue;
            }
            let retries = if broken.side.is_source() { &mut at_source } else { &mut at_target };
            let worth = broken
                .retry_reason()
                .and_then(|reason| Some((reason, retries.next(reason, broken.error.retry_after())?)));
            let Some((reason, pause)) = worth else {
                self.close(progress).await;
                // What is refused in the middle, or in chunks, may be had from the beginning, or whole.
                let in_the_middle = has_broken || broken.side == Side::SourceBody;
                if in_the_middle && broken.is_refused() && !std::mem::replace(&mut begun_anew, true) {
                    self.tell_retry(&broken, RetryReason::Server, Duration::ZERO);
                    progress.restart(blob);
                    continue;
                }
                return Err(broken.error);
            };
            has_broken = true;
            self.tell_retry(&broken, reason, pause);
            if self.pause_and_look(blob, &broken, pause, progress).await? {
                return Ok(BlobOutcome::Copied);
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
        progress: &mut Progress<S, T>,
    ) -> Result<bool, Error> {
        let looked = Box::pin(self.look(blob, broken, pause, progress)).await;
        if looked.is_err() {
            self.close(progress).await;
        }
        looked
    }

    async fn look(
        &self,
        blob: &Descriptor,
        broken: &Broken,
        pause: Duration,
        progress: &mut Progress<S, T>,
    ) -> Result<bool, Error> {
        // Nobody waits for one who pauses.
        progress.part = None;
        self.context.unless_stopped(tokio::time::sleep(pause)).await?;
        if matches!(broken.side, Side::SourceOpening | Side::TargetOpening) {
            return Ok(false);
        }
        if broken.may_be_done() && self.context.unless_stopped(self.target.find_blob(blob)).await?? == BlobFound::Whole
        {
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
        progress.restart(blob);
        Ok(false)
    }

    /// One try.
    async fn attempt(
        &self,
        blob: &Descriptor,
        from: Option<Repository>,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Broken> {
        if let Some(from) = &from {
            match Box::pin(self.target.mount(blob, from)).await.map_err(Broken::finally)? {
                Mount::Done if *from == self.target.location().repository => return Ok(BlobOutcome::Present),
                Mount::Done => return Ok(BlobOutcome::Mounted),
                Mount::Session(session) => progress.open = Some((session, 0)),
            }
        }
        let supply = self.context.unless_stopped(self.supply(blob, progress)).await.map_err(Broken::finally)?;
        match supply {
            Supply::Source(part) => self.read_source(part, blob, progress).await,
            Supply::Join(part) => self.read_along(part, blob, progress).await,
            Supply::Sibling(sibling) => self.read_sibling(sibling, blob, progress).await,
        }
    }

    /// Reads the source; other targets may read along.
    async fn read_source(
        &self,
        part: Option<Part<S::Blob>>,
        blob: &Descriptor,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Broken> {
        let (from_start, this) = (progress.may_join(), self.target.location());
        let (source, target) = self.lanes(self.source).await?;
        let _working = self.working().await?;
        let bytes = Box::pin(self.open(&source, &target, blob, progress)).await?;
        progress.part = part;
        match progress.part.as_ref().filter(|_| from_start) {
            Some(part) => {
                let tap = part.share(bytes, blob.size, &progress.trail, this);
                self.stream(&target, blob, tap, progress).await
            }
            None => self.stream(&target, blob, bytes, progress).await,
        }
    }

    /// Reads along with another target.
    async fn read_along(
        &self,
        part: Part<S::Blob>,
        blob: &Descriptor,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Broken> {
        let lane = self.context.unless_stopped(self.target.in_lanes(1)).await;
        let target = lane.map_err(Broken::finally)?;
        let _working = self.working().await?;
        Box::pin(self.open_session(&target, blob, progress)).await?;
        let joined = part.join(self.target.location());
        progress.part = Some(part);
        let Some((tap, trail)) = joined else {
            let what = format!("reading blob {blob} along with another target");
            return Err(Broken { error: Error::new(what, Cause::LeftBehind), side: Side::TargetOpening });
        };
        progress.trail = trail;
        self.stream(&target, blob, tap, progress).await
    }

    /// Reads another target. If that does not work, it is not read again for this blob.
    async fn read_sibling(
        &self,
        sibling: &T,
        blob: &Descriptor,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Broken> {
        let (from, target) = self.lanes(sibling).await?;
        let _working = self.working().await?;
        let result = match Box::pin(self.open(&from, &target, blob, progress)).await {
            Ok(bytes) => self.stream(&target, blob, bytes, progress).await,
            Err(broken) => Err(broken),
        };
        result.map_err(|broken| {
            if !broken.side.is_source() {
                return broken;
            }
            progress.shunned.push(sibling.location().clone());
            Broken { side: Side::Sibling, ..broken }
        })
    }

    async fn lanes<P: Pull>(&self, from: &P) -> Result<(P, T), Broken> {
        self.context.unless_stopped(lanes::both(from, self.target)).await.map_err(Broken::finally)
    }

    /// Leave to transfer, which the observer is told of.
    async fn working(&self) -> Result<(Permit, InFlight<'_>), Broken> {
        let permit = self.context.blobs.acquire(&self.target.location().host, &self.context.claimant);
        let permit = self.context.unless_stopped(permit).await.map_err(Broken::finally)?;
        Ok((permit, InFlight::new(&*self.context.observer)))
    }

    /// Opens both sides at once.
    async fn open<P: Pull>(
        &self,
        from: &P,
        target: &T,
        blob: &Descriptor,
        progress: &mut Progress<S, T>,
    ) -> Result<P::Blob, Broken> {
        let (trail, offset) = (Arc::clone(&progress.trail), progress.offset());
        let bytes = self.context.unless_stopped(from.blob(blob, &trail, offset));
        let (bytes, opened) = tokio::join!(bytes, self.open_session(target, blob, progress));
        opened?;
        bytes.map_err(Broken::finally)?.map_err(|error| Broken { error, side: Side::SourceOpening })
    }

    async fn open_session(&self, target: &T, blob: &Descriptor, progress: &mut Progress<S, T>) -> Result<(), Broken> {
        if progress.open.is_none() {
            let opened = target.open_upload(blob).await;
            let session = opened.map_err(|error| Broken { error, side: Side::TargetOpening })?;
            progress.open = Some((session, 0));
        }
        Ok(())
    }

    async fn stream(
        &self,
        target: &T,
        blob: &Descriptor,
        bytes: impl Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
        progress: &mut Progress<S, T>,
    ) -> Result<BlobOutcome, Broken> {
        let Some((session, offset)) = &mut progress.open else { return Err(Broken::finally(self.context.stopped())) };
        let at_source = Arc::new(AtomicBool::new(false));
        let noting = Arc::clone(&at_source);
        let bytes = bytes.inspect_err(move |_| noting.store(true, Ordering::Relaxed));
        match Box::pin(target.upload(session, blob, *offset, bytes)).await {
            Ok(()) => Ok(BlobOutcome::Copied),
            Err(error) => {
                if error.is_left_behind() {
                    self.relays.note_slow(self.target.location());
                    progress.alone = true;
                }
                let side = if at_source.load(Ordering::Relaxed) { Side::SourceBody } else { Side::Target };
                Err(Broken { error, side })
            }
        }
    }

    /// Closes the upload session that a transfer leaves behind, if it does.
    async fn close(&self, progress: &mut Progress<S, T>) {
        if let Some((session, _)) = progress.open.take() {
            Box::pin(self.target.abandon(&session)).await;
        }
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
    /// At another target, which was read.
    Sibling,
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

    /// Whether the bytes are to be had elsewhere, at once.
    fn has_other_sources(&self) -> bool {
        self.side == Side::Sibling || self.error.is_left_behind()
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
            Side::Sibling | Side::Neither => None,
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
