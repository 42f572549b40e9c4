//! The timetable, with clocks that are moved by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Cron, Due, Now, Planned, Schedule, Timetable, Timing};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const NONE: [usize; 0] = [];

fn every(interval: Duration) -> Timing {
    Timing { schedule: Schedule::Every(interval), jitter: Duration::ZERO, recheck: None }
}

fn cron(text: &str) -> Timing {
    Timing { schedule: Schedule::Cron(Cron::parse(text).unwrap()), ..every(HOUR) }
}

/// A timetable, and clocks that are moved by hand.
struct World {
    now: Now,
    timetable: Timetable,
}

impl World {
    fn at(date: &str, timings: &[Timing]) -> Self {
        let now = Now { monotonic: Instant::now(), wall: date.parse().unwrap() };
        let mut world = Self { timetable: Timetable::new(7, now), now };
        // One after the other, so that none is put off for the others.
        (1..=timings.len()).for_each(|count| world.follow(&timings[..count], &[]));
        world
    }

    fn new(timings: &[Timing]) -> Self {
        Self::at("2026-01-05T00:00:00Z", timings)
    }

    /// The configuration has these rules now; those at these places do something else than before.
    fn follow(&mut self, timings: &[Timing], changed: &[usize]) {
        let names: Vec<Arc<str>> = (0..timings.len()).map(|place| place.to_string().into()).collect();
        let rules = names.iter().zip(timings).enumerate();
        let planned =
            rules.map(|(place, (rule, timing))| Planned { rule, timing, is_changed: changed.contains(&place) });
        self.timetable.follow(planned, self.now);
    }

    /// The rules that are started now, and do not end.
    fn start(&mut self) -> Vec<usize> {
        self.timetable.start_due(self.now).iter().map(|due| due.rule.parse().unwrap()).collect()
    }

    /// A rule's run ends. Returns whether the next begins at once.
    fn end(&mut self, rule: usize) -> bool {
        self.timetable.ended(&rule.to_string(), true, self.now).is_some()
    }

    /// Time passes, and nobody looks.
    fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.wall += time;
    }

    fn set_clock(&mut self, date: &str) {
        self.now.wall = date.parse().unwrap();
    }

    /// The rules that are started now, and end at once unless more was due.
    fn run(&mut self) -> Vec<usize> {
        let due = self.start();
        due.iter().for_each(|rule| assert!(!self.end(*rule)));
        due
    }

    /// Looks whenever the timetable asks to, until the date. Returns when rules were started.
    fn runs_until(&mut self, date: &str) -> Vec<String> {
        let mut runs = Vec::new();
        let end: Timestamp = date.parse().unwrap();
        while self.now.wall < end {
            let started = self.run();
            runs.extend(started.iter().map(|_| self.now.wall.strftime("%d %H:%M:%S").to_string()));
            let wait = self.timetable.next_look().unwrap() - self.now.monotonic;
            assert!(wait > Duration::ZERO && wait <= MINUTE, "{wait:?}");
            self.pass(wait);
        }
        runs
    }
}

#[test]
fn rules_are_due_at_once_and_then_on_their_own_grid() {
    let mut world = World::new(&[every(MINUTE), every(2 * MINUTE), cron("2 * * * *")]);
    assert_eq!(world.run(), [0, 1, 2]);
    assert_eq!(world.run(), NONE);
    world.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(world.run(), [0]);
    world.pass(Duration::from_secs(59));
    assert_eq!(world.run(), [0, 1, 2]);
}

#[test]
fn ticks_during_a_run_are_folded_into_one_more_run() {
    for timing in [every(MINUTE), cron("* * * * *")] {
        let mut world = World::new(&[timing]);
        assert_eq!(world.start(), [0]);
        for _ in 0..3 {
            world.pass(MINUTE);
            assert_eq!(world.start(), NONE);
        }
        assert!(world.end(0));
        assert!(!world.end(0));
        world.pass(MINUTE);
        assert_eq!(world.run(), [0]);
    }
}

#[test]
fn a_rule_that_is_asked_for_runs_now_or_once_more_after_its_run_and_keeps_its_ticks() {
    let mut world = World::new(&[every(HOUR)]);
    world.run();
    world.pass(MINUTE);
    let ask = |world: &mut World| world.timetable.ask("0", world.now).is_some();
    assert!(ask(&mut world));
    assert!(!ask(&mut world) && !ask(&mut world), "it runs");
    assert!(world.end(0), "those who asked meanwhile get one run");
    assert!(!world.end(0));
    assert!(world.timetable.ask("missing", world.now).is_none());
    world.pass(HOUR - 2 * MINUTE);
    assert_eq!(world.start(), NONE);
    world.pass(MINUTE);
    assert_eq!(world.start(), [0]);
}

#[test]
fn cron_goes_by_the_date() {
    let mut world = World::at("2026-01-05T07:20:00Z", &[cron("0 */6 * * *")]);
    assert_eq!(world.runs_until("2026-01-06T01:00:00Z"), ["05 07:20:00", "05 12:00:00", "05 18:00:00", "06 00:00:00"]);
}

#[test]
fn what_the_machine_sleeps_through_is_one_tick() {
    let mut world = World::at("2026-01-05T07:20:00Z", &[every(HOUR), cron("0 * * * *")]);
    assert_eq!(world.run(), [0, 1]);
    world.set_clock("2026-01-05T17:30:00Z");
    assert_eq!(world.run(), [0, 1], "only the date went on");
    assert_eq!(world.run(), NONE);
    assert_eq!(
        world.runs_until("2026-01-05T19:10:00Z"),
        ["05 18:00:00", "05 18:20:00", "05 19:00:00"],
        "each on the grid that it had"
    );

    let mut world = World::new(&[every(HOUR), cron("0 * * * *")]);
    assert_eq!(world.run(), [0, 1]);
    world.pass(10 * HOUR + 30 * MINUTE);
    assert_eq!(world.run(), [0, 1], "both clocks went on, and nobody looked");
    assert_eq!(world.run(), NONE);
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_twice_and_leaves_nothing_out() {
    let mut world = World::at("2026-01-05T02:00:00Z", &[cron("0 3 * * *")]);
    assert_eq!(world.runs_until("2026-01-05T03:05:00Z"), ["05 02:00:00", "05 03:00:00"]);
    world.set_clock("2026-01-05T02:30:00Z");
    assert_eq!(world.runs_until("2026-01-06T12:00:00Z"), ["06 03:00:00"]);

    let mut world = World::at("2026-01-05T02:00:00Z", &[cron("*/5 * * * *"), every(5 * MINUTE)]);
    let _ = world.runs_until("2026-01-05T03:02:00Z");
    world.set_clock("2026-01-05T02:02:00Z");
    let both = ["05 02:05:00", "05 02:05:00", "05 02:10:00", "05 02:10:00"];
    assert_eq!(world.runs_until("2026-01-05T02:11:00Z"), both, "schedules do not stand still for an hour");
}

#[test]
fn a_date_that_was_years_ahead_is_not_waited_for() {
    let mut world = World::at("2038-01-19T03:00:00Z", &[cron("0 3 * * *")]);
    assert_eq!(world.run(), [0]);
    world.set_clock("2026-01-05T01:00:00Z");
    assert_eq!(world.runs_until("2026-01-06T12:00:00Z"), ["05 03:00:00", "06 03:00:00"]);
}

#[test]
fn a_tick_that_waits_for_its_jitter_outlives_a_clock_that_is_set_back() {
    let mut world = World::at("2026-01-05T02:00:00Z", &[Timing { jitter: HOUR, ..cron("0 4 * * *") }]);
    assert_eq!(world.runs_until("2026-01-05T04:00:30Z").len(), 1, "the first");
    world.set_clock("2026-01-05T03:59:00Z");
    assert_eq!(world.runs_until("2026-01-05T05:01:00Z").len(), 1);
}

#[test]
fn looks_are_frequent_enough_to_see_that_the_machine_slept() {
    let mut world = World::new(&[every(24 * HOUR)]);
    assert_eq!(world.run(), [0]);
    assert_eq!(world.timetable.next_look(), Some(world.now.monotonic + MINUTE));
    assert_eq!(World::new(&[]).timetable.next_look(), None);
}

#[test]
fn rules_that_begin_together_are_spread_over_a_little_while_and_stay_apart() {
    let second = Duration::from_secs(1);
    let mut world = World::new(&[]);
    world.follow(&[every(HOUR), every(HOUR), cron("0 * * * *")], &[]);
    for begins in [0, 1, 2] {
        assert_eq!(world.run(), [begins]);
        world.pass(second);
    }
    world.pass(HOUR - 3 * second);
    assert_eq!(world.run(), [0, 2], "cron goes by the date");
    world.pass(second);
    assert_eq!(world.run(), [1]);
}

#[test]
fn hundreds_of_rules_have_all_begun_after_a_minute_and_short_intervals_after_one_of_theirs() {
    for (timing, within) in [(every(HOUR), MINUTE), (every(Duration::from_secs(2)), Duration::from_secs(2))] {
        let mut world = World::new(&[]);
        world.follow(&vec![timing; 500], &[]);
        let mut begun = world.start().len();
        assert!(begun < 10, "{begun} at once");
        world.pass(within / 2);
        begun += world.start().len();
        assert!((200..300).contains(&begun), "{begun} after half of the time");
        world.pass(within / 2);
        assert_eq!(begun + world.start().len(), 500);
    }
}

#[test]
fn rules_that_are_as_they_were_keep_their_ticks() {
    let mut world = World::new(&[every(HOUR), every(HOUR)]);
    assert_eq!(world.run(), [0, 1]);
    world.pass(30 * MINUTE);
    world.follow(&[every(HOUR), every(HOUR), every(HOUR)], &[]);
    assert_eq!(world.run(), [2], "the new one");
    world.pass(30 * MINUTE);
    assert_eq!(world.run(), [0, 1]);
    world.follow(&[every(HOUR), every(2 * HOUR), every(HOUR)], &[0]);
    assert_eq!(world.run(), [0], "it does something else");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.run(), [1], "it has another interval");
    world.pass(HOUR);
    assert_eq!(world.run(), [0, 2]);
}

#[test]
fn a_rule_that_is_taken_out_is_not_run_and_not_run_twice_at_once_when_it_is_back() {
    let mut world = World::new(&[every(HOUR), every(HOUR)]);
    assert_eq!(world.start(), [0, 1]);
    world.follow(&[], &[]);
    assert_eq!(world.timetable.next_look(), None);
    assert!(!world.end(1));
    world.follow(&[every(HOUR), every(HOUR)], &[]);
    assert_eq!(world.start(), NONE, "the first run of rule 0 has not ended, and rule 1 is put off for it");
    assert!(world.end(0), "and now it has");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.start(), [1]);
    world.follow(&[], &[]);
    assert!(!world.end(0) && !world.end(1));
    world.pass(2 * HOUR);
    assert_eq!(world.start(), NONE);
}

#[test]
fn a_changed_rule_runs_again_when_its_run_has_ended() {
    let mut world = World::new(&[every(HOUR)]);
    assert_eq!(world.start(), [0]);
    world.follow(&[every(HOUR)], &[0]);
    assert_eq!(world.start(), NONE);
    assert!(world.end(0));
    assert!(!world.end(0));
    world.pass(HOUR);
    assert_eq!(world.run(), [0]);
}

#[test]
fn the_longest_wait_tells_what_is_stale() {
    let longest = |timing: Timing| timing.schedule.longest_wait("2026-01-05T00:00:00Z".parse().unwrap());
    assert_eq!(longest(every(MINUTE)), MINUTE);
    assert_eq!(longest(cron("0 */6 * * *")), 6 * HOUR);
    assert_eq!(longest(cron("0 9-17 * * mon-fri")), 64 * HOUR, "over the weekend");
    assert_eq!(longest(cron("*/5 9-16 * * mon-fri")), 64 * HOUR + 5 * MINUTE);
    assert_eq!(longest(cron("7,9 * * * *")), 58 * MINUTE);
    assert_eq!(longest(cron("0 0 1 * *")), 31 * 24 * HOUR);
}

/// The rule's runs in the hours to come, each ended at once: the hours whose runs were to look below unchanged tags.
fn rechecks(world: &mut World, hours: u32, has_looked: bool) -> Vec<u32> {
    let mut rechecks = Vec::new();
    for hour in 0..hours {
        for due in world.timetable.start_due(world.now) {
            rechecks.extend(due.recheck.then_some(hour));
            world.timetable.ended(&due.rule, has_looked, world.now);
        }
        world.pass(HOUR);
    }
    rechecks
}

#[test]
fn a_recheck_has_its_own_clock_and_is_made_up_for_by_the_next_run() {
    let mut world = World::new(&[Timing { recheck: Some(24 * HOUR), ..every(10 * HOUR) }]);
    let at = rechecks(&mut world, 240, true);
    assert_eq!(at.len(), 10, "{at:?}");
    assert!(at.windows(2).all(|two| two[1] - two[0] == 20 || two[1] - two[0] == 30), "24 is not in ten's grid: {at:?}");
}

#[test]
fn the_first_recheck_is_anywhere_in_its_time() {
    let first = |seed: u64| {
        let mut world = World::new(&[]);
        world.timetable = Timetable::new(seed, world.now);
        world.follow(&[Timing { recheck: Some(24 * HOUR), ..every(HOUR) }], &[]);
        rechecks(&mut world, 25, true)[0]
    };
    let firsts: Vec<u32> = (0..100).map(first).collect();
    assert!((0..4).all(|part| firsts.iter().any(|hour| hour / 6 == part)), "{firsts:?}");
}

#[test]
fn a_recheck_that_could_not_look_is_left_to_the_next_run() {
    let mut world = World::new(&[Timing { recheck: Some(24 * HOUR), ..every(HOUR) }]);
    let failed = rechecks(&mut world, 25, false);
    assert!(failed.len() > 1 && failed.windows(2).all(|two| two[1] == two[0] + 1), "{failed:?}");
    assert_eq!(rechecks(&mut world, 10, true), [0], "and then not before its time");
}

#[test]
fn a_rule_that_is_changed_keeps_its_recheck() {
    let timing = |interval| Timing { recheck: Some(24 * HOUR), ..every(interval) };
    let mut world = World::new(&[timing(HOUR)]);
    let first = rechecks(&mut world, 25, true)[0];
    let passed: u32 = (0..24)
        .map(|round| {
            world.follow(&[timing(HOUR + round * MINUTE)], &[0]);
            u32::try_from(rechecks(&mut world, 1, true).len()).unwrap()
        })
        .sum();
    assert_eq!(passed, 1, "though it is changed every hour; the first was after {first}");
}

#[test]
fn a_recheck_that_falls_due_in_a_run_is_for_the_one_after_it() {
    let mut world = World::new(&[Timing { recheck: Some(HOUR), ..every(HOUR) }]);
    let due = |recheck| Due { rule: "0".into(), recheck };
    assert_eq!(world.timetable.start_due(world.now), [due(false)]);
    world.pass(HOUR);
    assert!(world.timetable.start_due(world.now).is_empty());
    assert_eq!(world.timetable.ended("0", true, world.now), Some(due(true)));
}

#[test]
fn jitter_spreads_rules_over_each_tick_from_the_first_on() {
    let start = World::new(&[]).now;
    let timing = Timing { jitter: 10 * MINUTE, ..every(HOUR) };
    let names: Vec<Arc<str>> = (0..100).map(|number| format!("rule {number}").into()).collect();
    // How many rules start in each minute.
    let starts = |seed: u64| {
        let mut timetable = Timetable::new(seed, start);
        timetable.follow(names.iter().map(|rule| Planned { rule, timing: &timing, is_changed: false }), start);
        let minute = |minute: u32| {
            let time = minute * MINUTE;
            let now = Now { monotonic: start.monotonic + time, wall: start.wall + time };
            let due = timetable.start_due(now);
            due.iter().for_each(|due| assert_eq!(timetable.ended(&due.rule, true, now), None));
            due.len()
        };
        (0..=71).map(minute).collect::<Vec<usize>>()
    };
    let (counts, others) = (starts(1), starts(2));
    for minute in (1..=10).chain(61..=70) {
        assert!(counts[minute] > 0 && counts[minute] < 30, "{minute}: {counts:?}");
    }
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert_ne!(counts, others, "another machine");
}

proptest! {
    #[test]
    fn jitter_puts_a_tick_off_by_no_more_than_it_says(seed: u64, minutes in 1u32..60) {
        let jitter = minutes * MINUTE;
        for timing in [every(HOUR), cron("0 * * * *")] {
            let mut world = World::new(&[]);
            world.timetable = Timetable::new(seed, world.now);
            world.follow(&[Timing { jitter, ..timing }], &[]);
            let start = world.now.monotonic;
            let mut ticks = 0;
            while ticks < 20 {
                if !world.run().is_empty() {
                    let put_off = (world.now.monotonic - start).checked_sub(ticks * HOUR);
                    prop_assert!(put_off.is_some_and(|put_off| put_off <= jitter), "{put_off:?}");
                    ticks += 1;
                }
                let wait = world.timetable.next_look().unwrap() - world.now.monotonic;
                world.pass(wait);
            }
        }
    }

    #[test]
    fn with_a_jitter_as_long_as_the_shortest_wait_every_tick_has_its_run(seed: u64, text in prop::sample::select(vec![
        "* * * * *", "7,9 * * * *", "0,58 0,23 * * *", "0 */7 * * *", "30 2 * * *",
    ])) {
        let cron = Cron::parse(text).unwrap();
        let schedule = Schedule::Cron(cron.clone());
        let jitter = schedule.shortest_wait();
        let mut world = World::new(&[]);
        world.timetable = Timetable::new(seed, world.now);
        world.follow(&[Timing { schedule, jitter, recheck: None }], &[]);
        let mut tick = None;
        for _ in 0..20 {
            while world.run().is_empty() {
                let wait = world.timetable.next_look().unwrap() - world.now.monotonic;
                world.pass(wait);
            }
            if let Some(tick) = tick {
                prop_assert!(tick <= world.now.wall && world.now.wall <= tick + jitter, "{tick}: {}", world.now.wall);
            }
            tick = cron.next_after(tick.unwrap_or(world.now.wall));
        }
    }

    #[test]
    fn however_clocks_are_set_time_that_passes_brings_ticks(steps in prop::collection::vec((-100i64..100, 0u64..10), 1..20)) {
        let mut world = World::new(&[every(HOUR), cron("0 * * * *")]);
        for (shift, hours) in steps {
            world.now.wall = world.now.wall.checked_add(SignedDuration::from_hours(shift)).unwrap();
            let _ = world.run();
            prop_assert_eq!(world.run(), NONE);
            let mut runs = [0; 2];
            for _ in 0..hours * 60 {
                world.pass(MINUTE);
                world.run().into_iter().for_each(|rule| runs[rule] += 1);
            }
            prop_assert_eq!(runs[0], hours);
            prop_assert!(runs[1] + 1 >= hours && runs[1] <= hours, "{} in {} hours", runs[1], hours);
        }
    }
}
