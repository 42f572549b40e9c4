//! Limits that three processes keep together, as the registry sees them.

use std::num::NonZeroU32;

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fifty() -> Limits {
    let rate = Rate { per_second: 50.0, burst: NonZeroU32::new(5).unwrap() };
    Limits { rate: Some(rate), ..Limits::default() }
}

fn shared(limits: &Limits) -> Arc<Line> {
    let line = Line::new(&"registry.example".parse().unwrap(), limits, Arc::new(()));
    Arc::new(line.shared(limits, Arc::default()))
}

fn for_long(share: u32) -> Part {
    Part { share, until: now() + SECOND * 1000 }
}

/// Requests of a process that always has more to ask.
async fn greedy(line: Arc<Line>, sent: Arc<Mutex<Vec<Instant>>>) {
    loop {
        let mut pass = line.enter(Class::Read, false).await;
        sent.lock().unwrap().push(now());
        tokio::time::sleep(Duration::from_millis(20)).await;
        pass.answered(Load::Bearable);
    }
}

/// Lines at which so many tasks always wait, and what they let through.
struct Busy {
    lines: Vec<Arc<Line>>,
    sent: Arc<Mutex<Vec<Instant>>>,
    _tasks: JoinSet<()>,
}

impl Busy {
    fn new(limits: &Limits, count: usize) -> Self {
        let lines: Vec<_> = (0..count).map(|_| shared(limits)).collect();
        let (sent, mut tasks) = (Arc::default(), JoinSet::new());
        for line in lines.iter().flat_map(|line| [line; 8]) {
            tasks.spawn(greedy(Arc::clone(line), Arc::clone(&sent)));
        }
        Self { lines, sent, _tasks: tasks }
    }

    fn give(&self, shares: [u32; 3]) {
        for (line, share) in self.lines.iter().zip(shares) {
            line.give(Shared::Flow, for_long(share));
        }
    }

    /// The most that came within any second.
    fn most_in_a_second(&self) -> usize {
        let sent = self.sent.lock().unwrap();
        let from = |first: usize| sent[first..].iter().take_while(|at| **at < sent[first] + SECOND).count();
        (0..sent.len()).map(from).max().unwrap_or(0)
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn three_with_a_third_each_let_through_what_one_would() {
    let busy = Busy::new(&fifty(), 3);
    tokio::time::sleep(SECOND).await;
    assert_eq!(busy.count(), 0, "nothing goes without a part");
    busy.give([WHOLE / 3; 3]);
    tokio::time::sleep(20 * SECOND).await;
    assert!(busy.most_in_a_second() <= 55, "{}", busy.most_in_a_second());
    assert!(busy.count() >= 20 * 48, "{} in 20 s", busy.count());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_over_and_who_waits_goes_on_with_the_next_part() {
    let line = shared(&fifty());
    line.give(Shared::Flow, Part { share: WHOLE, until: now() + SECOND });
    drop(line.enter(Class::Read, false).await);
    tokio::time::sleep(SECOND).await;
    let waiting = tokio::time::timeout(SECOND, line.enter(Class::Read, false)).await;
    assert!(waiting.is_err());
    let (_, entered) = tokio::join!(
        async {
            tokio::time::sleep(SECOND).await;
            line.give(Shared::Flow, for_long(WHOLE));
        },
        line.enter(Class::Read, false)
    );
    drop(entered);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_connections_bounds_them_and_those_that_are_open_cannot_be_given_back() {
    let line = shared(&Limits { max_connections: Some(6), ..Limits::default() });
    line.give(Shared::Connections, for_long(WHOLE / 2));
    let passes = [line.enter(Class::Read, false).await, line.enter(Class::Read, false).await];
    let lane = line.lanes(1).await;
    assert!(tokio::time::timeout(SECOND, line.enter(Class::Read, false)).await.is_err(), "three of six are ours");
    assert_eq!(line.wish(Shared::Connections), Wish { want: WHOLE, bound: WHOLE / 2 });
    drop((passes, lane));
    line.wish(Shared::Connections);
    line.give(Shared::Connections, for_long(WHOLE / 2));
    assert_eq!(line.wish(Shared::Connections), Wish { want: 0, bound: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_second_lane_that_is_none_any_more_is_not_waited_for() {
    let line = shared(&Limits { max_connections: Some(3), ..Limits::default() });
    line.give(Shared::Connections, for_long(WHOLE));
    let other = line.lanes(2).await;
    let (two, ()) = tokio::join!(line.lanes(2), async {
        tokio::time::sleep(SECOND).await;
        line.give(Shared::Connections, for_long(WHOLE / 3));
    });
    drop((two, other));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_configured_is_each_processes_own() {
    let line = shared(&Limits::default());
    assert!(Shared::ALL.iter().all(|what| !line.shares(*what)));
    drop(line.enter(Class::Read, false).await);
    drop(line.lanes(2).await);
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_shared_too() {
    let line = shared(&Limits { bandwidth: Some(1_000_000), ..Limits::default() });
    assert_eq!(line.charge(1), SECOND, "without a part a piece a second");
    tokio::time::sleep(2 * SECOND).await;
    line.give(Shared::Flow, for_long(WHOLE / 4));
    let pause = line.charge(100_000);
    assert!((Duration::from_millis(300)..=Duration::from_millis(400)).contains(&pause), "{pause:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn however_shares_move_no_second_sees_more_than_the_whole(
        moves in prop::collection::vec((prop::array::uniform3(0u32..=10), 50u64..1500), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let busy = Busy::new(&fifty(), 3);
            let mut before = [WHOLE / 3; 3];
            busy.give(before);
            for (weights, millis) in moves {
                let shares = weights.map(|weight| weight * (WHOLE / weights.iter().sum::<u32>().max(1)));
                // Those that give something back do so first.
                busy.give(std::array::from_fn(|n| shares[n].min(before[n])));
                tokio::time::sleep(Duration::from_millis(millis / 5)).await;
                busy.give(shares);
                before = shares;
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            prop_assert!(busy.most_in_a_second() <= 55, "{}", busy.most_in_a_second());
            Ok(())
        })?;
    }
}
