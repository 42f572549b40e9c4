//! A rule's run: what there is to do, each image of it compared and brought over, and the report.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::documents::Documents;
use super::engine::Engine;
use super::plan::CopyPlan;
use super::route::{Comparison, Route};
use super::rule::Rule;
use super::tally::{Tally, note_failure};
use super::work::{self, Job, Work};
use crate::content::{Error, Pull, Push};
use crate::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome};
use crate::oci::{Digest, TagOrDigest};
use crate::registry::{Access, Remote};

/// Whether a run changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Brings images over.
    Execute,
    /// Ends with the plan: the report says what an execution would do.
    Plan,
}

/// Comparisons of one run under way beside the images being copied.
const MAX_CHECKS: usize = 32;

impl Engine {
    /// Runs a rule once. Failures stand in the report; one image's failure is its own.
    ///
    /// Cancelled by the token, the run lets commits finish and reports what it did; dropped, it leaves the target valid
    /// all the same.
    pub async fn run(self: &Arc<Self>, rule: &Arc<Rule>, mode: Mode, cancel: &CancellationToken) -> RuleReport {
        let own_cancel = cancel.child_token();
        let mut context = self.context(&rule.name, own_cancel.clone());
        if mode == Mode::Plan {
            // What is only planned is no event, and nothing that a run could count on.
            context.observer = Arc::new(());
            context.knowledge = self.planned_knowledge();
        }
        context.observer.run_started(&rule.name);
        let mut report = RuleReport::begun(&rule.name, SystemTime::now());
        let clock = Instant::now();

        let in_time = {
            let work = self.run_images(rule, mode, &context, &mut report);
            until_timeout(work, rule.timeout, &own_cancel).await
        };
        report.outcome = if !in_time {
            RunOutcome::Timeout
        } else if cancel.is_cancelled() {
            RunOutcome::Cancelled
        } else if report.has_failures() {
            RunOutcome::Failure
        } else {
            RunOutcome::Success
        };
        report.elapsed = clock.elapsed();
        context.observer.run_ended(&report);
        report
    }

    async fn run_images(self: &Arc<Self>, rule: &Rule, mode: Mode, context: &Context, report: &mut RuleReport) {
        if let Err(error) = self.try_run_images(rule, mode, context, report).await
            && !error.is_cancelled()
        {
            report.error = Some(error.with_advice());
        }
    }

    /// Does all the work of a run. The error is one that kept it from beginning.
    async fn try_run_images(
        self: &Arc<Self>,
        rule: &Rule,
        mode: Mode,
        context: &Context,
        report: &mut RuleReport,
    ) -> Result<(), Error> {
        let uncounted = Arc::default();
        let remote = |location, access| {
            let remote = self.registries.remote(location, access)?;
            Ok::<_, Error>(remote.on_behalf_of(&uncounted, &context.cancel))
        };
        let (source, target) = (remote(&rule.source, Access::Pull)?, remote(&rule.target, Access::Push)?);
        let work = context.unless_stopped(Work::of(rule, &source, &target, context)).await??;
        report.warnings = work.warnings;
        for tag in &work.missing {
            let at = TagOrDigest::Tag(tag.clone());
            let mut image = ImageReport::new(rule.source.reference(&at), rule.target.reference(&at));
            note_failure(&mut image, &work::missing(&source, tag));
            context.observer.image(&report.name, &image);
            report.images.push(image);
        }

        let mut running = JoinSet::new();
        let mut done = Vec::new();
        for (place, job) in work.jobs.into_iter().enumerate() {
            if running.len() >= self.limits.max_images + MAX_CHECKS {
                join_one(report, context, &mut running, &mut done).await;
            }
            let engine = Arc::clone(self);
            let (context, source, target) = (context.clone(), source.clone(), target.clone());
            running.spawn(async move { (place, engine.image(&context, &source, &target, mode, &job).await) });
        }
        while !running.is_empty() {
            join_one(report, context, &mut running, &mut done).await;
        }
        // In the order of the selection, whichever was done first.
        done.sort_by_key(|(place, _)| *place);
        report.images.extend(done.into_iter().map(|(_, image)| image));
        Ok(())
    }

    async fn image(&self, context: &Context, source: &Remote, target: &Remote, mode: Mode, job: &Job) -> ImageReport {
        let clock = Instant::now();
        let tally = Tally::default();
        let source = source.on_behalf_of(&tally.requests, &context.cancel);
        let target = target.on_behalf_of(&tally.requests, &context.cancel);
        let route = Route { source: &source, target: &target, context, tally: &tally };
        let mut report = ImageReport::new(source.location().reference(&job.from), target.location().reference(&job.to));

        let result = self.compare_and_bring(&route, mode, job, &mut report.digest).await;
        tally.write_to(&mut report);
        match result {
            Ok(Done::Unchanged) => report.outcome = ImageOutcome::Unchanged,
            Ok(Done::Copied) => report.outcome = ImageOutcome::Copied,
            Ok(Done::Planned(plan)) => {
                report.outcome = ImageOutcome::Copied;
                (report.blobs, report.bytes) = plan.rehearse(&context.knowledge, target.location());
            }
            Err(error) => note_failure(&mut report, &error),
        }
        report.elapsed = clock.elapsed();
        report
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
        let documents = Documents::default();
        if let Some(manifest) = manifest {
            documents.keep(manifest);
        }
        match mode {
            Mode::Execute => route.bring(&documents, &digest, &job.to).await.map(|()| Done::Copied),
            Mode::Plan => route.plan(&documents, &digest, &HashSet::new()).await.map(Done::Planned),
        }
    }
}

async fn join_one(
    report: &mut RuleReport,
    context: &Context,
    running: &mut JoinSet<(usize, ImageReport)>,
    done: &mut Vec<(usize, ImageReport)>,
) {
    match running.join_next().await {
        Some(Ok((place, image))) => {
            context.observer.image(&report.name, &image);
            done.push((place, image));
        }
        Some(Err(panic)) => report.error = Some(format!("a fault in regferry itself: {panic}")),
        None => {}
    }
}

/// What became of a job that did not fail.
enum Done {
    Unchanged,
    Copied,
    Planned(CopyPlan),
}

/// Lets work run until its timeout, then stops it by its token and waits for it to end. Returns whether it was in time.
async fn until_timeout(work: impl Future<Output = ()>, timeout: Option<Duration>, cancel: &CancellationToken) -> bool {
    let timeout = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(timeout, work);
    tokio::select! {
        biased;
        () = &mut work => true,
        () = &mut timeout => {
            cancel.cancel();
            work.await;
            false
        }
    }
}
