//! One rule's ticks.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::clock::Moment;
use super::cron::Cron;
use super::grid::tick_after;
use super::{Schedule, Timing};

/// When a rule is due next: at the start, then by its schedule.
#[derive(Debug)]
pub(super) struct Ticks {
    schedule: Schedule,
    start: Instant,
    next: Next,
    jitter: Jitter,
}

/// The next tick, before it is put off.
#[derive(Debug)]
enum Next {
    /// By the time that passes: the first tick of all rules, and every one of an interval.
    Passing(Instant),
    /// By the date. All ticks until `settled` are dealt with.
    Date { tick: Option<Timestamp>, settled: Timestamp },
}

impl Ticks {
    /// The ticks of a rule that is due first at `start`. `seed` is of the rule.
    pub(super) fn new(timing: &Timing, seed: u64, start: Moment) -> Self {
        Self {
            schedule: timing.schedule.clone(),
            start: start.passing,
            next: Next::Passing(start.passing),
            jitter: Jitter { seed, count: 0, most: timing.jitter },
        }
    }

    /// How long it is until the rule is due; none if it is.
    pub(super) fn wait(&self, now: Moment) -> Duration {
        match self.next {
            Next::Passing(tick) => (tick + self.jitter.put_off()).saturating_duration_since(now.passing),
            Next::Date { tick: Some(tick), .. } => until(tick, self.jitter.put_off(), now.wall),
            Next::Date { tick: None, .. } => Duration::MAX,
        }
    }

    /// Looks at the clocks. Returns whether the rule is due; what has passed by now is one tick, and the next is ahead.
    pub(super) fn pass(&mut self, now: Moment) -> bool {
        self.follow_a_date_set_back(now.wall);
        let due = self.wait(now).is_zero();
        if due {
            self.jitter.count += 1;
            self.next = match &self.schedule {
                Schedule::Every(every) => Next::Passing(tick_after(now.passing, self.start, *every)),
                Schedule::Cron(cron) => Next::Date { tick: cron.next_after(now.wall), settled: now.wall },
            };
        }
        due
    }

    /// A date that is set back passes ticks once more. One alone has been run, and is not run again; of a schedule that
    /// would stand still for several, the new date is followed.
    fn follow_a_date_set_back(&mut self, now: Timestamp) {
        if let (Schedule::Cron(cron), Next::Date { tick, settled }) = (&self.schedule, &mut self.next)
            && now < *settled
            && passes_twice(cron, now, *settled)
        {
            (*tick, *settled) = (cron.next_after(now), now);
        }
    }
}

fn passes_twice(cron: &Cron, from: Timestamp, to: Timestamp) -> bool {
    let second = cron.next_after(from).and_then(|first| cron.next_after(first));
    second.is_some_and(|second| second <= to)
}

fn until(tick: Timestamp, put_off: Duration, now: Timestamp) -> Duration {
    let behind = Duration::try_from(now.duration_since(tick)).ok();
    match behind {
        Some(behind) => put_off.saturating_sub(behind),
        None => tick.duration_since(now).unsigned_abs() + put_off,
    }
}

/// How long a tick is put off: a hash of the rule and of the tick's number, so that rules and ticks spread evenly.
#[derive(Debug)]
struct Jitter {
    seed: u64,
    count: u64,
    most: Duration,
}

impl Jitter {
    fn put_off(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.count).hash(&mut hasher);
        part_of(self.most, hasher.finish())
    }
}

/// The part of a time that a hash stands for, from none to all of it.
pub(super) fn part_of(time: Duration, hash: u64) -> Duration {
    let steps = time.as_nanos() + 1;
    Duration::from_nanos_u128((u128::from(hash) * steps) >> u64::BITS)
}
