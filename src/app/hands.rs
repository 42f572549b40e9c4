//! The engine and the rules, as the cluster's queue works by them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::ScheduledRule;
use crate::content::Fence;
use crate::events::RuleReport;
use crate::queue::Hands;
use crate::schedule::ClusterTimetable;
use crate::transfer::{Crew, Engine, Mode, Task, Worked};

/// Does the cluster's work by the configuration that holds now.
pub(super) struct EngineHands(RwLock<Now>);

struct Now {
    engine: Arc<Engine>,
    rules: HashMap<Arc<str>, Held>,
    timetable: ClusterTimetable,
}

struct Held {
    scheduled: ScheduledRule,
    /// Cancelled when it is gone or does something else.
    gone: CancellationToken,
}

impl EngineHands {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        let now = Now { engine: Arc::clone(engine), rules: HashMap::new(), timetable: ClusterTimetable::default() };
        Self(RwLock::new(now))
    }

    /// Works by these rules from now on. What is under way for others that were before is stopped.
    pub(super) fn follow(&self, engine: &Arc<Engine>, rules: &[ScheduledRule]) {
        self.change(|now| {
            let mut before = std::mem::take(&mut now.rules);
            for scheduled in rules {
                let gone = match before.remove(&scheduled.rule.name) {
                    Some(held) if held.scheduled.rule == scheduled.rule => held.gone,
                    other => {
                        other.iter().for_each(|held| held.gone.cancel());
                        CancellationToken::new()
                    }
                };
                let held = Held { scheduled: scheduled.clone(), gone };
                now.rules.insert(Arc::clone(&scheduled.rule.name), held);
            }
            before.values().for_each(|held| held.gone.cancel());
            now.engine = Arc::clone(engine);
            now.timetable.follow(rules.iter().map(|scheduled| (&scheduled.rule.name, &scheduled.timing)));
        });
    }

    /// Asks the timetable, or tells it something.
    pub(super) fn timetable<T>(&self, ask: impl FnOnce(&mut ClusterTimetable) -> T) -> T {
        self.change(|now| ask(&mut now.timetable))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rule as it is now, with the engine, and what says that it is not any more.
    fn rule(&self, name: &str) -> Option<(Arc<Engine>, ScheduledRule, CancellationToken)> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let held = now.rules.get(name)?;
        Some((Arc::clone(&now.engine), held.scheduled.clone(), held.gone.clone()))
    }
}

impl Hands for EngineHands {
    fn mode(&self, rule: &str, at: u64, rechecked: Option<u64>) -> Option<Mode> {
        let (_, scheduled, _) = self.rule(rule)?;
        let is_recheck = moment(at)
            .is_some_and(|at| self.timetable(|timetable| timetable.is_recheck(rule, at, rechecked.and_then(moment))));
        Some(scheduled.mode(is_recheck))
    }

    fn run(
        self: Arc<Self>,
        rule: Arc<str>,
        mode: Mode,
        crew: Arc<dyn Crew>,
        fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<RuleReport>> {
        async move {
            let (engine, scheduled, gone) = self.rule(&rule)?;
            let run = engine.run_with(&scheduled.rule, mode, &*crew, fence, &cancel);
            Some(until_gone(run, &gone, &cancel).await)
        }
        .boxed()
    }

    fn work(
        self: Arc<Self>,
        task: Task,
        fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Worked>> {
        async move {
            let (engine, scheduled, gone) = self.rule(&task.rule)?;
            let work = engine.work(&scheduled.rule, task, fence, &cancel);
            until_gone(work, &gone, &cancel).await.inspect_err(|foreign| tracing::debug!(%foreign, "an image")).ok()
        }
        .boxed()
    }
}

/// Work that is cancelled when its rule is gone, and ends then by itself.
async fn until_gone<T>(work: impl Future<Output = T>, gone: &CancellationToken, cancel: &CancellationToken) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = gone.cancelled() => {
            cancel.cancel();
            work.await
        }
    }
}

/// Milliseconds since 1970 as a date.
pub(super) fn moment(millisecond: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(millisecond).ok()?).ok()
}
