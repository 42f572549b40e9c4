//! The images of one run: side by side, and again those that had to wait for the source's pulls.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::task::JoinSet;

use super::context::Context;
use super::engine::Engine;
use super::image::{Ended, Mode};
use super::work::Job;
use crate::content::{Error, NoPulls, Pull};
use crate::events::{ImageOutcome, ImageReport, RuleReport, ThrottleReason};
use crate::registry::{Remote, Seat, Waited};

/// Comparisons of one run under way beside the images being copied.
const MAX_CHECKS: usize = 32;

/// What the images of one run have in common.
pub(super) struct Batch<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) context: &'a Context,
    pub(super) source: Remote,
    pub(super) target: Remote,
    pub(super) seat: Arc<Seat>,
    pub(super) mode: Mode,
}

/// A job and its place in the report.
type Placed<T> = (usize, T);

impl Batch<'_> {
    /// Works on all of them; the report has them in their order, whichever was done first.
    ///
    /// Images that need pulls when none are left hold nothing while the others go on, and then wait for the quota. What
    /// still waits when the run is stopped is left to the next one.
    pub(super) async fn run(&self, jobs: Vec<Job>, report: &mut RuleReport) {
        let mut waiting: Vec<Placed<Job>> = jobs.into_iter().enumerate().collect();
        let (mut done, mut at_once) = (Vec::new(), usize::MAX);
        while !waiting.is_empty() {
            let later = waiting.split_off(at_once.min(waiting.len()));
            let (parked, none) = self.side_by_side(waiting, &mut done, report).await;
            waiting = parked.into_iter().chain(later).collect();
            let (Some(none), Some((_, first))) = (none, waiting.first()) else {
                at_once = at_once.saturating_mul(2);
                continue;
            };
            match self.wait_for_pulls(first, none, waiting.len(), report).await {
                Ok(left) => at_once = left,
                Err(_) => {
                    let left_alone = |(place, job): &Placed<Job>| (*place, self.left_alone(job, none));
                    done.extend(waiting.iter().map(left_alone));
                    break;
                }
            }
        }
        done.sort_by_key(|(place, _)| *place);
        report.images.extend(done.into_iter().map(|(_, image)| image));
    }

    /// Returns the jobs that need pulls which are not left, and what is known of the quota.
    async fn side_by_side(
        &self,
        jobs: Vec<Placed<Job>>,
        done: &mut Vec<Placed<ImageReport>>,
        report: &mut RuleReport,
    ) -> (Vec<Placed<Job>>, Option<NoPulls>) {
        let (mut running, mut parked, mut quota) = (JoinSet::new(), Vec::new(), None);
        let mut jobs = jobs.into_iter();
        loop {
            while running.len() < self.engine.limits.max_images + MAX_CHECKS
                && let Some((place, job)) = jobs.next()
            {
                let engine = Arc::clone(self.engine);
                let (context, mode) = (self.context.clone(), self.mode);
                let (source, target) = (self.source.clone(), self.target.clone());
                running.spawn(async move { (place, engine.image(&context, &source, &target, mode, job).await) });
            }
            match running.join_next().await {
                Some(Ok((place, Ended::Reported(image)))) => {
                    self.context.observer.image(&report.name, &image);
                    done.push((place, image));
                }
                Some(Ok((place, Ended::Parked(job, none)))) => {
                    parked.push((place, job));
                    quota = Some(none);
                }
                Some(Err(panic)) => report.error = Some(format!("a fault in regferry itself: {panic}")),
                None => return (parked, quota),
            }
        }
    }

    /// Waits until pulls are left, and returns how many at least. While nothing is heard of the quota, the registry is
    /// asked by a HEAD, which is no pull.
    async fn wait_for_pulls(
        &self,
        first: &Job,
        none: NoPulls,
        waiting: usize,
        report: &mut RuleReport,
    ) -> Result<usize, Error> {
        let host = &self.source.location().host;
        let again = humantime::format_rfc3339_seconds(SystemTime::now() + none.window);
        let wait =
            format!("{host}: {none}; images that wait: {waiting}; all pulls are there again by {again} at the latest");
        if !report.warnings.iter().any(|warning| warning.starts_with(&format!("{host}: "))) {
            self.context.observer.out_of_pulls(&report.name, &wait);
            report.warnings.push(wait);
        }
        loop {
            let started = Instant::now();
            let waited = self.context.unless_stopped(self.seat.wait()).await;
            self.context.observer.throttled(host, ThrottleReason::Quota, started.elapsed());
            match waited? {
                Waited::Left(count) => return Ok(usize::try_from(count).unwrap_or(usize::MAX)),
                Waited::Heard => {}
                // Whatever the answer: it tells of the quota, or the next one will.
                Waited::AskAgain => drop(self.context.unless_stopped(self.source.resolve(&first.from)).await?),
            }
        }
    }

    fn left_alone(&self, job: &Job, none: NoPulls) -> ImageReport {
        let (source, target) = (self.source.location(), self.target.location());
        let mut image = ImageReport::new(source.reference(&job.from), target.reference(&job.to));
        image.outcome = ImageOutcome::Skipped;
        image.error = Some(format!("it waited for pulls of {}: {none}", source.host));
        self.context.observer.image(&self.context.rule, &image);
        image
    }
}
