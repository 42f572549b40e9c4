//! All rules' ticks, and which of the rules are running.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::{Clock, Moment, Now};
use super::grid::tick_after;
use super::ticks::{Ticks, part_of};
use super::{Schedule, Timing};

/// The ticks of all rules, each by its schedule. Rules are known by their names.
#[derive(Debug)]
pub struct Timetable {
    clock: Clock,
    seed: u64,
    /// In the order of the configuration.
    entries: Vec<Entry>,
}

/// A rule as the configuration has it.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'r> {
    /// Its name.
    pub rule: &'r Arc<str>,
    /// When it runs.
    pub timing: &'r Timing,
    /// Whether it does something else than the rule that had its name.
    pub is_changed: bool,
}

/// A rule to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its name.
    pub rule: Arc<str>,
    /// Whether this run looks below unchanged tags.
    pub recheck: bool,
}

#[derive(Debug)]
struct Entry {
    rule: Arc<str>,
    timing: Timing,
    ticks: Ticks,
    recheck: Option<Recheck>,
    state: State,
}

/// When a rule's run is to look below unchanged tags; what falls due between runs is made up for by the next.
#[derive(Debug)]
struct Recheck {
    every: Duration,
    next: Instant,
    is_under_way: bool,
}

/// One run in flight a rule: what comes meanwhile is folded into one more run after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running,
    RunningAndDue,
    /// The configuration does not have it any more, and its run has not ended yet.
    Leaving,
}

/// Only looking tells that the machine slept or that its clock was set, so none sleeps longer than this between looks.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Rules that begin together begin so far apart,
const APART: Duration = Duration::from_secs(1);
/// and all of them within this time, or within their own interval.
const ALL_BEGUN: Duration = Duration::from_secs(60);

impl Timetable {
    /// A timetable without rules. `seed` is what jitter is drawn from: another one on every machine keeps machines
    /// apart.
    pub fn new(seed: u64, now: Now) -> Self {
        Self { clock: Clock::new(now), seed, entries: Vec::new() }
    }

    /// Takes these rules and no others. Those that are as they were keep their ticks; those that are new or changed
    /// are due now, spread over a little while, and put off by their jitter. A rule whose run is in flight is not
    /// started beside it, whatever becomes of the rule.
    pub fn follow<'r>(&mut self, rules: impl IntoIterator<Item = Planned<'r>>, now: Now) {
        let now = self.clock.look(now);
        let before = self.entries.drain(..).map(|entry| (Arc::clone(&entry.rule), entry));
        let mut before: HashMap<Arc<str>, Entry> = before.collect();
        let rules: Vec<(Planned<'r>, Option<Entry>)> =
            rules.into_iter().map(|planned| (planned, before.remove(planned.rule))).collect();
        let beginners = rules.iter().filter(|(planned, entry)| !stays(planned, entry.as_ref())).count();
        let mut begun = 0;
        for (planned, entry) in rules {
            let entry = match entry {
                Some(entry) if stays(&planned, Some(&entry)) => entry,
                entry => {
                    let start = put_off(now, spread(begun, beginners, planned.timing));
                    begun += 1;
                    Entry::new(planned, seed_of(self.seed, planned.rule), start, entry)
                }
            };
            self.entries.push(entry);
        }
        let leaving = before.into_values().filter(|entry| entry.state != State::Idle);
        self.entries.extend(leaving.map(|entry| Entry { state: State::Leaving, ..entry }));
    }

    /// The rules to start at `now`; from here on they count as running.
    pub fn start_due(&mut self, now: Now) -> Vec<Due> {
        let now = self.clock.look(now);
        self.entries.iter_mut().filter_map(|entry| entry.start_if_due(now)).collect()
    }

    /// A rule is to run now, whatever its schedule says. Returns what is to be started; one that runs is run once more after
    /// that. There has to be such a rule.
    pub fn ask(&mut self, rule: &str, now: Now) -> Option<Due> {
        let now = self.clock.look(now);
        self.entries.iter_mut().find(|entry| &*entry.rule == rule)?.start(now)
    }

    /// A rule's run ended; if it has looked at images, a recheck that was due is done. Returns what is to be run at
    /// once, since a tick passed meanwhile.
    pub fn ended(&mut self, rule: &str, has_looked: bool, now: Now) -> Option<Due> {
        let now = self.clock.look(now);
        let place = self.entries.iter().position(|entry| &*entry.rule == rule)?;
        let entry = &mut self.entries[place];
        if let Some(recheck) = &mut entry.recheck {
            recheck.ended(has_looked, now);
        }
        match entry.state {
            State::RunningAndDue => {
                entry.state = State::Running;
                return Some(entry.due(now));
            }
            State::Running | State::Idle => entry.state = State::Idle,
            State::Leaving => drop(self.entries.remove(place)),
        }
        None
    }

    /// How long it is until each rule's next tick, as of the last look.
    pub fn waits(&self) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        let now = self.clock.moment();
        let staying = self.entries.iter().filter(|entry| entry.state != State::Leaving);
        staying.map(move |entry| (&entry.rule, entry.ticks.wait(now)))
    }

    /// When to look again, by the monotonic clock; `None` if there are no rules.
    pub fn next_look(&self) -> Option<Instant> {
        let wait = self.waits().map(|(_, wait)| wait).min()?;
        Some(self.clock.in_a_while(wait.min(LONGEST_WAIT)))
    }
}

impl Entry {
    /// A rule that begins at `start`, in the place of the one that had its name.
    fn new(planned: Planned<'_>, seed: u64, start: Moment, before: Option<Self>) -> Self {
        let timing = planned.timing;
        let is_running = before.as_ref().is_some_and(|before| before.state != State::Idle);
        let recheck_before = before.and_then(|before| before.recheck);
        Self {
            rule: Arc::clone(planned.rule),
            timing: timing.clone(),
            ticks: Ticks::new(timing, seed, start),
            recheck: timing.recheck.map(|every| Recheck::new(every, seed, start, recheck_before)),
            state: if is_running { State::Running } else { State::Idle },
        }
    }

    fn start_if_due(&mut self, now: Moment) -> Option<Due> {
        if self.state == State::Leaving || !self.ticks.pass(now) {
            return None;
        }
        self.start(now)
    }

    /// Starts it, or lets it run once more after the run in flight.
    fn start(&mut self, now: Moment) -> Option<Due> {
        match self.state {
            State::Idle => {
                self.state = State::Running;
                Some(self.due(now))
            }
            State::Running | State::RunningAndDue => {
                self.state = State::RunningAndDue;
                None
            }
            State::Leaving => None,
        }
    }

    fn due(&mut self, now: Moment) -> Due {
        let recheck = self.recheck.as_mut().is_some_and(|recheck| recheck.starts(now));
        Due { rule: Arc::clone(&self.rule), recheck }
    }
}

impl Recheck {
    /// The first is anywhere in its time: so rules have theirs apart, and a program that is started anew every day does
    /// not put it off for ever. One that a rule of this name has waited for stays due.
    fn new(every: Duration, seed: u64, start: Moment, before: Option<Self>) -> Self {
        let first = start.passing + part_of(every, seed);
        Self { every, next: before.map_or(first, |before| before.next.min(first)), is_under_way: false }
    }

    /// Whether a run that starts now looks below unchanged tags.
    fn starts(&mut self, now: Moment) -> bool {
        self.is_under_way = self.next <= now.passing;
        self.is_under_way
    }

    fn ended(&mut self, has_looked: bool, now: Moment) {
        if std::mem::take(&mut self.is_under_way) && has_looked {
            self.next = tick_after(now.passing, self.next, self.every);
        }
    }
}

fn stays(planned: &Planned<'_>, before: Option<&Entry>) -> bool {
    before.is_some_and(|entry| !planned.is_changed && entry.timing == *planned.timing && entry.state != State::Leaving)
}

/// How long the first run of one of so many rules is put off.
fn spread(place: u32, of: usize, timing: &Timing) -> Duration {
    let of = u32::try_from(of).unwrap_or(u32::MAX).max(1);
    let within = match timing.schedule {
        Schedule::Every(interval) => interval.min(ALL_BEGUN),
        Schedule::Cron(_) => ALL_BEGUN,
    };
    (APART * of).min(within) / of * place
}

fn put_off(now: Moment, wait: Duration) -> Moment {
    Moment { passing: now.passing + wait, ..now }
}

fn seed_of(seed: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    hasher.finish()
}
