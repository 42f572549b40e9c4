//! A rule's run: what there is to do, each image of it compared and brought over, and the report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;

use super::abreast::side_by_side;
use super::context::Context;
use super::crew::{Crew, HandOut};
use super::delivered::Delivered;
use super::delivery::Delivery;
use super::engine::Engine;
use super::mode::Mode;
use super::notes::Notes;
use super::prune::Gaps;
use super::rule::Rule;
use super::stock::{Seats, Stock, Told};
use crate::content::{Error, Fence};
use crate::events::{RuleReport, RunOutcome};

impl Engine {
    /// Runs a rule once. Failures stand in the report; one image's failure is its own.
    ///
    /// Cancelled by the token, the run lets commits finish and reports what it did; dropped, it leaves the target valid
    /// all the same.
    pub async fn run(self: &Arc<Self>, rule: &Arc<Rule>, mode: Mode, cancel: &CancellationToken) -> RuleReport {
        self.run_by(rule, (mode, None), None, cancel).await
    }

    /// The same in [`Mode::Follow`], where also what an earlier process saw at a target is taken to be so still, until so
    /// long after it was seen.
    pub async fn follow(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        earlier: Duration,
        cancel: &CancellationToken,
    ) -> RuleReport {
        self.run_by(rule, (Mode::Follow, Some(earlier)), None, cancel).await
    }

    /// The same in a cluster: a crew brings the images, and `fence` says whether the run is still this process's, before
    /// a composed list is written and before tags are deleted.
    ///
    /// Where the crew has no part, all is as without it: what only looks, composed lists, and layouts, which lie on this
    /// machine. Images are told to the observer where they are worked on; here they are by
    /// [`Observer::brought`](crate::events::Observer::brought). Who was displaced has written nothing since, but has a
    /// report all the same: the fence says that it does not count.
    pub async fn run_with(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        mode: Mode,
        crew: &dyn Crew,
        fence: Arc<dyn Fence>,
        cancel: &CancellationToken,
    ) -> RuleReport {
        self.run_by(rule, (mode, None), Some((crew, fence)), cancel).await
    }

    async fn run_by(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        (mode, earlier): (Mode, Option<Duration>),
        cluster: Option<(&dyn Crew, Arc<dyn Fence>)>,
        cancel: &CancellationToken,
    ) -> RuleReport {
        let own_cancel = cancel.child_token();
        let (crew, fence) = cluster.unzip();
        let crew = crew.filter(|_| mode.changes() && !rule.scope.names_layouts());
        let context = Context { earlier, ..self.context(&rule.name, mode, own_cancel.clone()) };
        let context = match fence {
            Some(fence) => context.fenced(fence),
            None => context,
        };
        context.observer.run_started(&rule.name);
        let mut report = RuleReport::begun(&rule.name, SystemTime::now());
        let clock = Instant::now();

        let in_time = {
            // On the heap, as the other great steps of a run are: one inside of the other they would not fit a stack.
            let work: BoxFuture<'_, ()> = match rule.kept {
                Some(kept) => Box::pin(self.keep_composed(rule, kept, mode, &context, &mut report)),
                None => Box::pin(self.run_images(rule, mode, crew, &context, &mut report)),
            };
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
        if report.outcome == RunOutcome::Success && mode.changes() {
            self.note_success(&rule.name);
        }
        report.elapsed = clock.elapsed();
        context.observer.run_ended(&report);
        report
    }

    /// Does all the work of a run: looks at the sources, then serves each target by itself.
    async fn run_images(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        mode: Mode,
        crew: Option<&dyn Crew>,
        context: &Context,
        report: &mut RuleReport,
    ) {
        let expansion = self.expand(&rule.scope, context).await;
        report.warnings = expansion.warnings;
        let mut errors: Vec<Error> = expansion.errors;
        let (seats, told) = (Seats::default(), Mutex::default());
        let stocks = expansion.mappings.iter().map(|mapping| self.stock(rule, mapping, &seats, context, &told));
        let stocks = side_by_side(stocks).await;
        let is_partial = !errors.is_empty() || !expansion.unmatched.is_empty();
        let gaps = Arc::new(Gaps::of(is_partial, &expansion.mappings, &stocks));
        let (stocks, unlisted) = parted(stocks);
        errors.extend(unlisted);
        let told: Told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.warnings.extend(told.warnings);
        report.selections = told.selections;
        report.selections.sort_by(|a, b| a.source.cmp(&b.source));

        let (relays, notes) = (Arc::default(), Arc::new(Notes::default()));
        let delivery = |index| {
            let (relays, notes, gaps) = (Arc::clone(&relays), Arc::clone(&notes), Arc::clone(&gaps));
            Delivery { engine: self, context, rule, mode, index, relays, notes, gaps }
        };
        let deliveries: Vec<_> = (0..rule.scope.targets.len()).map(delivery).collect();
        let mut failed: Vec<String> =
            errors.iter().filter(|error| !error.is_cancelled()).map(Error::with_advice).collect();
        let delivered = match crew {
            Some(crew) => {
                let hand_out = HandOut { crew, rule, context, notes: &notes, mode, begun: report.started };
                Box::pin(hand_out.run(deliveries, stocks)).await
            }
            None => by_themselves(deliveries, stocks).await,
        };
        let (lacking, nowhere) = notes.tell(rule.platforms.as_ref());
        report.warnings.extend(lacking);
        failed.extend(nowhere);
        tell(report, failed, delivered);
    }
}

/// Each of the targets without regard to the others.
async fn by_themselves(deliveries: Vec<Delivery<'_>>, stocks: Vec<Stock>) -> Vec<Delivered> {
    let deliveries = deliveries.into_iter().map(|delivery| Box::pin(delivery.run(stocks.clone())));
    let deliveries: Vec<_> = deliveries.collect();
    drop(stocks);
    join_all(deliveries).await
}

/// Those that went well, and the errors of the others.
fn parted<T>(results: Vec<Result<T, Error>>) -> (Vec<T>, Vec<Error>) {
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) => errors.push(error),
        }
    }
    (done, errors)
}

/// Writes what came of the deliveries into the report: images in the order of the rule, whichever was done first.
fn tell(report: &mut RuleReport, mut errors: Vec<String>, deliveries: Vec<Delivered>) {
    let mut images = Vec::new();
    for mut delivered in deliveries {
        // The first ones are taken as they lie: of a hundred thousand images no second copy is wanted.
        if images.is_empty() {
            images = delivered.images;
        } else {
            images.append(&mut delivered.images);
        }
        report.warnings.extend(delivered.warnings);
        report.pruned.extend(delivered.pruned);
        errors.extend(delivered.errors);
    }
    images.sort_unstable_by_key(|(place, _)| *place);
    report.images = images.into_iter().map(|(_, image)| image).collect();
    report.error = (!errors.is_empty()).then(|| errors.join("; "));
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
