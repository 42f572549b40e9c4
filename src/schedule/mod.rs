//! When: which rules are due. Pure: the clock is a parameter.

use std::time::{Duration, Instant};

/// The ticks of all rules, each by its interval. Rules are known by their place in the configuration.
#[derive(Debug)]
pub struct Timetable {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    every: Duration,
    next_tick: Instant,
    state: State,
}

/// One run in flight a rule: what comes meanwhile is folded into one more run after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running,
    RunningAndDue,
}

impl Timetable {
    /// Rules with these intervals, all due for the first time at `now`.
    pub fn new(intervals: impl IntoIterator<Item = Duration>, now: Instant) -> Self {
        let entries = intervals.into_iter().map(|every| Entry { every, next_tick: now, state: State::Idle }).collect();
        Self { entries }
    }

    /// The rules to start at `now`; from here on they count as running.
    pub fn start_due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        for (rule, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.next_tick <= now) {
            entry.next_tick = tick_after(now, entry.next_tick, entry.every);
            entry.state = match entry.state {
                State::Idle => {
                    due.push(rule);
                    State::Running
                }
                State::Running | State::RunningAndDue => State::RunningAndDue,
            };
        }
        due
    }

    /// A rule's run ended. Returns whether it is to be run again at once, since a tick passed meanwhile.
    pub fn ended(&mut self, rule: usize) -> bool {
        let entry = &mut self.entries[rule];
        let again = entry.state == State::RunningAndDue;
        entry.state = if again { State::Running } else { State::Idle };
        again
    }

    /// When to look again; `None` if there are no rules.
    pub fn next_tick(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.next_tick).min()
    }
}

/// The first tick after `now` on the grid that began at `tick`: the grid does not drift, and ticks that were slept
/// through are not made up for one by one.
fn tick_after(now: Instant, tick: Instant, every: Duration) -> Instant {
    let behind = now.saturating_duration_since(tick).as_nanos();
    let steps = behind / every.as_nanos().max(1) + 1;
    tick + Duration::from_nanos_u128(steps * every.as_nanos().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn rules_are_due_at_once_and_then_on_their_own_grid() {
        let start = Instant::now();
        let mut timetable = Timetable::new([MINUTE, 2 * MINUTE], start);
        assert_eq!(timetable.start_due(start), [0, 1]);
        assert!(!timetable.ended(0) && !timetable.ended(1));
        assert_eq!(timetable.next_tick(), Some(start + MINUTE));
        assert_eq!(timetable.start_due(start + MINUTE + Duration::from_secs(1)), [0]);
        assert!(!timetable.ended(0));
        assert_eq!(timetable.start_due(start + 2 * MINUTE), [0, 1]);
    }

    #[test]
    fn ticks_during_a_run_are_folded_into_one_more_run() {
        let start = Instant::now();
        let mut timetable = Timetable::new([MINUTE], start);
        assert_eq!(timetable.start_due(start), [0]);
        assert!(timetable.start_due(start + MINUTE).is_empty());
        assert!(timetable.start_due(start + 2 * MINUTE).is_empty());
        assert!(timetable.ended(0));
        assert!(!timetable.ended(0));
        assert_eq!(timetable.start_due(start + 3 * MINUTE), [0]);
    }

    #[test]
    fn ticks_slept_through_are_one_tick() {
        let start = Instant::now();
        let mut timetable = Timetable::new([MINUTE], start);
        timetable.start_due(start);
        timetable.ended(0);
        let after_a_night = start + 600 * MINUTE + Duration::from_secs(30);
        assert_eq!(timetable.start_due(after_a_night), [0]);
        assert_eq!(timetable.next_tick(), Some(start + 601 * MINUTE));
    }

    proptest! {
        #[test]
        fn the_next_tick_is_ahead_on_the_grid_and_no_further_than_one_interval(behind in 0u64..10_000_000, every in 1u64..100_000) {
            let (start, every) = (Instant::now(), Duration::from_millis(every));
            let now = start + Duration::from_millis(behind);
            let next = tick_after(now, start, every);
            prop_assert!(next > now && next <= now + every);
            prop_assert_eq!((next - start).as_nanos() % every.as_nanos(), 0);
        }
    }
}
