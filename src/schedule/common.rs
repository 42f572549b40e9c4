//! Ticks that are the same on every machine: made of the date, the rule's name and its timing alone.
//!
//! Nothing of them is remembered or drawn by lot. So machines that have the same rules agree on each tick without a word,
//! and whoever comes later finds the ticks of those before.

use std::time::Duration;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use super::cron::Cron;
use super::ticks::part_of;
use super::{Schedule, Timing};

/// The ticks of one rule.
#[derive(Debug, Clone)]
pub(super) struct CommonTicks {
    name: String,
    timing: Timing,
}

/// A tick, before and after it is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick {
    /// What it is known by; in whole milliseconds.
    pub(super) at: Timestamp,
    /// When it is due, which is its jitter later.
    pub(super) due: Timestamp,
}

impl CommonTicks {
    pub(super) fn new(name: &str, timing: &Timing) -> Self {
        Self { name: name.to_owned(), timing: timing.clone() }
    }

    /// The last tick that is due by `now`. All before it are dealt with by it.
    pub(super) fn last(&self, now: Timestamp) -> Option<Tick> {
        let mut tick = self.put_off(self.last_until(now)?);
        while tick.due > now {
            tick = self.before(tick)?;
        }
        Some(tick)
    }

    /// The tick after that one, or after a moment before all ticks.
    pub(super) fn after(&self, at: Timestamp) -> Option<Tick> {
        let next = match &self.timing.schedule {
            Schedule::Every(every) => moment(self.last_of_grid(at, *every, PHASE) + millis(*every)),
            Schedule::Cron(cron) => cron.next_after(at),
        };
        next.map(|at| self.put_off(at))
    }

    /// Whether the run of a tick is to look below unchanged tags, if that was done last by the run of `done`; as far as
    /// anybody knows, by that of the tick before. When it falls due is the same on every machine, too.
    pub(super) fn is_recheck(&self, at: Timestamp, done: Option<Timestamp>) -> bool {
        let done = done.or_else(|| self.last_until(at - MILLISECOND));
        let last_due = self.timing.recheck.map(|every| self.last_of_grid(at, every, RECHECK));
        last_due.is_some_and(|due| done.is_none_or(|done| done.as_millisecond() < due))
    }

    fn before(&self, tick: Tick) -> Option<Tick> {
        self.last_until(tick.at - MILLISECOND).map(|at| self.put_off(at))
    }

    fn last_until(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.timing.schedule {
            Schedule::Every(every) => moment(self.last_of_grid(now, *every, PHASE)),
            Schedule::Cron(cron) => last_until(cron, now),
        }
    }

    /// The last moment at or before `now` of those that lie so far apart, in milliseconds. Where the first of them is, is
    /// the rule's own: so those of many rules are spread over the time between.
    fn last_of_grid(&self, now: Timestamp, every: Duration, what: &str) -> i64 {
        let (now, step) = (now.as_millisecond(), millis(every));
        let phase = millis(part_of(every, self.hash(what, 0))) % step;
        now - (now - phase).rem_euclid(step)
    }

    fn put_off(&self, at: Timestamp) -> Tick {
        let jitter = part_of(self.timing.jitter, self.hash(JITTER, at.as_millisecond()));
        // No later than the end of all calendars.
        let due = moment(at.as_millisecond().saturating_add(jitter.as_millis().try_into().unwrap_or(i64::MAX)));
        Tick { at, due: due.unwrap_or(Timestamp::MAX) }
    }

    /// A hash that is the same on every machine and in every version.
    fn hash(&self, what: &str, number: i64) -> u64 {
        let mut context = Context::new(&SHA256);
        for part in [what.as_bytes(), &number.to_be_bytes(), self.name.as_bytes()] {
            context.update(part);
        }
        let hash = context.finish();
        hash.as_ref().iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// What a hash is for; all of one length, so that nothing else can be read for one.
const PHASE: &str = "phase";
const JITTER: &str = "jittr";
const RECHECK: &str = "rechk";

/// The last tick of cron at or before `now`, looked for in longer and longer times before it.
fn last_until(cron: &Cron, now: Timestamp) -> Option<Timestamp> {
    let mut back = Duration::from_secs(120);
    loop {
        let from = now.checked_sub(back).ok().filter(|from| *from > Timestamp::UNIX_EPOCH);
        let first = cron.next_after(from.unwrap_or(Timestamp::UNIX_EPOCH)).filter(|tick| *tick <= now);
        match (first, from) {
            (Some(first), _) => {
                return std::iter::successors(Some(first), |tick| cron.next_after(*tick))
                    .take_while(|tick| *tick <= now)
                    .last();
            }
            (None, None) => return None,
            (None, Some(_)) => back *= 2,
        }
    }
}

fn moment(millisecond: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millisecond).ok()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Zone;
    use proptest::prelude::*;

    fn every(interval: Duration, jitter: Duration) -> Timing {
        Timing { schedule: Schedule::Every(interval), jitter, recheck: None }
    }

    fn at(date: &str) -> Timestamp {
        date.parse().unwrap()
    }

    /// Other machines may run another version: what is pinned here is what versions agree on.
    #[test]
    fn ticks_are_the_same_in_every_version() {
        let now = at("2026-01-05T12:00:00Z");
        let hour = Duration::from_secs(3600);
        let timing = Timing { recheck: Some(24 * hour), ..every(hour, Duration::from_secs(600)) };
        let ticks = CommonTicks::new("platform-team", &timing);
        let last = ticks.last(now).unwrap();
        assert_eq!((last.at, last.due), (at("2026-01-05T11:10:56.857Z"), at("2026-01-05T11:20:47.315Z")));
        let rechecks: Vec<Timestamp> = std::iter::successors(Some(last), |tick| ticks.after(tick.at))
            .map(|tick| tick.at)
            .filter(|tick| ticks.is_recheck(*tick, None))
            .take(2)
            .collect();
        assert_eq!(rechecks, [at("2026-01-05T18:10:56.857Z"), at("2026-01-06T18:10:56.857Z")]);
    }

    #[test]
    fn the_last_tick_of_cron_is_found_however_long_ago() {
        let zone = || Zone::named("Europe/Berlin").unwrap();
        for (text, now, last) in [
            ("* * * * *", "2026-03-29T01:00:30Z", "2026-03-29T01:00:00Z"),
            ("30 2 * * *", "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"),
            ("30 2 * * *", "2026-10-25T02:00:00Z", "2026-10-25T00:30:00Z"),
            ("0 0 29 2 *", "2027-12-31T00:00:00Z", "2024-02-28T23:00:00Z"),
            ("0 12 * * *", "2026-01-05T11:00:00Z", "2026-01-05T11:00:00Z"),
        ] {
            let cron = Cron::parse(text).unwrap().in_zone(zone());
            assert_eq!(last_until(&cron, at(now)), Some(at(last)), "{text}");
        }
        assert_eq!(last_until(&Cron::parse("0 0 1 1 *").unwrap(), at("1969-06-01T00:00:00Z")), None);
    }

    #[test]
    fn rules_are_spread_over_their_interval() {
        let timing = every(Duration::from_secs(3600), Duration::ZERO);
        let mut quarters = [0; 4];
        for rule in 0..400 {
            let tick = CommonTicks::new(&format!("rule-{rule}"), &timing).last(at("2026-01-05T12:00:00Z")).unwrap();
            quarters[(tick.at.as_second().rem_euclid(3600) / 900) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| (70..=130).contains(count)), "{quarters:?}");
    }

    #[test]
    fn a_recheck_that_was_not_done_stays_due() {
        let hour = Duration::from_secs(3600);
        let ticks = CommonTicks::new("a", &Timing { recheck: Some(24 * hour), ..every(hour, Duration::ZERO) });
        let first = ticks.last(at("2026-01-05T12:00:00Z")).unwrap().at;
        let due = (0..30).map(|hours| first + hours * hour).find(|tick| ticks.is_recheck(*tick, None)).unwrap();
        assert!(ticks.is_recheck(due + hour, Some(due - hour)), "its run was stopped");
        assert!(!ticks.is_recheck(due + hour, Some(due)));
        assert!(ticks.is_recheck(due + 24 * hour, Some(due)));
        let never = CommonTicks::new("a", &every(hour, Duration::ZERO));
        assert!(!never.is_recheck(due, Some(first)));
    }

    fn timing() -> impl Strategy<Value = Timing> {
        let crons = prop::sample::select(vec!["* * * * *", "*/7 3-5 * * *", "30 2 * * *", "0 0 1 * MON"]);
        let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"]);
        let cron = (crons, zones)
            .prop_map(|(text, zone)| Schedule::Cron(Cron::parse(text).unwrap().in_zone(Zone::named(zone).unwrap())));
        let schedule = prop_oneof![(1u64..100_000).prop_map(|ms| Schedule::Every(Duration::from_millis(ms))), cron];
        (schedule, 0.0..1.0f64).prop_map(|(schedule, part)| {
            let jitter = schedule.shortest_wait().mul_f64(part);
            Timing { schedule, jitter, recheck: Some(Duration::from_secs(86400)) }
        })
    }

    proptest! {
        #[test]
        fn whoever_looks_at_a_moment_sees_the_last_tick_that_is_due(timing in timing(), second in 1_700_000_000i64..1_900_000_000, name in "[a-z]{0,8}") {
            let ticks = CommonTicks::new(&name, &timing);
            let now = Timestamp::from_second(second).unwrap();
            let last = ticks.last(now).unwrap();
            let next = ticks.after(last.at).unwrap();
            prop_assert!(last.due <= now && next.due > now && last.at < next.at, "{:?} {:?}", last, next);
            prop_assert!(last.due >= last.at && last.due <= last.at + timing.jitter);
            prop_assert_eq!(ticks.last(next.due), Some(next), "the next look finds the next tick");
            prop_assert_eq!(ticks.last_until(next.at - MILLISECOND), Some(last.at), "there is none between");
        }
    }
}
