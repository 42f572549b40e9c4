//! One image of a run: compared, and brought over if it differs.

use std::collections::HashSet;
use std::time::Instant;

use super::context::Context;
use super::engine::Engine;
use super::plan::CopyPlan;
use super::route::{Before, Comparison, Route};
use super::tally::{Tally, note_failure};
use super::work::Job;
use crate::content::{Error, NoPulls, Pull, Push};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::Digest;
use crate::registry::Remote;

/// Whether a run changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Brings images over.
    Execute,
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
    pub(super) async fn image(
        &self,
        context: &Context,
        source: &Remote,
        target: &Remote,
        mode: Mode,
        mut job: Job,
    ) -> Ended {
        let clock = Instant::now();
        let tally = Tally::default();
        let source = source.on_behalf_of(&tally.requests, &context.cancel);
        let target = target.on_behalf_of(&tally.requests, &context.cancel);
        let route = Route { source: &source, target: &target, context, tally: &tally };
        let mut report = ImageReport::new(source.location().reference(&job.from), target.location().reference(&job.to));

        let result = self.compare_and_bring(&route, mode, &job, &mut report.digest).await;
        tally.write_to(&mut report);
        match result {
            Ok(Done::Unchanged) => report.outcome = ImageOutcome::Unchanged,
            Ok(Done::Copied) => report.outcome = ImageOutcome::Copied,
            Ok(Done::Planned(plan)) => {
                report.outcome = ImageOutcome::Copied;
                (report.blobs, report.bytes) = plan.rehearse(&context.knowledge, target.location());
            }
            Err(error) => {
                match error.no_pulls().filter(|none| none.may_end() && error.is_at(&source.location().host)) {
                    Some(none) if mode == Mode::Execute => {
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
        mode: Mode,
        job: &Job,
        found: &mut Option<Digest>,
    ) -> Result<Done, Error> {
        let comparison = route.context.unless_stopped(route.compare(&job.from, &job.to, job.before)).await??;
        let (digest, manifest) = match comparison {
            Comparison::Same(digest) => {
                *found = Some(digest);
                return Ok(Done::Unchanged);
            }
            Comparison::Different(digest, manifest) => (digest, manifest),
        };
        *found = Some(digest.clone());
        let _permit = route.context.unless_stopped(self.images.acquire()).await?;
        if let Some(manifest) = manifest {
            job.documents.keep(manifest);
        }
        match mode {
            Mode::Execute => route.bring(&job.documents, &digest, &job.to).await.map(|()| Done::Copied),
            Mode::Plan => route.plan(&job.documents, &digest, &HashSet::new()).await.map(Done::Planned),
        }
    }
}

/// What became of a job that did not fail.
enum Done {
    Unchanged,
    Copied,
    Planned(CopyPlan),
}
