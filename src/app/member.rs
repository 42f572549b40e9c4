//! The daemon as one of a cluster's replicas: it tells of the ticks that it sees, works, and hears of what others do.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::App;
use super::hands::{EngineHands, moment};
use crate::config::ScheduledRule;
use crate::events::Queue;
use crate::queue::{Cluster, Error, Knowing, Order, Part, Replica, RunNews, Runs, Sharing, ToldMoves};
use crate::schedule::{ClusterTimetable, DueTick, is_news};
use crate::server::{Refusal, SyncAccepted};
use crate::transfer::Engine;

/// Checks of images that are in place are cheap: so many are done beside those that are copied.
const CHECKS: usize = 3;

/// Replicas look at a tick apart: most of them find it told by another.
const APART: u64 = 500;

/// What a process does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Tells of ticks, and works.
    Serve,
    /// Works.
    Work,
    /// Works until nothing is left to do.
    Drain,
}

/// A cluster's replica at work.
pub(super) struct Member {
    cluster: Arc<Cluster>,
    hands: Arc<EngineHands>,
    name: String,
    news: Runs,
    /// What was told last of each rule: after NATS was away it is told once more.
    told: HashMap<String, Told>,
    /// Rules have changed.
    changed: Arc<Notify>,
    stop: CancellationToken,
    working: AbortOnDropHandle<()>,
    _scheduling: Option<AbortOnDropHandle<Infallible>>,
    /// Runs that were asked for, on their way to the queue.
    asking: JoinSet<()>,
    /// Rules among them whose order waits until NATS is there.
    waiting: Arc<Waiting>,
}

/// The names of rules.
#[derive(Default)]
struct Waiting(Mutex<HashSet<String>>);

impl Waiting {
    /// False if it is among them already.
    fn enter(&self, rule: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(rule.to_owned())
    }

    fn leave(&self, rule: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(rule);
    }
}

/// What identifies what is told of a run.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    order: Order,
    replica: String,
    is_end: bool,
}

impl Member {
    pub(super) fn new(cluster: Arc<Cluster>, app: &App, duty: Duty) -> Self {
        let (engine, observer) = (&app.engine, &app.observer);
        let hands = Arc::new(EngineHands::new(engine));
        hands.follow(engine, &app.rules);
        let replica = Replica::new(Arc::clone(&cluster), Arc::clone(&hands) as _, Arc::clone(observer));
        let (stop, changed, name) = (CancellationToken::new(), Arc::new(Notify::new()), replica.name().to_owned());
        let part = Part { images: engine.limits().max_images.saturating_mul(1 + CHECKS) };
        let stopped = stop.clone();
        let allotments = app.allotments.clone().unwrap_or_default();
        let sharing = Sharing::new(Arc::clone(&cluster), allotments, Arc::clone(observer));
        engine.tell_moves(Arc::new(ToldMoves::new(&cluster)));
        let knowing = Knowing::new(&cluster, engine.hearsay());
        let working = tokio::spawn(async move {
            // What is being committed needs its part of the limits to the end.
            let no_more = CancellationToken::new();
            let work = async {
                replica.work(part, &stopped).await;
                no_more.cancel();
            };
            tokio::join!(work, sharing.keep(&no_more), knowing.keep(&no_more));
        });
        let scheduling = (duty == Duty::Serve).then(|| {
            let schedule = schedule(Arc::clone(&cluster), Arc::clone(&hands), Arc::clone(&changed));
            AbortOnDropHandle::new(tokio::spawn(schedule))
        });
        Self {
            news: cluster.runs(),
            told: HashMap::new(),
            cluster,
            hands,
            name,
            changed,
            stop,
            working: AbortOnDropHandle::new(working),
            _scheduling: scheduling,
            asking: JoinSet::new(),
            waiting: Arc::default(),
        }
    }

    /// Works by these rules from now on.
    pub(super) fn follow(&self, engine: &Arc<Engine>, rules: &[ScheduledRule]) {
        self.hands.follow(engine, rules);
        self.changed.notify_one();
    }

    /// When each rule is due next.
    pub(super) fn next_ticks(&self) -> Vec<(Arc<str>, Option<Timestamp>)> {
        let now = Timestamp::now();
        self.hands.timetable(|timetable| timetable.next(now).map(|(rule, at)| (Arc::clone(rule), at)).collect())
    }

    /// Has a run be done by whoever takes it, and tells whoever asked when NATS has it. Where nobody waits for an answer, as
    /// for a registry's push, it is tried until NATS is there.
    pub(super) fn ask(&mut self, accepted: SyncAccepted, answer: oneshot::Sender<Result<SyncAccepted, Refusal>>) {
        while self.asking.try_join_next().is_some() {}
        let (cluster, at) = (Arc::clone(&self.cluster), Timestamp::now().as_millisecond());
        let order = Order { rule: accepted.rule.clone(), at: u64::try_from(at).unwrap_or(0), mode: None };
        let waiting = Arc::clone(&self.waiting);
        self.asking.spawn(async move {
            let mut ordered = cluster.order(&order).await;
            // One that waits for NATS already is as good.
            if ordered.is_err() && answer.is_closed() && waiting.enter(&order.rule) {
                while let Err(error) = &ordered {
                    cluster.trouble("ordering a run that was asked for", error);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    ordered = cluster.order(&order).await;
                }
                waiting.leave(&order.rule);
            }
            let ordered = ordered.map(|_| accepted).map_err(|error| {
                tracing::warn!(rule = order.rule, %error, "a run that was asked for is not ordered");
                Refusal::Unreached
            });
            // Who asked may be gone; the rule runs all the same.
            drop(answer.send(ordered));
        });
    }

    /// What becomes of a run of another replica. May be cancelled, and loses none.
    pub(super) async fn news(&mut self) -> RunNews {
        loop {
            match self.news.next().await {
                Some(news) if self.is_told(&news) || news.replica == self.name => {}
                Some(news) => return news,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether this was told last of its rule; from now on it was.
    fn is_told(&mut self, news: &RunNews) -> bool {
        let told = Told { order: news.order.clone(), replica: news.replica.clone(), is_end: news.state.is_end() };
        self.told.insert(news.order.rule.clone(), told.clone()) == Some(told)
    }

    /// Gives back at once what is not done, and waits for what is being committed, until `end` at most.
    pub(super) async fn stop(&mut self, end: Instant) {
        self.stop.cancel();
        if tokio::time::timeout_at(end, &mut self.working).await.is_err() {
            tracing::warn!("the grace ended before all work was given back: others have it when it has run out");
        }
    }

    /// Ends when nothing is left to do, on any replica.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + use<> {
        let cluster = Arc::clone(&self.cluster);
        async move {
            // What was handed on may be between two queues at one look, and `sync --cluster`, started together with this
            // process, has not ordered anything yet.
            const LOOKS: u32 = 6;
            let mut looks = 0;
            while looks < LOOKS {
                tokio::time::sleep(Duration::from_millis(500)).await;
                looks = if is_empty(&cluster).await.unwrap_or(false) { looks + 1 } else { 0 };
            }
        }
    }
}

async fn is_empty(cluster: &Cluster) -> Result<bool, Error> {
    // Runs first: one that ends has no images any more.
    Ok(cluster.backlog(Queue::Runs).await? == 0 && cluster.backlog(Queue::Images).await? == 0)
}

/// Tells of the ticks that are due, unless others have.
async fn schedule(cluster: Arc<Cluster>, hands: Arc<EngineHands>, changed: Arc<Notify>) -> Infallible {
    let (mut told, mut losses) = (cluster.told_ticks(), cluster.losses());
    let mut look = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(look) => look = match tell_due(&cluster, &hands).await {
                Ok(()) => next_look(&hands),
                Err(error) => {
                    // They stay due.
                    cluster.trouble("telling of a tick", &error);
                    Instant::now() + Duration::from_secs(1)
                }
            },
            Some((rule, at)) = told.next() => settle(&hands, &rule, at),
            Ok(()) = losses.changed() => {
                // What was under way is gone with it.
                hands.timetable(ClusterTimetable::forget_settled);
                look = next_look(&hands);
            }
            () = changed.notified() => look = next_look(&hands),
        }
    }
}

fn next_look(hands: &EngineHands) -> Instant {
    let now = Timestamp::now();
    let wait = hands.timetable(|timetable| match timetable.due(now).is_empty() {
        true => timetable.wait(now),
        false => Duration::ZERO,
    });
    Instant::now() + wait + apart()
}

async fn tell_due(cluster: &Cluster, hands: &EngineHands) -> Result<(), Error> {
    let due = hands.timetable(|timetable| timetable.due(Timestamp::now()));
    for tick in due {
        tell(cluster, hands, &tick).await?;
    }
    Ok(())
}

async fn tell(cluster: &Cluster, hands: &EngineHands, tick: &DueTick) -> Result<(), Error> {
    let known = cluster.last_tick(&tick.rule).await?;
    if is_news(tick.at, known.and_then(moment), Timestamp::now()) {
        cluster.tick(&tick.rule, u64::try_from(tick.at.as_millisecond()).unwrap_or(0)).await?;
    }
    hands.timetable(|timetable| timetable.settle(&tick.rule, tick.at));
    Ok(())
}

fn settle(hands: &EngineHands, rule: &str, at: u64) {
    if let Some(at) = moment(at) {
        hands.timetable(|timetable| timetable.settle(rule, at));
    }
}

fn apart() -> Duration {
    Duration::from_millis(RandomState::new().hash_one(()) % APART)
}
