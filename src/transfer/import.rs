//! An import: one image, resolved once, written to one or more targets.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::compare::{is_same, resolve_target};
use super::documents::Documents;
use super::engine::Engine;
use super::route::{Route, Tags};
use super::shape::Shape;
use super::store::Store;
use super::tally::{Tally, note_failure};
use crate::content::{Cause, Error, Pull, Push as _};
use crate::events::{self, ImageOutcome, ImageReport};
use crate::oci::{Digest, Reference, TagOrDigest};

/// One image to bring to some targets.
#[derive(Debug, Clone)]
pub struct Import {
    /// What is read. A tag is resolved once; if it moves meanwhile, that changes nothing.
    pub source: Reference,
    /// What is written: a reference with a tag is tagged, one without is left without a tag.
    pub targets: Vec<Reference>,
    /// Whether a target tag that points elsewhere may be moved.
    pub force: bool,
}

/// Why an import did not begin. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source could not be resolved, or a target not be asked.
    #[error("{}", .0.with_advice())]
    Content(#[from] Error),
    /// Target tags that exist and point elsewhere.
    #[error("{}; nothing was written: use --force to move {}", .0.join("; "), if .0.len() == 1 { "it" } else { "them" })]
    Conflict(Vec<String>),
}

/// A place that the image is to be brought to, and what it has now.
struct Target {
    store: Store,
    tag: Option<TagOrDigest>,
    found: Option<Digest>,
    tally: Tally,
}

impl Target {
    /// Names what it has as the source does, if it is the same.
    async fn agree_on(&mut self, digest: &Digest) -> Result<(), Error> {
        if let (Some(tag), Some(found)) = (&self.tag, &self.found)
            && is_same(&self.store, tag, found, digest).await?
        {
            self.found = Some(digest.clone());
        }
        Ok(())
    }
}

impl Engine {
    /// Brings one image to all targets. Each target's own failure stands in its report.
    ///
    /// # Errors
    /// If the source cannot be resolved, a target not be asked, or a target tag points elsewhere and `force` is not
    /// set: then nothing was written anywhere.
    pub async fn import(&self, import: &Import, cancel: &CancellationToken) -> Result<Vec<ImageReport>, ImportError> {
        let context = self.context(&Arc::from(events::IMPORT), cancel.clone());
        let uncounted = Arc::default();
        let source = self.source(&(&import.source).into())?.on_behalf_of(&uncounted, cancel);
        let (digest, targets) = context.unless_stopped(self.ask_all(import, &source, cancel)).await??;
        if !import.force {
            conflicts(&targets, &digest)?;
        }

        let (documents, relays) = (Documents::default(), Arc::default());
        let siblings: Vec<Store> = targets.iter().map(|target| target.store.clone()).collect();
        let mut reports = Vec::new();
        for target in &targets {
            let at = target.tag.clone().unwrap_or_else(|| TagOrDigest::Digest(digest.clone()));
            let clock = Instant::now();
            let mut report = ImageReport::new(import.source.clone(), target.store.location().reference(&at));
            report.digest = Some(digest.clone());
            let source = source.on_behalf_of(&target.tally.requests, cancel);
            let route = Route {
                source: &source,
                target: &target.store,
                siblings: &siblings,
                relays: &relays,
                context: &context,
                tally: &target.tally,
                tags: Tags::Move,
            };
            match bring(&route, &documents, target, &digest, &at).await {
                Ok(outcome) => report.outcome = outcome,
                Err(error) => note_failure(&mut report, &error),
            }
            target.tally.write_to(&mut report);
            report.elapsed = clock.elapsed();
            context.observer.image(events::IMPORT, &report);
            reports.push(report);
        }
        Ok(reports)
    }

    /// The source's digest, and what every target's tag points at; all asked together, before anything is written.
    async fn ask_all(
        &self,
        import: &Import,
        source: &Store,
        cancel: &CancellationToken,
    ) -> Result<(Digest, Vec<Target>), Error> {
        let digest = async {
            let from = source.meant(&import.source).await?;
            let found = source.resolve(&from).await?;
            found.ok_or_else(|| {
                let at = source.location();
                Error::new(format!("looking up manifest {from} of {at}"), Cause::NotFound).at(&at.host)
            })
        };
        let asking = try_join_all(import.targets.iter().map(|target| self.ask(target, cancel)));
        let (digest, mut targets) = tokio::try_join!(digest, asking)?;
        for target in &mut targets {
            target.agree_on(&digest).await?;
        }
        Ok((digest, targets))
    }

    async fn ask(&self, target: &Reference, cancel: &CancellationToken) -> Result<Target, Error> {
        let tally = Tally::default();
        let store = self.target(&target.into())?.on_behalf_of(&tally.requests, cancel);
        let tag = target.tag.clone().map(TagOrDigest::Tag);
        let found = match &tag {
            Some(tag) => store.resolve(tag).await?,
            None => None,
        };
        Ok(Target { store, tag, found, tally })
    }
}

/// Brings the image to one target, if it is not there already.
async fn bring(
    route: &Route<'_, Store, Store>,
    documents: &Documents,
    target: &Target,
    digest: &Digest,
    at: &TagOrDigest,
) -> Result<ImageOutcome, Error> {
    let found = match &target.tag {
        Some(_) => target.found.clone(),
        None => route.context.unless_stopped(resolve_target(&target.store, at)).await??,
    };
    let mut outcome = ImageOutcome::Unchanged;
    if found.as_ref() != Some(digest) {
        route.bring(documents, &Shape::whole(digest.clone()), at).await?;
        outcome = ImageOutcome::Copied;
    }
    if target.tag.is_none() {
        target.store.keep_untagged(digest).await?;
    }
    Ok(outcome)
}

fn conflicts(targets: &[Target], digest: &Digest) -> Result<(), ImportError> {
    let conflicts: Vec<String> = targets
        .iter()
        .filter_map(|target| {
            let found = target.found.as_ref().filter(|found| *found != digest)?;
            let tag = target.store.location().reference(target.tag.as_ref()?);
            Some(format!("{tag} exists as {found}, the source is {digest}"))
        })
        .collect();
    if conflicts.is_empty() { Ok(()) } else { Err(ImportError::Conflict(conflicts)) }
}
