//! An import at work, between any source and any targets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::abreast::side_by_side;
use super::super::choice::ChoiceError;
use super::super::compare::Comparison;
use super::super::context::Context;
use super::super::documents::Documents;
use super::super::mode::Mode;
use super::super::original::Original;
use super::super::referrers::{Hung, Referrers, Search};
use super::super::relay::Relays;
use super::super::route::{Before, Route, Tags};
use super::super::shape::Shape;
use super::super::tally::{Tally, note_failure};
use super::names::names;
use super::{Import, ImportError, Imported};
use crate::content::{Cause, Error, Location, Pull, Push};
use crate::events::{self, ImageOutcome, ImageReport};
use crate::oci::{Digest, Reference, Tag, TagOrDigest};

/// What an import works with.
pub(super) struct Work<'a, S> {
    pub(super) context: &'a Context,
    pub(super) import: &'a Import,
    pub(super) mode: Mode,
    pub(super) source: &'a S,
}

/// One name at one target, with the two sides for the work on it.
pub(super) struct Leg<S, T> {
    pub(super) source: S,
    pub(super) target: T,
    pub(super) tag: Option<Tag>,
    pub(super) tally: Tally,
}

/// The image, once it is known what of it is wanted.
struct Chosen {
    shape: Shape,
    documents: Documents,
    /// What the source's listing tells of referrers, if they are wanted and it was to be had.
    hung: Option<Hung>,
}

impl<S: Pull> Work<'_, S> {
    pub(super) async fn run<T: Push>(
        &self,
        leg: impl Fn(&Reference) -> Result<Leg<S, T>, Error>,
    ) -> Result<Imported, ImportError> {
        let source_digest = self.context.unless_stopped(self.resolve()).await??;
        let listed = self.listed().await?;
        let names = names(self.source, self.context, self.import, &source_digest, listed.as_ref()).await?;
        let legs = names.iter().map(leg).collect::<Result<Vec<_>, Error>>()?;
        let (siblings, relays) = (siblings(&legs), Arc::default());
        let route = |leg| self.route(leg, &siblings, &relays);
        let (documents, routes) = (Documents::default(), legs.iter().map(route).collect::<Vec<_>>());
        let Some(first) = routes.first() else {
            return Ok(Imported { digest: source_digest.clone(), source_digest, images: Vec::new() });
        };
        let shape = self.context.unless_stopped(self.import.extent.shape(first, &documents, &source_digest)).await?;
        let shape = shape.map_err(|reason| self.no_choice(reason))?;
        let hung = listed.and_then(Result::ok).flatten().map(|tags| Hung::among(&tags));
        let chosen = Chosen { shape, documents, hung };

        let compared = self.compare(&routes, &legs, &chosen).await?;
        if !self.import.force {
            self.conflicts(&source_digest, &compared)?;
        }
        self.context.observer.found(events::IMPORT, legs.len());
        let (mut images, mut completed) = (Vec::new(), HashSet::new());
        for (route, (to, compared)) in routes.iter().zip(&compared) {
            images.push(self.deliver(route, &chosen, to, compared, &mut completed).await);
        }
        Ok(Imported { source_digest, digest: chosen.shape.root, images })
    }

    async fn resolve(&self) -> Result<Digest, Error> {
        let (from, at) = (self.source.meant(&self.import.source).await?, self.source.location());
        let missing = || Error::new(format!("looking up manifest {from} of {at}"), Cause::NotFound).at(&at.host);
        self.source.resolve(&from).await?.ok_or_else(missing)
    }

    /// The source's tags, where they tell something: one listing for all that is asked of them.
    async fn listed(&self) -> Result<Option<Result<Option<Vec<Tag>>, Error>>, Error> {
        if self.import.all_tags_in.is_empty() && self.import.referrers.is_none() {
            return Ok(None);
        }
        self.context.unless_stopped(self.source.tags()).await.map(Some)
    }

    fn route<'r, T: Push>(
        &'r self,
        leg: &'r Leg<S, T>,
        siblings: &'r [T],
        relays: &'r Arc<Relays<S::Blob>>,
    ) -> Route<'r, S, T> {
        let tags = if self.import.force { Tags::Move } else { Tags::Stay };
        let (source, target, tally) = (&leg.source, &leg.target, &leg.tally);
        Route { source, target, siblings, relays, context: self.context, tally, tags }
    }

    fn no_choice(&self, reason: ChoiceError) -> ImportError {
        match reason {
            ChoiceError::Content(error) => error.into(),
            reason => {
                let source_location = self.source.location().clone();
                ImportError::Choice { source_location, reason: Box::new(reason) }
            }
        }
    }

    /// What all targets have, before anything is written.
    async fn compare<T: Push>(
        &self,
        routes: &[Route<'_, S, T>],
        legs: &[Leg<S, T>],
        chosen: &Chosen,
    ) -> Result<Vec<(Reference, Comparison)>, Error> {
        let root = TagOrDigest::Digest(chosen.shape.root.clone());
        let original = Original::new(root.clone());
        let names = legs.iter().map(|leg| leg.tag.clone().map_or_else(|| root.clone(), TagOrDigest::Tag));
        let compared = routes.iter().zip(names).map(|(route, to)| self.look(route, &original, to));
        side_by_side(compared).await.into_iter().collect()
    }

    async fn look<T: Push>(
        &self,
        route: &Route<'_, S, T>,
        original: &Original,
        to: TagOrDigest,
    ) -> Result<(Reference, Comparison), Error> {
        let compared = route.compare(original, &to, Before::Unknown, None);
        let compared = self.context.unless_stopped(compared).await??;
        Ok((route.target.location().reference(&to), compared))
    }

    fn conflicts(&self, source: &Digest, compared: &[(Reference, Comparison)]) -> Result<(), ImportError> {
        let conflict = |(name, compared): &(Reference, Comparison)| match compared {
            Comparison::Different { digest, found: Some(found), .. } if digest == source => {
                Some(format!("{name} exists as {found}, the source is {digest}"))
            }
            Comparison::Different { digest, found: Some(found), .. } => {
                Some(format!("{name} exists as {found}, what is chosen of the source is {digest}"))
            }
            _ => None,
        };
        let conflicts: Vec<String> = compared.iter().filter_map(conflict).collect();
        if conflicts.is_empty() { Ok(()) } else { Err(ImportError::Conflict(conflicts)) }
    }

    /// Brings the image to one target, and reports it. What refers to it is looked for once a repository: `completed` are
    /// those that have it.
    async fn deliver<T: Push>(
        &self,
        route: &Route<'_, S, T>,
        chosen: &Chosen,
        name: &Reference,
        compared: &Comparison,
        completed: &mut HashSet<Location>,
    ) -> ImageReport {
        let clock = Instant::now();
        let mut report = ImageReport::new(self.import.source.clone(), name.clone());
        report.digest = Some(chosen.shape.root.clone());
        let location = route.target.location();
        let is_complete = completed.contains(location) || location == self.source.location();
        let wanted = if is_complete { &Referrers::None } else { &self.import.referrers };
        let search = Search { wanted, hung: chosen.hung.as_ref(), anew: false, sparse: None, tags: route.tags };
        let mut brought = self.bring(route, chosen, search, name, compared, &mut report).await;
        if brought.is_ok()
            && name.tag.is_none()
            && self.mode.changes()
            && let Err(error) = route.target.keep_untagged(&chosen.shape.root).await
        {
            brought = Err(error);
        }
        match brought {
            Ok(outcome) => {
                report.outcome = outcome;
                completed.insert(location.clone());
            }
            Err(error) => note_failure(&mut report, &error),
        }
        route.tally.write_to(&mut report);
        report.elapsed = clock.elapsed();
        self.context.observer.image(events::IMPORT, &report);
        report
    }

    async fn bring<T: Push>(
        &self,
        route: &Route<'_, S, T>,
        Chosen { shape, documents, .. }: &Chosen,
        search: Search<'_>,
        name: &Reference,
        compared: &Comparison,
        report: &mut ImageReport,
    ) -> Result<ImageOutcome, Error> {
        let root = (&shape.root, shape.as_written);
        if matches!(compared, Comparison::Same { .. }) {
            let is_completed = route.complete(search, self.mode, documents, root, report).await?;
            return Ok(if is_completed { ImageOutcome::Copied } else { ImageOutcome::Unchanged });
        }
        let (knowledge, location) = (&self.context.knowledge, route.target.location());
        if shape.as_written && location == self.source.location() {
            // It was read there just now: only the tag is new.
            knowledge.learn_manifest(location, &shape.root);
        }
        let _permit = route.permit().await?;
        let plan = route.bring_together(search, self.mode, documents, shape, &name.selector(), report).await?;
        if let Some(plan) = plan {
            (report.blobs, report.bytes) = plan.rehearse(knowledge, location);
        }
        Ok(ImageOutcome::Copied)
    }
}

/// The target repositories, each once: what one has need not come from the source.
fn siblings<S, T: Push>(legs: &[Leg<S, T>]) -> Vec<T> {
    let mut seen = HashSet::new();
    let targets = legs.iter().map(|leg| &leg.target);
    targets.filter(|target| seen.insert(target.location().clone())).cloned().collect()
}
