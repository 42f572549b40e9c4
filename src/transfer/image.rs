//! One image of a run: compared, and brought over if it differs.

use std::time::Instant;

use super::compare::Comparison;
use super::context::Context;
use super::done::Done;
use super::engine::Engine;
use super::job::Job;
use super::mode::Mode;
use super::original::Wanted;
use super::platforms::{PlatformMode, Seen};
use super::referrers::Search;
use super::route::{Before, Route, Tags};
use super::rule::Rule;
use super::shape::Shape;
use super::store::Store;
use super::tally::{Tally, note_failure};
use super::verify::Depth;
use crate::content::{Error, NoPulls, Pull, Push};
use crate::events::ImageReport;
use crate::oci::{Digest, TagOrDigest};

/// What became of a job.
pub(super) enum Ended {
    /// It is done, well or not.
    Reported(Box<ImageReport>),
    /// It was stopped in the middle, which its report says.
    Stopped(Box<ImageReport>),
    /// It needs pulls that are not left now, and has changed nothing that a reader sees.
    Parked(Job, NoPulls),
}

impl Engine {
    pub(super) async fn image(&self, context: &Context, rule: &Rule, mode: Mode, mut job: Job) -> Ended {
        let clock = Instant::now();
        job.serving.get_or_insert_with(|| job.original.serve());
        let tally = Tally::default();
        let ours = |store: &Store| store.on_behalf_of(&tally.requests, &context.cancel);
        let (source, target) = (ours(&job.way.source), ours(&job.way.target));
        let siblings: Vec<Store> = job.way.siblings.iter().map(ours).collect();
        let (relays, tags) = (&job.way.relays, if rule.overwrite { Tags::Move } else { Tags::Stay });
        let route =
            Route { source: &source, target: &target, siblings: &siblings, relays, context, tally: &tally, tags };
        let mut report = job.report();

        let mut result = self.compare_and_bring(&route, rule, mode, &job, &mut report).await;
        if mode.changes()
            && let (Ok(Done::Unchanged | Done::Copied), TagOrDigest::Digest(_), Some(root)) =
                (&result, &job.to, &report.digest)
            && let Err(error) = target.keep_untagged(root).await
        {
            result = Err(error);
        }
        tally.write_to(&mut report);
        match result {
            Ok(done) => done.tell(&mut report),
            Err(error) => {
                match error.no_pulls().filter(|none| none.may_end() && error.is_at(&source.location().host)) {
                    Some(none) if mode.changes() => {
                        // The next time by digest, so that what is fetched already costs no pull.
                        job.before = Before::Unknown;
                        return Ended::Parked(job, none);
                    }
                    _ => note_failure(&mut report, &error),
                }
                report.elapsed = clock.elapsed();
                let ended = if error.is_cancelled() { Ended::Stopped } else { Ended::Reported };
                return ended(Box::new(report));
            }
        }
        report.elapsed = clock.elapsed();
        Ended::Reported(Box::new(report))
    }

    /// What most images do not come to is on the heap, so that comparing moves little memory about.
    async fn compare_and_bring<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        mode: Mode,
        job: &Job,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let before = match (mode, &job.before) {
            // Its digest is all that is wanted, and that costs no pull.
            (Mode::Verify(_), _) => Before::Unknown,
            (Mode::Follow, Before::Unknown) => route.seen(&job.to).map_or(Before::Unknown, Before::Seen),
            (_, before) => before.clone(),
        };
        let compared = route.compare(&job.original, &job.to, before.clone(), rule.platforms.as_ref());
        let compared = route.context.unless_stopped(compared).await??;
        route.note(&job.to, &before, &compared);
        match compared {
            Comparison::Same { root, as_written } => {
                report.digest = Some(root.clone());
                job.way.notes.add_unchanged();
                let root = (&root, as_written);
                if let Mode::Verify(depth) = mode {
                    return Box::pin(self.verify_below(route, rule, depth, job, root)).await;
                }
                let is_mended = mode == Mode::Repair && Box::pin(self.repair_below(route, rule, job, root)).await?;
                let is_completed = !rule.referrers.is_none() && {
                    let search = search(rule, mode, job, route.tags);
                    Box::pin(route.complete(search, mode, &job.original.documents, root, report)).await?
                };
                Ok(if is_mended || is_completed { Done::Copied } else { Done::Unchanged })
            }
            Comparison::Different { digest, found: Some(found), .. } if !rule.overwrite => {
                let left_alone = Done::taken(&found, &digest);
                report.digest = Some(digest);
                Ok(left_alone)
            }
            Comparison::Different { digest, found, .. } if matches!(mode, Mode::Verify(_)) => {
                job.way.notes.add_unchanged();
                let different = Done::other(found.as_ref(), &format!("the source has {digest}"));
                report.digest = Some(digest);
                Ok(different)
            }
            Comparison::Different { digest, shape, .. } => {
                report.digest = Some(digest.clone());
                let _permit = route.permit().await?;
                let shape = match shape {
                    Some(shape) => shape,
                    None => {
                        let shape = Box::pin(route.shape(&job.original.documents, &digest, rule.platforms.as_ref()));
                        route.context.unless_stopped(shape).await??
                    }
                };
                report.digest = Some(shape.root.clone());
                job.way.notes.add(&report.source, &shape);
                Box::pin(self.bring_shape(route, rule, mode, job, &shape, report)).await
            }
        }
    }

    /// An image in place may have been damaged since. Returns whether it was, and is mended.
    async fn repair_below<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        job: &Job,
        root: (&Digest, bool),
    ) -> Result<bool, Error> {
        let _permit = route.permit().await?;
        let shape = route.shape_in_place(&job.original, root, rule.platforms.as_ref()).await?;
        route.repair(&job.original, &shape, &shape.name(&job.to), rule.platforms.as_ref(), &job.way.checked).await
    }

    /// All that is not as it should be of an image whose tag is in place.
    async fn verify_below<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        depth: Depth,
        job: &Job,
        root: (&Digest, bool),
    ) -> Result<Done, Error> {
        let _permit = route.permit().await?;
        let shape = route.shape_in_place(&job.original, root, rule.platforms.as_ref()).await?;
        let damage = route.damage(&shape, &shape.name(&job.to), depth, &job.way.checked).await?;
        // A target that lacks documents cannot tell what they list. Of a list that was made smaller the source cannot
        // either: it is made again.
        let documents = (!damage.is_empty()).then_some(&job.original.documents);
        if let (Some(_), (_, false)) = (documents, root) {
            let made_again = async {
                let digest = job.original.digest(route.source, Wanted::Digest).await?;
                route.shape(&job.original.documents, &digest, rule.platforms.as_ref()).await
            };
            route.context.unless_stopped(made_again).await??;
        }
        let search = search(rule, Mode::Verify(depth), job, route.tags);
        let missing = route.hanging(search, root, documents).await?;
        let missing = missing.iter().map(|hanging| format!("{hanging}, is not there"));
        let differences: Vec<String> = damage.iter().map(ToString::to_string).chain(missing).collect();
        Ok(if differences.is_empty() { Done::Unchanged } else { Done::Different(differences) })
    }

    async fn bring_shape<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        mode: Mode,
        job: &Job,
        shape: &Shape,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let (search, to) = (search(rule, mode, job, route.tags), shape.name(&job.to));
        report.target = route.target.location().reference(&to);
        let together = route.bring_together(search, mode, &job.original.documents, shape, &to, report).await;
        if let Ok(Some(plan)) = &together {
            let (blobs, bytes) = plan.rehearse(&route.context.knowledge, route.target.location());
            return Ok(Done::Planned(blobs, bytes));
        }
        if let (Ok(None), Some(root)) = (&together, job.original.documents.find(&shape.root)) {
            report.platforms = Seen::at_target(&root, &shape.left_out).into_platforms();
        }
        Done::of_put(together.map(drop), &shape.root)
    }
}

/// What a rule looks for of what refers to its images.
fn search<'a>(rule: &'a Rule, mode: Mode, job: &'a Job, tags: Tags) -> Search<'a> {
    let sparse = rule.platforms.as_ref().filter(|platforms| platforms.mode() == PlatformMode::Sparse);
    Search { wanted: &rule.referrers, hung: job.way.hung.as_deref(), anew: mode.looks_below(), sparse, tags }
}
