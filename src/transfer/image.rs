//! One image of a run: compared, and brought over if it differs.

use std::collections::HashSet;
use std::time::Instant;

use super::batch::Job;
use super::context::Context;
use super::documents::Documents;
use super::engine::Engine;
use super::plan::CopyPlan;
use super::referrers::{Hanging, Search};
use super::route::{Before, Comparison, Route};
use super::rule::Rule;
use super::shape::Shape;
use super::tally::{Tally, note_failure};
use crate::content::{Error, NoPulls, Pull, Push};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Digest, TagOrDigest};
use crate::registry::Remote;

/// Whether a run changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Brings images over.
    Execute,
    /// Brings images over, and looks below unchanged tags and mends what is missing there.
    Repair,
    /// Ends with the plan: the report says what an execution would do.
    Plan,
}

/// What became of a job.
pub(super) enum Ended {
    /// It is done, well or not.
    Reported(ImageReport),
    /// It needs pulls that are not left now, and has changed nothing that a reader sees.
    Parked(Job, NoPulls),
}

impl Engine {
    pub(super) async fn image(&self, context: &Context, rule: &Rule, mode: Mode, mut job: Job) -> Ended {
        let clock = Instant::now();
        job.serving.get_or_insert_with(|| job.original.serve());
        let tally = Tally::default();
        let ours = |remote: &Remote| remote.on_behalf_of(&tally.requests, &context.cancel);
        let (source, target) = (ours(&job.way.source), ours(&job.way.target));
        let siblings: Vec<Remote> = job.way.siblings.iter().map(ours).collect();
        let relays = &job.way.relays;
        let route = Route { source: &source, target: &target, siblings: &siblings, relays, context, tally: &tally };
        let mut report = job.report();

        let result = self.compare_and_bring(&route, rule, mode, &job, &mut report).await;
        tally.write_to(&mut report);
        match result {
            Ok(Done::Unchanged) => report.outcome = ImageOutcome::Unchanged,
            Ok(Done::Copied) => report.outcome = ImageOutcome::Copied,
            Ok(Done::LeftAlone(reason)) => {
                report.outcome = ImageOutcome::Skipped;
                report.error = Some(reason);
            }
            Ok(Done::Planned(plan)) => {
                report.outcome = ImageOutcome::Copied;
                (report.blobs, report.bytes) = plan.rehearse(&context.knowledge, target.location());
            }
            Err(error) => {
                match error.no_pulls().filter(|none| none.may_end() && error.is_at(&source.location().host)) {
                    Some(none) if mode != Mode::Plan => {
                        // The next time by digest, so that what is fetched already costs no pull.
                        job.before = Before::Unknown;
                        return Ended::Parked(job, none);
                    }
                    _ => note_failure(&mut report, &error),
                }
            }
        }
        report.elapsed = clock.elapsed();
        Ended::Reported(report)
    }

    async fn compare_and_bring<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        mode: Mode,
        job: &Job,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let compared = route.compare(&job.original, &job.to, job.before, rule.platforms.as_ref());
        match route.context.unless_stopped(compared).await?? {
            Comparison::Same { root, as_written } => {
                report.digest = Some(root.clone());
                job.way.notes.add_unchanged();
                self.look_beside(route, rule, mode, job, (&root, as_written), report).await
            }
            Comparison::Different { digest, found: Some(found), .. } if !rule.overwrite => {
                report.digest = Some(digest.clone());
                let reason = "the rule does not overwrite";
                Ok(Done::LeftAlone(format!("the target has {found}, the source has {digest}, and {reason}")))
            }
            Comparison::Different { digest, shape, .. } => {
                report.digest = Some(digest.clone());
                let permit = self.images.acquire(&route.target.location().host);
                let _permit = route.context.unless_stopped(permit).await?;
                let shape = match shape {
                    Some(shape) => shape,
                    None => {
                        let shape = route.shape(&job.original, &digest, rule.platforms.as_ref());
                        route.context.unless_stopped(shape).await??
                    }
                };
                report.digest = Some(shape.root.clone());
                job.way.notes.add(&report.source, &shape);
                self.bring_shape(route, rule, mode, job, &shape, report).await
            }
        }
    }

    /// An image in place may have got a signature since.
    async fn look_beside<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        mode: Mode,
        job: &Job,
        (root, as_written): (&Digest, bool),
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let missing = hanging(route, rule, job, (root, as_written), None).await?;
        if missing.is_empty() {
            return Ok(Done::Unchanged);
        }
        report.referrers = missing.len() as u64;
        if mode != Mode::Plan {
            let permit = self.images.acquire(&route.target.location().host);
            let _permit = route.context.unless_stopped(permit).await?;
            route.attach(&job.original.documents, missing).await?;
        }
        Ok(Done::Copied)
    }

    /// Brings an image that the target does not have. What refers to it is there before the tag points at it: whoever
    /// wants a signature finds one.
    async fn bring_shape<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        rule: &Rule,
        mode: Mode,
        job: &Job,
        shape: &Shape,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let documents = &job.original.documents;
        let missing = hanging(route, rule, job, (&shape.root, shape.as_written), Some(documents)).await?;
        report.referrers = missing.len() as u64;
        if mode == Mode::Plan {
            return route.plan(documents, shape, &HashSet::new()).await.map(Done::Planned);
        }
        if !missing.is_empty() {
            route.bring(documents, shape, &TagOrDigest::Digest(shape.root.clone())).await?;
            route.attach(documents, missing).await?;
        }
        match route.bring(documents, shape, &job.to).await {
            Ok(_) => Ok(Done::Copied),
            Err(error) if error.is_immutable() => Ok(Done::LeftAlone(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// What refers to the image and is not at the target, if the rule wants it there.
async fn hanging<S: Pull, T: Push>(
    route: &Route<'_, S, T>,
    rule: &Rule,
    job: &Job,
    (root, as_written): (&Digest, bool),
    documents: Option<&Documents>,
) -> Result<Vec<Hanging>, Error> {
    if rule.referrers.is_none() {
        return Ok(Vec::new());
    }
    let search = Search { wanted: &rule.referrers, hung: job.way.hung.as_deref(), anew: false };
    route.context.unless_stopped(route.missing_referrers(search, root, as_written, documents)).await?
}

/// What became of a job that did not fail.
enum Done {
    Unchanged,
    Copied,
    LeftAlone(String),
    Planned(CopyPlan),
}
