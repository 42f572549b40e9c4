//! The images of one run: side by side, and again those that had to wait for the source's pulls.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::task::JoinSet;

use super::context::Context;
use super::delivered::Delivered;
use super::engine::Engine;
use super::image::Ended;
use super::job::{Job, Place};
use super::mode::Mode;
use super::rule::Rule;
use crate::content::{Error, NoPulls, Pull};
use crate::events::{ImageOutcome, ImageReport, ThrottleReason};
use crate::oci::Host;
use crate::registry::Waited;

/// Comparisons of one run under way beside the images being copied.
const MAX_CHECKS: usize = 32;

/// What the images of one run have in common.
pub(super) struct Batch<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) context: &'a Context,
    pub(super) rule: &'a Arc<Rule>,
    pub(super) mode: Mode,
}

/// A job or its report, and its place.
type Placed<T> = (Place, T);

impl Batch<'_> {
    /// Works on all of them.
    ///
    /// Images that need pulls when none are left hold nothing while the others go on, and then wait for the quota. What
    /// still waits when the run is stopped is left to the next one.
    pub(super) async fn run(&self, mut waiting: Vec<Placed<Job>>, delivered: &mut Delivered) {
        let mut at_once = usize::MAX;
        while !waiting.is_empty() {
            let later = waiting.split_off(at_once.min(waiting.len()));
            let (parked, none) = self.side_by_side(waiting, delivered).await;
            waiting = parked.into_iter().chain(later).collect();
            let (Some(none), Some((_, first))) = (none, waiting.first()) else {
                at_once = at_once.saturating_mul(2);
                continue;
            };
            match self.wait_for_pulls(first, none, waiting.len(), delivered).await {
                Ok(left) => at_once = left,
                Err(_) => {
                    let left_alone = waiting.iter().map(|(place, job)| (*place, self.left_alone(job, none)));
                    delivered.images.extend(left_alone);
                    break;
                }
            }
        }
    }

    /// Returns the jobs that need pulls which are not left, and what is known of the quota.
    async fn side_by_side(
        &self,
        jobs: Vec<Placed<Job>>,
        delivered: &mut Delivered,
    ) -> (Vec<Placed<Job>>, Option<NoPulls>) {
        let (mut running, mut parked, mut quota) = (JoinSet::new(), Vec::new(), None);
        let mut jobs = jobs.into_iter();
        loop {
            while running.len() < self.engine.limits.max_images + MAX_CHECKS
                && let Some((place, job)) = jobs.next()
            {
                let (engine, rule) = (Arc::clone(self.engine), Arc::clone(self.rule));
                let (context, mode) = (self.context.clone(), self.mode);
                running.spawn(async move { (place, Box::pin(engine.image(&context, &rule, mode, job)).await) });
            }
            match running.join_next().await {
                Some(Ok((place, Ended::Reported(image) | Ended::Stopped(image)))) => {
                    self.context.observer.image(&self.rule.name, &image);
                    delivered.images.push((place, *image));
                }
                Some(Ok((place, Ended::Parked(job, none)))) => {
                    parked.push((place, job));
                    quota = Some(none);
                }
                Some(Err(panic)) => delivered.errors.push(format!("a fault in regferry itself: {panic}")),
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
        delivered: &mut Delivered,
    ) -> Result<usize, Error> {
        let host = &first.way.source.location().host;
        let wait = out_of_pulls(host, none, &format!("images that wait: {waiting}"));
        if !delivered.warnings.iter().any(|warning| warning.starts_with(&format!("{host}: "))) {
            self.context.observer.out_of_pulls(&self.rule.name, &wait);
            delivered.warnings.push(wait);
        }
        loop {
            let started = Instant::now();
            let waited = self.context.unless_stopped(first.way.pulls()).await;
            self.context.observer.throttled(host, ThrottleReason::Quota, started.elapsed());
            match waited? {
                Waited::Left(count) => return Ok(usize::try_from(count).unwrap_or(usize::MAX)),
                Waited::Heard => {}
                // Whatever the answer: it tells of the quota, or the next one will.
                Waited::AskAgain => {
                    let asking = first.way.source.resolve(&first.original.from);
                    let _ = self.context.unless_stopped(asking).await?;
                }
            }
        }
    }

    fn left_alone(&self, job: &Job, none: NoPulls) -> ImageReport {
        let mut image = job.report();
        image.outcome = ImageOutcome::Skipped;
        image.error = Some(format!("it waited for pulls of {}: {none}", job.way.source.location().host));
        self.context.observer.image(&self.rule.name, &image);
        image
    }
}

/// What is told when a run begins to wait for pulls.
pub(super) fn out_of_pulls(host: &Host, none: NoPulls, who_waits: &str) -> String {
    let again = humantime::format_rfc3339_seconds(SystemTime::now() + none.window);
    format!("{host}: {none}; {who_waits}; all pulls are there again by {again} at the latest")
}
