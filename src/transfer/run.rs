//! A rule's run: what there is to do, each image of it compared and brought over, and the report.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::context::Context;
use super::engine::Engine;
use super::image::Mode;
use super::rule::Rule;
use super::tally::note_failure;
use super::work::{self, Work};
use crate::content::Error;
use crate::events::{ImageReport, RuleReport, RunOutcome};
use crate::oci::TagOrDigest;
use crate::registry::Access;

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
        if report.outcome == RunOutcome::Success && mode == Mode::Execute {
            self.note_success(&rule.name);
        }
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

        let seat = self.registries.seat(&rule.source.host, self.last_success(&rule.name))?;
        let seat = Arc::new(seat);
        let batch = Batch { engine: self, context, source: source.seated(&seat), target, seat, mode };
        batch.run(work.jobs, report).await;
        Ok(())
    }
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
