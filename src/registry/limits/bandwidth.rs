//! Bytes per second over all transfers with one registry, both directions together.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::part::{Ours, Part, WHOLE, part_of_one};

/// What may be made up for after a pause: timers are no finer than a millisecond.
const CREDIT: Duration = Duration::from_millis(50);

/// A clock that runs ahead of time by what the bytes that have passed may take.
pub(super) struct Bandwidth {
    bytes_per_second: u64,
    state: Mutex<State>,
}

struct State {
    free: Option<Instant>,
    /// What is this process's of it, where others use the rest.
    ours: Option<Ours>,
}

/// Bytes that were under way when there was no part for them any more are followed by no others for so long.
const NO_PART: Duration = Duration::from_secs(1);

impl Bandwidth {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, state: Mutex::new(State { free: None, ours: None }) }
    }

    /// From here on only a part of it is ours: none yet.
    pub(super) fn shared(self, now: Instant) -> Self {
        self.state().ours = Some(Ours::none(now));
        self
    }

    pub(super) fn give(&self, part: Part) {
        if let Some(ours) = &mut self.state().ours {
            ours.give(part);
        }
    }

    /// How much of it is wanted.
    pub(super) fn want(&self, now: Instant) -> u32 {
        self.state().ours.as_mut().map_or(0, |ours| {
            let (used, all) = (ours.used_a_second(now), self.bytes_per_second as f64);
            ours.want(used, all * part_of_one(ours.share(now)), all, 0)
        })
    }

    /// Charges for bytes that pass now; how long the next ones have to wait.
    pub(super) fn charge(&self, bytes: usize, now: Instant) -> Duration {
        let mut state = self.state();
        let share = state.ours.as_mut().map_or(WHOLE, |ours| {
            ours.uses(bytes as f64, now);
            ours.share(now)
        });
        let cost = if share == 0 {
            NO_PART
        } else {
            Duration::from_secs_f64(bytes as f64 / (self.bytes_per_second as f64 * part_of_one(share)))
        };
        // Before anything passed there is nothing to make up for.
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let next = state.free.map_or(now, |free| free.max(earliest)) + cost;
        state.free = Some(next);
        next.saturating_duration_since(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_stretch_of_time_passes_more_than_it_may(pieces in prop::collection::vec((1usize..100_000, 0u64..5), 2..200)) {
            let bandwidth = Bandwidth::new(1_000_000);
            let start = Instant::now();
            let (mut now, mut passed) = (start, 0);
            for (bytes, late) in pieces {
                passed += bytes;
                now += bandwidth.charge(bytes, now) + Duration::from_millis(late);
                // The last piece is under way while its pause runs.
                let allowed = (now + CREDIT - start).as_secs_f64() * 1_000_000.0;
                prop_assert!(passed as f64 <= allowed + 1.0, "{passed} bytes, {allowed} allowed");
            }
        }

        #[test]
        fn timers_that_are_late_cost_nothing(bytes in 10_000usize..60_000) {
            let bandwidth = Bandwidth::new(50_000_000);
            let start = Instant::now();
            let (mut now, mut passed) = (start, 0usize);
            while passed < 50_000_000 {
                passed += bytes;
                let pause = bandwidth.charge(bytes, now);
                // A millisecond late, each time it waits at all.
                now += if pause.is_zero() { Duration::from_micros(20) } else { pause + Duration::from_millis(1) };
            }
            let took = (now - start).as_secs_f64();
            prop_assert!((0.95..1.1).contains(&took), "one second's bytes took {took} s");
        }
    }
}
