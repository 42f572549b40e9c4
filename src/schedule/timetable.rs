//! All rules' ticks, and which of the rules are running.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use super::Timing;
use super::clock::{Clock, Moment, Now};
use super::grid::tick_after;
use super::ticks::Ticks;

/// The ticks of all rules, each by its schedule. Rules are known by their place in the configuration.
#[derive(Debug)]
pub struct Timetable {
    clock: Clock,
    entries: Vec<Entry>,
}

/// A rule to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its place in the configuration.
    pub rule: usize,
    /// Whether this run looks below unchanged tags.
    pub recheck: bool,
}

#[derive(Debug)]
struct Entry {
    ticks: Ticks,
    recheck: Option<Recheck>,
    state: State,
}

/// When a rule's run is to look below unchanged tags; what falls due between runs is made up for by the next.
#[derive(Debug)]
struct Recheck {
    every: Duration,
    next: Instant,
}

/// One run in flight a rule: what comes meanwhile is folded into one more run after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running,
    RunningAndDue,
}

/// Only looking tells that the machine slept or that its clock was set, so none sleeps longer than this between looks.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Timetable {
    /// Rules by their names, all due for the first time at `now`, put off by their jitter. `seed` is what the jitter is
    /// drawn from: another one on every machine keeps machines apart.
    pub fn new<'r>(rules: impl IntoIterator<Item = (&'r str, &'r Timing)>, seed: u64, now: Now) -> Self {
        let clock = Clock::new(now);
        let start = clock.moment();
        let entry = |(name, timing): (&str, &Timing)| Entry {
            ticks: Ticks::new(timing, seed_of(seed, name), start),
            recheck: timing.recheck.map(|every| Recheck { every, next: start.passing + every }),
            state: State::Idle,
        };
        Self { entries: rules.into_iter().map(entry).collect(), clock }
    }

    /// The rules to start at `now`; from here on they count as running.
    pub fn start_due(&mut self, now: Now) -> Vec<Due> {
        let now = self.clock.look(now);
        let mut due = Vec::new();
        for (rule, entry) in self.entries.iter_mut().enumerate() {
            if entry.ticks.pass(now) {
                entry.state = match entry.state {
                    State::Idle => {
                        due.push(Due { rule, recheck: entry.rechecks(now) });
                        State::Running
                    }
                    State::Running | State::RunningAndDue => State::RunningAndDue,
                };
            }
        }
        due
    }

    /// A rule's run ended. Returns what is to be run at once, since a tick passed meanwhile.
    pub fn ended(&mut self, rule: usize, now: Now) -> Option<Due> {
        let now = self.clock.look(now);
        let entry = &mut self.entries[rule];
        let again = entry.state == State::RunningAndDue;
        entry.state = if again { State::Running } else { State::Idle };
        again.then(|| Due { rule, recheck: entry.rechecks(now) })
    }

    /// When to look again, by the monotonic clock; `None` if there are no rules.
    pub fn next_look(&self) -> Option<Instant> {
        let now = self.clock.moment();
        let wait = self.entries.iter().map(|entry| entry.ticks.wait(now)).min()?;
        Some(self.clock.in_a_while(wait.min(LONGEST_WAIT)))
    }
}

impl Entry {
    /// Whether a run that starts now looks below unchanged tags.
    fn rechecks(&mut self, now: Moment) -> bool {
        match &mut self.recheck {
            Some(recheck) if recheck.next <= now.passing => {
                recheck.next = tick_after(now.passing, recheck.next, recheck.every);
                true
            }
            _ => false,
        }
    }
}

fn seed_of(seed: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    hasher.finish()
}
