//! An import of which one side is a pipe: an image layout as a tar, in one pass.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::super::context::Context;
use super::super::engine::Engine;
use super::super::mode::Mode;
use super::super::tally::Tally;
use super::work::{Leg, Work};
use super::{Import, ImportError, Imported};
use crate::content::{Cause, Error, Location, Pull as _};
use crate::events::{self, BlobOutcome, ImageOutcome};
use crate::layout::Trust;
use crate::layout::archive::{self, Archive, Received};
use crate::oci::{Reference, Tag};
use crate::registry::Access;

impl Engine {
    /// Writes one image into a pipe. `import` names the pipe as its target; see [`archive::pipe`]. Where the image fails,
    /// the archive has no end that a reader takes for one.
    ///
    /// # Errors
    /// As [`Engine::import`], and if the pipe cannot be written.
    pub async fn export(
        &self,
        import: &Import,
        to: impl AsyncWrite + Send + Unpin + 'static,
        cancel: &CancellationToken,
    ) -> Result<Imported, ImportError> {
        let (context, mode) = self.piping(import, cancel);
        let (store, archive) =
            (self.source(&(&import.source).into())?, Archive::new(to, Arc::clone(&context.observer), cancel)?);
        let source = store.on_behalf_of(&Arc::default(), cancel);
        let leg = |name: &Reference| {
            let tally = Tally::default();
            let source = store.on_behalf_of(&tally.requests, cancel);
            Ok(Leg { source, target: archive.clone(), tag: name.tag.clone(), tally })
        };
        let imported = Work { context: &context, import, mode, source: &source }.run(leg).boxed().await?;
        if mode.changes() && imported.images.iter().all(|image| image.outcome == ImageOutcome::Copied) {
            archive.finish().await?;
        }
        Ok(imported)
    }

    /// Brings the image of an archive that comes through a pipe to its target. Blobs go to the first target's repository as
    /// they come; when all is there, it is an import like any other. A target without a tag gets the image's own, or
    /// `latest`.
    ///
    /// # Errors
    /// As [`Engine::import`], and if the archive is not sound. A blob that the target does not take ends it: what has come
    /// through a pipe cannot be read again. Then the target may have blobs that nothing names.
    pub async fn unpack(
        &self,
        import: &Import,
        from: impl AsyncRead + Send + Unpin,
        cancel: &CancellationToken,
    ) -> Result<Imported, ImportError> {
        let (context, mode) = self.piping(import, cancel);
        let access = if mode.changes() { Access::Push } else { Access::Pull };
        let store = |at: &Location, tally: &Tally| {
            Ok::<_, Error>(self.store(at, access, Trust::Whole)?.on_behalf_of(&tally.requests, cancel))
        };
        let (tally, first) = (Tally::default(), import.targets.first().map(Location::from));
        let Some(first) = first.or_else(|| import.all_tags_in.first().cloned()) else {
            return Err(Error::new("unpacking to no target", Cause::NotFound).into());
        };
        let target = store(&first, &tally)?;
        let unpacking = archive::unpack(from, mode.changes().then_some(&target)).boxed();
        let (parcel, received) = context.unless_stopped(unpacking).await??;
        note(&context, target.location(), &tally, &received, mode);

        let mut import = import.clone();
        for target in &mut import.targets {
            target.tag.get_or_insert_with(|| parcel.tag().unwrap_or_else(Tag::latest));
        }
        // What has been sent already is the first name's.
        let sent = Mutex::new(Some(tally));
        let leg = |name: &Reference| {
            let tally = sent.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            Ok(Leg { source: parcel.clone(), target: store(&name.into(), &tally)?, tag: name.tag.clone(), tally })
        };
        Work { context: &context, import: &import, mode, source: &parcel }.run(leg).boxed().await
    }

    /// Nothing is known of what goes through a pipe.
    fn piping(&self, import: &Import, cancel: &CancellationToken) -> (Context, Mode) {
        let mode = if import.dry_run { Mode::Plan } else { Mode::Execute };
        let context = self.context(&Arc::from(events::IMPORT), mode, cancel.clone());
        (Context { knowledge: Arc::default(), ..context }, mode)
    }
}

/// Counts what was sent while the archive was read.
fn note(context: &Context, target: &Location, tally: &Tally, received: &[Received], mode: Mode) {
    for Received { blob, is_new } in received.iter().filter(|_| mode.changes()) {
        context.knowledge.learn_blob(target, &blob.digest);
        let outcome = if *is_new { BlobOutcome::Copied } else { BlobOutcome::Present };
        if tally.count(blob, outcome) {
            context.observer.blob(events::IMPORT, outcome);
        }
    }
}
