//! The line as a whole: who waits goes at last, whatever the limits.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

/// Longer than everything takes one after another; with time paused it only passes when all stand still.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that wants its turn at some of the registries.
#[derive(Debug, Clone)]
enum Work {
    /// A blob's bytes from one registry to another, or within one; so many requests at the target on the way.
    Transfer { from: usize, to: usize, requests: usize, millis: u64 },
    /// A request of its own, and whether it is throttled.
    Request { at: usize, class: Class, throttled: bool, millis: u64 },
    /// Waits for its turn so long, and goes away.
    Impatient { at: usize, millis: u64 },
}

const REGISTRIES: usize = 3;

fn work() -> impl Strategy<Value = Work> {
    let at = || 0..REGISTRIES;
    let class = prop::sample::select(Class::ALL.to_vec());
    prop_oneof![
        (at(), at(), 0usize..4, 0u64..50).prop_map(|(from, to, requests, millis)| Work::Transfer {
            from,
            to,
            requests,
            millis
        }),
        (at(), class, prop::bool::weighted(0.2), 0u64..50).prop_map(|(at, class, throttled, millis)| Work::Request {
            at,
            class,
            throttled,
            millis
        }),
        (at(), 0u64..50).prop_map(|(at, millis)| Work::Impatient { at, millis }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let rate = prop::option::of((1u32..50, 1u32..3)).prop_map(|rate| {
        rate.map(|(per_second, burst)| Rate {
            per_second: f64::from(per_second),
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
        })
    });
    (1usize..6, rate).prop_map(|(connections, rate)| Limits {
        max_connections: Some(connections),
        rate,
        ..Limits::default()
    })
}

/// A registry that counts what moves there, as it would see it.
struct Counted {
    line: Arc<Line>,
    moving: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    fn new(limits: &Limits) -> Arc<Self> {
        let line = Arc::new(Line::new(&"registry.example".parse().unwrap(), limits, Arc::new(())));
        Arc::new(Self { line, moving: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    async fn moves(&self, millis: u64) {
        let now = self.moving.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.moving.fetch_sub(1, Ordering::Relaxed);
    }

    async fn request(&self, class: Class, in_lane: bool, load: Load, millis: u64) {
        let mut pass = self.line.enter(class, in_lane).await;
        if in_lane {
            // The lane's own bytes are counted.
            tokio::time::sleep(Duration::from_millis(millis)).await;
        } else {
            self.moves(millis).await;
        }
        pass.answered(load);
    }
}

async fn done(registries: [Arc<Counted>; REGISTRIES], work: Work) {
    match work {
        Work::Transfer { from, to, requests, millis } => {
            // In the order of `transfer::lanes`.
            let lanes = if from == to {
                vec![registries[to].line.lanes(2).await, registries[from].line.lanes(0).await]
            } else {
                let first = registries[from.min(to)].line.lanes(1).await;
                vec![first, registries[from.max(to)].line.lanes(1).await]
            };
            registries[from].request(Class::Read, true, Load::Bearable, 0).await;
            for _ in 0..requests {
                registries[to].request(Class::Upload, true, Load::Bearable, millis).await;
            }
            tokio::join!(registries[to].moves(millis), async {
                if from != to {
                    registries[from].moves(millis).await;
                }
            });
            drop(lanes);
        }
        Work::Request { at, class, throttled, millis } => {
            let load = if throttled { Load::TooMuch } else { Load::Bearable };
            registries[at].request(class, false, load, millis).await;
        }
        Work::Impatient { at, millis } => {
            let waiting = registries[at].request(Class::Read, false, Load::Unknown, 0);
            let _ = tokio::time::timeout(Duration::from_millis(millis), waiting).await;
            let lanes = registries[at].line.lanes(2);
            let _ = tokio::time::timeout(Duration::from_millis(millis), lanes).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn transfers_and_requests_under_tiny_limits_all_come_to_an_end(
        limits in prop::array::uniform3(limits()),
        works in prop::collection::vec(work(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let registries = [0, 1, 2].map(|n: usize| Counted::new(&limits[n]));
            let mut tasks: JoinSet<()> = works.into_iter().map(|work| done(registries.clone(), work)).collect();
            let all = async { while let Some(done) = tasks.join_next().await { done.unwrap() } };
            prop_assert!(tokio::time::timeout(NEVER, all).await.is_ok(), "they wait for each other");
            for (registry, limits) in registries.iter().zip(&limits) {
                let most = registry.most.load(Ordering::Relaxed);
                prop_assert!(Some(most) <= limits.max_connections, "{most} at once of {:?}", limits.max_connections);
                // All is given back.
                let lanes = registry.line.state().most_lanes(now());
                for _ in 0..lanes {
                    prop_assert_eq!(registry.line.state().admit(Wanted::Lane, now()), Ok(()));
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn two_transfers_in_opposite_directions_do_not_wait_for_each_other() {
    let one = Limits { max_connections: Some(1), ..Limits::default() };
    let registries = [0; REGISTRIES].map(|_| Counted::new(&one));
    let transfer = |from, to| Work::Transfer { from, to, requests: 1, millis: 10 };
    let works = (0..20).flat_map(|_| [transfer(0, 1), transfer(1, 0), transfer(0, 0)]);
    let tasks: JoinSet<()> = works.map(|work| done(registries.clone(), work)).collect();
    assert!(tokio::time::timeout(NEVER, tasks.join_all()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn short_requests_go_while_the_bytes_of_blobs_take_all_lanes() {
    let registry = Counted::new(&Limits { max_connections: Some(5), ..Limits::default() });
    let mut lanes = Vec::new();
    for _ in 0..4 {
        lanes.push(registry.line.lanes(1).await);
    }
    let request = registry.request(Class::Read, false, Load::Bearable, 0);
    assert!(tokio::time::timeout(NEVER, request).await.is_ok());
    assert!(tokio::time::timeout(NEVER, registry.line.lanes(1)).await.is_err(), "a quarter is left to short requests");
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_throttled_leaves_the_others_alone() {
    let registry = Counted::new(&Limits::default());
    for _ in 0..8 {
        registry.request(Class::Upload, false, Load::TooMuch, 1).await;
    }
    let started = now();
    for _ in 0..100 {
        registry.request(Class::Read, false, Load::Bearable, 0).await;
    }
    // Sleeping for no time takes a millisecond of tokio's.
    assert!(now() - started < Duration::from_millis(200), "{:?}", now() - started);
    let started = now();
    registry.request(Class::Upload, false, Load::Bearable, 0).await;
    assert!(now() - started > Duration::from_millis(500), "{:?}", now() - started);
}
