//! All rules' ticks for machines that share them: every one of these timetables sees the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Timing;
use super::common::{CommonTicks, Tick};

/// The ticks of all rules, by the date alone. Each replica of a cluster has one, with the same rules, and tells the others
/// of the ticks that it sees; a tick is known by its rule and its date, so that all of them tell of the same one.
#[derive(Debug, Default)]
pub struct ClusterTimetable {
    /// In the order of the configuration.
    entries: Vec<Entry>,
}

/// A tick that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTick {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What it is known by among the replicas, in whole milliseconds; not later than it is due.
    pub at: Timestamp,
}

#[derive(Debug)]
struct Entry {
    rule: Arc<str>,
    timing: Timing,
    ticks: CommonTicks,
    /// What was seen at the last look.
    seen: Option<Seen>,
    /// The last tick that all replicas know of.
    settled: Option<Timestamp>,
}

/// From when to when a tick is the last one.
#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Option<Tick>,
    next: Option<Tick>,
}

/// A date that was set is noticed by looking alone, and it is looked once a minute at least.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A tick so far ahead was told by a clock that went wrong.
const SKEW: Duration = Duration::from_secs(300);

impl ClusterTimetable {
    /// Takes these rules and no others. Of those that it has had, it knows which ticks are settled.
    pub fn follow<'r>(&mut self, rules: impl IntoIterator<Item = (&'r Arc<str>, &'r Timing)>) {
        let before = self.entries.drain(..).map(|entry| (Arc::clone(&entry.rule), entry));
        let mut before: HashMap<Arc<str>, Entry> = before.collect();
        let entries = rules.into_iter().map(|(rule, timing)| match before.remove(rule) {
            Some(entry) if entry.timing == *timing => entry,
            entry => Entry {
                rule: Arc::clone(rule),
                timing: timing.clone(),
                ticks: CommonTicks::new(rule, timing),
                seen: None,
                settled: entry.and_then(|entry| entry.settled),
            },
        });
        self.entries = entries.collect();
    }

    /// The ticks that are due and not settled, at most one a rule: those that nobody saw, while all replicas were away,
    /// are one. They stay due until they are settled.
    pub fn due(&mut self, now: Timestamp) -> Vec<DueTick> {
        self.entries.iter_mut().filter_map(|entry| entry.due(now)).collect()
    }

    /// All replicas know of a tick: this one told of it, or heard of it.
    pub fn settle(&mut self, rule: &str, at: Timestamp) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| &*entry.rule == rule) {
            entry.settled = Some(at);
        }
    }

    /// What all replicas knew of is lost: the last tick of each rule is due again.
    pub fn forget_settled(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.settled = None);
    }

    /// Whether the run of a tick is to look below unchanged tags, if that was done last by the run of the tick `done`; if
    /// nobody knows, by that of the tick before.
    pub fn is_recheck(&self, rule: &str, at: Timestamp, done: Option<Timestamp>) -> bool {
        let entry = self.entries.iter().find(|entry| &*entry.rule == rule);
        entry.is_some_and(|entry| entry.ticks.is_recheck(at, done))
    }

    /// When each rule is due next, after the ticks that are due now.
    pub fn next(&mut self, now: Timestamp) -> impl Iterator<Item = (&Arc<str>, Option<Timestamp>)> {
        self.entries.iter_mut().map(move |entry| {
            let next = entry.look(now).next.map(|tick| tick.due);
            (&entry.rule, next)
        })
    }

    /// How long to wait until the next look; ticks that are due are not waited for.
    pub fn wait(&mut self, now: Timestamp) -> Duration {
        let next = self.next(now).filter_map(|(_, due)| due).min();
        let wait = next.and_then(|due| Duration::try_from(due.duration_since(now)).ok());
        wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
    }
}

/// Whether a tick is news to those who know of `known` already. One that is ahead of the date by more than clocks differ
/// does not count: a clock that ran wrong once would silence the rule until that date.
pub fn is_news(at: Timestamp, known: Option<Timestamp>, now: Timestamp) -> bool {
    known.is_none_or(|known| at > known || (known > now && known.duration_since(now).unsigned_abs() > SKEW))
}

impl Entry {
    fn due(&mut self, now: Timestamp) -> Option<DueTick> {
        let at = self.look(now).last?.at;
        is_news(at, self.settled, now).then(|| DueTick { rule: Arc::clone(&self.rule), at })
    }

    /// What is last and what is next, found out anew when the date is beyond what was seen.
    fn look(&mut self, now: Timestamp) -> Seen {
        if let Some(seen) = self.seen.filter(|seen| seen.holds(now)) {
            return seen;
        }
        let last = self.ticks.last(now);
        let next = self.ticks.after(last.map_or(now, |tick| tick.at));
        let seen = Seen { last, next };
        self.seen = Some(seen);
        seen
    }
}

impl Seen {
    fn holds(self, now: Timestamp) -> bool {
        self.last.is_some_and(|last| last.due <= now) && self.next.is_none_or(|next| now < next.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Cron, Schedule, Zone};
    use jiff::SignedDuration;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn every(interval: Duration) -> Timing {
        Timing { schedule: Schedule::Every(interval), jitter: Duration::ZERO, recheck: None }
    }

    fn cron(text: &str, zone: &str) -> Timing {
        let cron = Cron::parse(text).unwrap().in_zone(Zone::named(zone).unwrap());
        Timing { schedule: Schedule::Cron(cron), ..every(SECOND) }
    }

    fn start() -> Timestamp {
        "2026-03-28T22:00:00Z".parse().unwrap()
    }

    /// Replicas, each with a clock that is wrong by a time of its own, and what all of them know.
    struct Cluster {
        replicas: Vec<(ClusterTimetable, SignedDuration)>,
        known: HashMap<Arc<str>, Timestamp>,
        told: Vec<DueTick>,
    }

    impl Cluster {
        fn new(timings: &[Timing], skews: &[i64]) -> Self {
            let names: Vec<Arc<str>> = (0..timings.len()).map(|place| format!("rule-{place}").into()).collect();
            let replica = |skew: &i64| {
                let mut timetable = ClusterTimetable::default();
                timetable.follow(names.iter().zip(timings));
                (timetable, SignedDuration::from_millis(*skew))
            };
            Self { replicas: skews.iter().map(replica).collect(), known: HashMap::new(), told: Vec::new() }
        }

        /// A replica looks, and tells of what is news to all. Returns how long it waits until it looks again.
        fn look(&mut self, replica: usize, time: Timestamp) -> Duration {
            let (timetable, skew) = &mut self.replicas[replica];
            let now = time + *skew;
            for tick in timetable.due(now) {
                let known = self.known.get(&tick.rule).copied();
                if is_news(tick.at, known, now) {
                    self.known.insert(Arc::clone(&tick.rule), tick.at);
                    self.told.push(tick.clone());
                }
                timetable.settle(&tick.rule, tick.at);
            }
            timetable.wait(now)
        }

        /// Lets time pass from `from`, the replicas looking when they want to.
        fn pass(&mut self, from: Timestamp, time: Duration) -> Timestamp {
            let end = from + time;
            let mut looks: Vec<Timestamp> = vec![from; self.replicas.len()];
            while let Some((replica, look)) = looks.iter().copied().enumerate().min_by_key(|(_, look)| *look) {
                if look > end {
                    break;
                }
                // A timer is never early.
                looks[replica] = look + self.look(replica, look) + Duration::from_millis(1);
            }
            end
        }

        fn told_of(&self, rule: usize) -> Vec<Timestamp> {
            let name = format!("rule-{rule}");
            self.told.iter().filter(|tick| *tick.rule == *name).map(|tick| tick.at).collect()
        }
    }

    #[test]
    fn a_rule_is_due_at_once_and_then_once_a_tick_over_all_replicas() {
        let mut cluster = Cluster::new(&[every(10 * MINUTE), cron("0 * * * *", "Europe/Berlin")], &[0, 1500, -2500]);
        cluster.look(0, start());
        assert_eq!(cluster.told.len(), 2, "no replica has told of them yet");
        cluster.pass(start(), 6 * 60 * MINUTE);
        let ticks = cluster.told_of(0);
        assert_eq!(ticks.len(), 37, "the first, and six an hour");
        assert!(ticks.windows(2).all(|pair| pair[1].duration_since(pair[0]).unsigned_abs() == 10 * MINUTE));
        let hours: Vec<i8> =
            cluster.told_of(1).iter().map(|tick| tick.to_zoned(jiff::tz::TimeZone::UTC).hour()).collect();
        assert_eq!(hours, [22, 23, 0, 1, 2, 3, 4], "the clocks in Berlin go forward, and no hour is missed");
    }

    #[test]
    fn a_replica_that_comes_later_tells_of_nothing_that_is_known() {
        let mut cluster = Cluster::new(&[every(10 * MINUTE)], &[0, 0]);
        cluster.look(0, start());
        cluster.look(1, start() + 9 * SECOND);
        assert_eq!(cluster.told.len(), 1);
    }

    #[test]
    fn what_nobody_saw_is_one_tick() {
        let mut cluster = Cluster::new(&[every(MINUTE)], &[0]);
        cluster.look(0, start());
        cluster.look(0, start() + 60 * MINUTE);
        let ticks = cluster.told_of(0);
        assert_eq!(ticks.len(), 2);
        assert_eq!(ticks[1].duration_since(ticks[0]).unsigned_abs(), 60 * MINUTE);
    }

    #[test]
    fn a_tick_stays_due_until_it_is_settled() {
        let mut timetable = ClusterTimetable::default();
        let (name, timing) = (Arc::from("a"), every(MINUTE));
        timetable.follow([(&name, &timing)]);
        let due = timetable.due(start());
        assert_eq!((due.len(), timetable.due(start() + SECOND)), (1, due.clone()), "NATS was not there");
        timetable.settle("a", due[0].at);
        timetable.follow([(&name, &timing)]);
        assert!(timetable.due(start() + SECOND).is_empty());
        timetable.forget_settled();
        assert_eq!(timetable.due(start() + SECOND), due, "nobody knows of it any more");
        timetable.settle("a", due[0].at);
        timetable.follow([]);
        assert!(timetable.due(start() + 60 * MINUTE).is_empty());
    }

    #[test]
    fn a_clock_that_was_set_back_or_ahead_and_righted_silences_no_rule() {
        let mut cluster = Cluster::new(&[every(MINUTE), cron("*/5 * * * *", "UTC")], &[0]);
        let now = cluster.pass(start(), 30 * MINUTE);
        let before = cluster.told.len();
        let now = cluster.pass(now - 24 * 60 * MINUTE, 30 * MINUTE);
        assert!(cluster.told.len() > before + 30, "set back by a day");
        let ahead = cluster.pass(now + 9000 * 60 * MINUTE, 10 * MINUTE);
        let before = cluster.told.len();
        cluster.pass(ahead - 9000 * 60 * MINUTE, 30 * MINUTE);
        assert!(cluster.told.len() > before + 30, "set ahead by a year, and back");
    }

    #[test]
    fn a_clock_that_is_set_back_by_little_runs_nothing_twice() {
        let mut cluster = Cluster::new(&[every(MINUTE)], &[0]);
        let now = cluster.pass(start(), 10 * MINUTE);
        cluster.pass(now - 4 * MINUTE, 10 * MINUTE);
        let ticks = cluster.told_of(0);
        assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
        assert_eq!(ticks.len(), 17, "the first and one a minute, of sixteen");
    }

    proptest! {
        #[test]
        fn replicas_whose_clocks_differ_tell_of_every_tick_once(
            interval in 6_100u64..30_000,
            part in 0.0..1.0f64,
            skews in prop::collection::vec(-3000i64..3000, 1..4),
            deaths in prop::collection::vec(any::<bool>(), 4),
        ) {
            let interval = Duration::from_millis(interval);
            // Ticks that fall due within less than clocks differ by are one for a replica that begins with a clock ahead.
            let jitter = (interval - Duration::from_secs(6)).mul_f64(part);
            let timing = Timing { jitter, ..every(interval) };
            let mut cluster = Cluster::new(&[timing.clone(), cron("* * * * *", "Europe/Berlin")], &skews);
            let mut now = start();
            for dies in deaths {
                now = cluster.pass(now, MINUTE);
                if dies && cluster.replicas.len() > 1 {
                    cluster.replicas.remove(0);
                }
                // One that starts knows nothing of what the others saw.
                let mut begun = ClusterTimetable::default();
                let names: [Arc<str>; 2] = ["rule-0".into(), "rule-1".into()];
                begun.follow([(&names[0], &timing), (&names[1], &cron("* * * * *", "Europe/Berlin"))]);
                cluster.replicas.push((begun, SignedDuration::ZERO));
            }
            for (rule, step) in [(0, interval), (1, MINUTE)] {
                let ticks = cluster.told_of(rule);
                let apart = ticks.windows(2).all(|pair| pair[1].duration_since(pair[0]) == SignedDuration::try_from(step).unwrap());
                prop_assert!(apart, "{:?}", ticks);
            }
        }
    }
}
