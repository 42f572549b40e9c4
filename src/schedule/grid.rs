//! Ticks at equal distances.

use std::time::{Duration, Instant};

/// The first tick after `now` on the grid that began at `tick`: the grid does not drift, and ticks that were slept
/// through are not made up for one by one.
pub(super) fn tick_after(now: Instant, tick: Instant, every: Duration) -> Instant {
    let behind = now.saturating_duration_since(tick).as_nanos();
    let steps = behind / every.as_nanos().max(1) + 1;
    tick + Duration::from_nanos_u128(steps * every.as_nanos().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
