//! A rule's run: list, select, compare, bring over, report.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::documents::Documents;
use super::engine::Engine;
use super::plan::CopyPlan;
use super::route::{Before, Comparison, Route};
use super::rule::{Images, Rule};
use super::select::{Selection, TagFilter};
use super::tally::Tally;
use crate::content::{Cause, Error, Pull, Push};
use crate::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome};
use crate::oci::{Tag, TagOrDigest};
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

/// One image of a run.
struct Job {
    from: TagOrDigest,
    to: TagOrDigest,
    before: Before,
}

/// What became of a job that did not fail.
enum Done {
    Unchanged,
    Copied,
    Planned(CopyPlan),
}

/// What a run has to look at, and what it noticed on the way there.
#[derive(Default)]
struct Work {
    jobs: Vec<Job>,
    missing: Vec<Tag>,
    warnings: Vec<String>,
}

impl Engine {
    /// Runs a rule once. Failures stand in the report; one image's failure is its own.
    ///
    /// Cancelled by the token, the run lets commits finish and reports what it did; dropped, it leaves the target valid
    /// all the same.
    pub async fn run(self: &Arc<Self>, rule: &Arc<Rule>, mode: Mode, cancel: &CancellationToken) -> RuleReport {
        self.observer.run_started(&rule.name);
        let (started, clock) = (SystemTime::now(), Instant::now());
        let cancel_run = cancel.child_token();
        let mut report = RuleReport {
            name: Arc::clone(&rule.name),
            outcome: RunOutcome::Success,
            started,
            elapsed: Duration::ZERO,
            images: Vec::new(),
            pruned: Vec::new(),
            warnings: Vec::new(),
            error: None,
        };
        let timed_out = self.run_until(rule, mode, &cancel_run, &mut report).await;

        report.outcome = if timed_out {
            RunOutcome::Timeout
        } else if cancel.is_cancelled() {
            RunOutcome::Cancelled
        } else if report.error.is_some() || report.images.iter().any(|image| image.outcome == ImageOutcome::Failed) {
            RunOutcome::Failure
        } else {
            RunOutcome::Success
        };
        report.elapsed = clock.elapsed();
        self.observer.run_ended(&report);
        report
    }

    /// Returns whether the rule's timeout ended the run.
    async fn run_until(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        mode: Mode,
        cancel: &CancellationToken,
        report: &mut RuleReport,
    ) -> bool {
        let timeout = async {
            match rule.timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let work = self.run_images(rule, mode, cancel, report);
        tokio::pin!(timeout, work);
        tokio::select! {
            biased;
            () = &mut work => false,
            () = &mut timeout => {
                cancel.cancel();
                work.await;
                true
            }
        }
    }

    async fn run_images(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        mode: Mode,
        cancel: &CancellationToken,
        report: &mut RuleReport,
    ) {
        let context = self.context(Arc::clone(&rule.name), cancel.clone());
        let remotes = self
            .registries
            .remote(&rule.source, Access::Pull)
            .and_then(|source| Ok((source, self.registries.remote(&rule.target, Access::Push)?)));
        let (source, target) = match remotes {
            Ok(remotes) => remotes,
            Err(error) => return report.error = Some(error.with_advice()),
        };
        let work = match context.unless_stopped(work(rule, &source, &target, &context)).await {
            Ok(Ok(work)) => work,
            Ok(Err(error)) | Err(error) => return report.error = Some(error.with_advice()),
        };
        report.warnings = work.warnings;
        for tag in work.missing {
            self.finish(report, missing_tag(rule, tag));
        }
        self.run_jobs(report, &context, &source, &target, mode, work.jobs).await;
    }

    async fn run_jobs(
        self: &Arc<Self>,
        report: &mut RuleReport,
        context: &Context,
        source: &Remote,
        target: &Remote,
        mode: Mode,
        jobs: Vec<Job>,
    ) {
        let mut running = JoinSet::new();
        for job in jobs {
            if running.len() >= self.limits.max_images + MAX_CHECKS {
                self.join_one(report, &mut running).await;
            }
            let engine = Arc::clone(self);
            let (context, source, target) = (context.clone(), source.clone(), target.clone());
            running.spawn(async move { engine.image(&context, &source, &target, mode, &job).await });
        }
        while !running.is_empty() {
            self.join_one(report, &mut running).await;
        }
    }

    async fn join_one(&self, report: &mut RuleReport, running: &mut JoinSet<ImageReport>) {
        match running.join_next().await {
            Some(Ok(image)) => self.finish(report, image),
            Some(Err(panic)) => report.error = Some(format!("a fault in regferry itself: {panic}")),
            None => {}
        }
    }

    fn finish(&self, report: &mut RuleReport, image: ImageReport) {
        self.observer.image(&report.name, &image);
        report.images.push(image);
    }

    async fn image(&self, context: &Context, source: &Remote, target: &Remote, mode: Mode, job: &Job) -> ImageReport {
        let clock = Instant::now();
        let tally = Tally::default();
        let (source, target) = (
            source.counted(Arc::clone(&tally.requests)),
            target.counted(Arc::clone(&tally.requests)),
        );
        let route = Route {
            source: &source,
            target: &target,
            context,
            tally: &tally,
        };
        let mut report = ImageReport::new(
            source.location().reference(&job.from),
            target.location().reference(&job.to),
        );
        let result = self.compare_and_bring(&route, mode, job, &mut report).await;
        tally.write_to(&mut report);
        report.elapsed = clock.elapsed();
        match result {
            Ok(Done::Unchanged) => report.outcome = ImageOutcome::Unchanged,
            Ok(Done::Copied) => report.outcome = ImageOutcome::Copied,
            Ok(Done::Planned(plan)) => {
                report.outcome = ImageOutcome::Copied;
                (report.bytes, report.blobs) = (plan.missing_bytes(), plan.counts());
            }
            Err(error) => report.error = Some(error.with_advice()),
        }
        report
    }

    async fn compare_and_bring<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        mode: Mode,
        job: &Job,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let comparison = route
            .context
            .unless_stopped(route.compare(&job.from, &job.to, job.before))
            .await??;
        let (digest, manifest) = match comparison {
            Comparison::Same(digest) => {
                report.digest = Some(digest);
                return Ok(Done::Unchanged);
            }
            Comparison::Different(digest, manifest) => (digest, manifest),
        };
        report.digest = Some(digest.clone());
        let _permit = route.context.unless_stopped(self.images.acquire()).await?;
        let documents = Documents::new(route.source);
        if let Some(manifest) = manifest {
            documents.keep(manifest);
        }
        match mode {
            Mode::Execute => route.bring(&documents, &digest, &job.to).await.map(|()| Done::Copied),
            Mode::Plan => route.plan(&documents, &digest).await.map(Done::Planned),
        }
    }
}

/// What there is to do, by the rule and, where it has patterns, by a listing of each side.
async fn work(rule: &Rule, source: &Remote, target: &Remote, context: &Context) -> Result<Work, Error> {
    let filter = match &rule.images {
        Images::One { from, to } => return Ok(one_image(from, to.as_ref())),
        Images::Tags(filter) => filter,
    };
    match filter.exact_tags() {
        Some(tags) => Ok(Work {
            jobs: tags
                .into_iter()
                .map(|tag| Job::same_tag(tag, Before::Unknown))
                .collect(),
            ..Work::default()
        }),
        None => listed(rule, filter, source, target, context).await,
    }
}

fn one_image(from: &TagOrDigest, to: Option<&Tag>) -> Work {
    let to = match (to, from) {
        (Some(tag), _) => TagOrDigest::Tag(tag.clone()),
        (None, from) => from.clone(),
    };
    Work {
        jobs: vec![Job {
            from: from.clone(),
            to,
            before: Before::Unknown,
        }],
        ..Work::default()
    }
}

async fn listed(
    rule: &Rule,
    filter: &TagFilter,
    source: &Remote,
    target: &Remote,
    context: &Context,
) -> Result<Work, Error> {
    let (there, here) = tokio::join!(source.tags(), target.tags());
    let there = there?.ok_or_else(|| Error::new(format!("listing the tags of {}", rule.source), Cause::NotFound))?;
    let (here, warning) = match here {
        Ok(None) => {
            context.knowledge.learn_new(&rule.target);
            (Some(HashSet::new()), None)
        }
        Ok(Some(tags)) => (Some(tags.into_iter().collect::<HashSet<Tag>>()), None),
        // Not every login may list what it may write: ask for each tag instead.
        Err(error) if error.is_refusal() => (None, Some(format!("{error}; each tag is looked up by itself"))),
        Err(error) => return Err(error),
    };
    let before = |tag: &Tag| match &here {
        Some(tags) if !tags.contains(tag) => Before::Absent,
        _ => Before::Unknown,
    };
    let Selection {
        tags,
        missing,
        unmatched,
    } = filter.select(there);
    let unmatched = unmatched
        .into_iter()
        .map(|pattern| format!("the pattern {pattern:?} matches no tag of {}", rule.source));
    let mut warnings: Vec<String> = warning.into_iter().chain(unmatched).collect();
    if tags.is_empty() && missing.is_empty() && warnings.is_empty() {
        warnings.push(format!("{} has no tag for this rule", rule.source));
    }
    let jobs = tags
        .into_iter()
        .map(|tag| {
            let before = before(&tag);
            Job::same_tag(tag, before)
        })
        .collect();
    Ok(Work {
        jobs,
        missing,
        warnings,
    })
}

impl Job {
    fn same_tag(tag: Tag, before: Before) -> Self {
        Self {
            from: TagOrDigest::Tag(tag.clone()),
            to: TagOrDigest::Tag(tag),
            before,
        }
    }
}

fn missing_tag(rule: &Rule, tag: Tag) -> ImageReport {
    let at = TagOrDigest::Tag(tag);
    let error = Error::new(
        format!("looking for {at} in the tags of {}", rule.source),
        Cause::NotFound,
    );
    ImageReport {
        error: Some(error.with_advice()),
        ..ImageReport::new(rule.source.reference(&at), rule.target.reference(&at))
    }
}
