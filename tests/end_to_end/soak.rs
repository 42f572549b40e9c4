//! The daemon for a long time: five hundred tags over fifty rules, each due every second, between real registries that
//! refuse, break off, stand still and restart, while tags move. It holds: memory, files and threads stay as they were,
//! no tick is missed, none drifts, the log stays readable, and the target follows.
//!
//! `REGFERRY_SOAK_SECONDS` says how long (40, if nothing is said), `REGFERRY_CHAOS_SEED` chooses the faults.

mod fleet;
mod journal;
mod ticks;
mod vitals;

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};
use fleet::{Fleet, RULES};
use journal::Journal;
use ticks::Ticking;
use vitals::{Series, Vitals};

/// How often tags move at the source, and how many of them.
const MOVES: (Duration, usize) = (Duration::from_secs(2), 4);

/// How long a registry that restarts is away.
const AWAY: Duration = Duration::from_millis(500);

/// How many uploads a busy machine may open later than the daemon waits for the answer.
const TOO_LATE: u64 = 10;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_ticks_every_second_through_faults_neither_grows_nor_drifts_nor_misses_a_tick() {
    let (seed, length) = (number("REGFERRY_CHAOS_SEED", 1), Duration::from_secs(number("REGFERRY_SOAK_SECONDS", 40)));
    let mut fleet = Fleet::start(seed).await;
    let (daemon, journal) = start(&fleet).await;
    until("each rule's first success", async || (successes(&daemon).await == RULES).then_some(())).await;

    let (vitals, ()) = tokio::join!(watch(&daemon, length), trouble(&mut fleet, length));
    fleet.calm();
    let calm = Instant::now();
    until("the tags' being where they are at the source", async || fleet.tags_agree().await.then_some(())).await;
    let followed = calm.elapsed();
    let asked = Instant::now();
    daemon.signal("TERM");
    let ended = daemon.ended().await;
    let stopped = asked.elapsed();

    let journal = journal.closed();
    let ticking = Ticking::of(journal.runs());
    let story = format!(
        "seed {seed}\n{vitals}\n{ticking}\n{journal}\n{fleet}\nfollowed after {followed:?}, stopped after {stopped:?}"
    );
    tell(&story);
    vitals.assert_flat(&story);
    ticking.assert_regular(RULES, &story);
    assert_eq!(journal.errors, Vec::<String>::new(), "{story}");
    // A fault is told once, and a change; while a registry is away, all who ask it tell.
    assert!(journal.told() < 2_000 + 5 * (fleet.faults() + fleet.moved), "{story}");
    assert_eq!(ended.code, Some(143), "{story}");
    assert!(stopped < GRACE, "{story}");
    assert_eq!(fleet.differences().await, Vec::<String>::new(), "{story}");
    assert_eq!(fleet.damage(), Vec::<String>::new(), "{story}");
    // Whose opening was answered to nobody is known to nobody; all others are used, or ended by who opened them.
    let (open, unheard) = (fleet.open_uploads() as u64, fleet.unheard());
    assert!(open <= unheard + TOO_LATE, "{open} uploads are open, {unheard} answers were lost\n{story}");
}

/// The daemon, and what it tells of its runs.
async fn start(fleet: &Fleet) -> (Daemon, Journal) {
    let arguments = ["serve", "-v", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let config = format!("service.shutdown_grace = '{}s'\n{}", GRACE.as_secs(), fleet.config());
    let (journal, pipe) = Journal::open();
    let running = Ferry::new(&arguments).config(&config).stderr_into(pipe).spawn();
    let address = until("the daemon's address in its log", async || journal.address()).await;
    (Daemon::at(address, running), journal)
}

async fn successes(daemon: &Daemon) -> usize {
    let (_, metrics) = daemon.get("/metrics").await;
    metrics.lines().filter(|line| line.starts_with(r#"regferry_rule_runs_total{outcome="success""#)).count()
}

/// Looks at the daemon every second.
async fn watch(daemon: &Daemon, length: Duration) -> Series {
    let begun = Instant::now();
    let mut looks = interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut series = Series::default();
    while begun.elapsed() < length {
        looks.tick().await;
        let (_, metrics) = daemon.get("/metrics").await;
        let vitals = Vitals::of(begun.elapsed(), &metrics);
        if series.is_at_a_minute(&vitals) {
            tell(&vitals.to_string());
        }
        series.push(vitals);
    }
    series
}

/// Moves tags all the time; restarts the target after a third of it, the source after two.
async fn trouble(fleet: &mut Fleet, length: Duration) {
    let begun = Instant::now();
    let mut restarts = 0;
    while begun.elapsed() < length {
        sleep(MOVES.0).await;
        fleet.move_tags(MOVES.1).await;
        if restarts < 2 && begun.elapsed() > length * (restarts + 1) / 3 {
            fleet.restart(restarts == 0, AWAY).await;
            restarts += 1;
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[expect(clippy::print_stderr, reason = "shown when the test fails, or with --nocapture")]
fn tell(story: &str) {
    eprintln!("{story}");
}
