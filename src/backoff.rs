//! Why something is tried again, and how long to wait before. Pure arithmetic: nothing here sleeps or reads a clock.
//!
//! The `backoff` crate's policy stands behind this file alone.

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;

/// Why something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// 429.
    Throttled,
    /// The registry has trouble of its own.
    Server,
    /// No connection, or it broke.
    Connection,
    /// No byte moved.
    Stall,
    /// A token was refused.
    Auth,
    /// Bytes did not match their digest.
    Digest,
}

impl RetryReason {
    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Stall => "stall",
            Self::Auth => "auth",
            Self::Digest => "digest",
        }
    }
}

/// How patient to be with an operation that may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first pause; each later one is twice as long, give or take half.
    pub initial: Duration,
    /// The longest pause of our own choosing.
    pub max_pause: Duration,
    /// The time that all tries and pauses together may take.
    pub max_elapsed: Duration,
}

impl Patience {
    /// With a registry that has answered before: outlives its restart of a minute.
    pub const STANDARD: Self = Self {
        initial: Duration::from_millis(500),
        max_pause: Duration::from_secs(20),
        max_elapsed: Duration::from_secs(150),
    };

    /// The pauses of one operation.
    pub fn pauses(self) -> Pauses {
        Pauses {
            policy: ExponentialBackoff {
                current_interval: self.initial,
                initial_interval: self.initial,
                randomization_factor: 0.5,
                multiplier: 2.0,
                max_interval: self.max_pause,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            },
        }
    }
}

/// The growing, jittered pauses of one operation.
pub struct Pauses {
    policy: ExponentialBackoff<SystemClock>,
}

impl Pauses {
    /// The next pause: never shorter than what the registry asked for (`Retry-After`), and none when it would end
    /// past `max_elapsed`, of which `elapsed` has gone.
    pub fn next(&mut self, max_elapsed: Duration, elapsed: Duration, asked: Option<Duration>) -> Option<Duration> {
        let own = self.policy.next_backoff().unwrap_or(self.policy.max_interval);
        let pause = own.max(asked.unwrap_or_default());
        (elapsed + pause <= max_elapsed).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Patience = Patience::STANDARD;

    #[test]
    fn pauses_grow_and_end() {
        let mut pauses = PATIENCE.pauses();
        let mut elapsed = Duration::ZERO;
        let mut longest = Duration::ZERO;
        while let Some(pause) = pauses.next(PATIENCE.max_elapsed, elapsed, None) {
            elapsed += pause;
            longest = longest.max(pause);
        }
        assert!(elapsed <= PATIENCE.max_elapsed);
        assert!(longest > Duration::from_secs(10), "the longest pause was {longest:?}");
    }

    proptest! {
        #[test]
        fn a_pause_is_as_long_as_the_registry_asks_or_not_made(asked in 0u64..400, elapsed in 0u64..200) {
            let (asked, elapsed) = (Duration::from_secs(asked), Duration::from_secs(elapsed));
            match PATIENCE.pauses().next(PATIENCE.max_elapsed, elapsed, Some(asked)) {
                Some(pause) => prop_assert!(pause >= asked && elapsed + pause <= PATIENCE.max_elapsed),
                None => prop_assert!(elapsed + asked.max(PATIENCE.initial * 2) > PATIENCE.max_elapsed),
            }
        }
    }
}
