//! Bytes per second over all transfers with one registry, both directions together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What may be made up for after a pause: timers are no finer than a millisecond.
const CREDIT: Duration = Duration::from_millis(50);

/// A clock that runs ahead of time by what the bytes that have passed may take.
pub(super) struct Bandwidth {
    bytes_per_second: f64,
    free: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second as f64, free: Mutex::default() }
    }

    /// Charges for bytes that pass now; how long the next ones have to wait.
    pub(super) fn charge(&self, bytes: usize, now: Instant) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Before anything passed there is nothing to make up for.
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let next = free.map_or(now, |free| free.max(earliest)) + cost;
        *free = Some(next);
        next.saturating_duration_since(now)
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
