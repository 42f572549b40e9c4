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
    /// How often it may be tried in all.
    pub max_attempts: u32,
}

impl Patience {
    /// With a registry that has answered before: outlives its restart of a minute.
    pub const STANDARD: Self = Self {
        initial: Duration::from_millis(500),
        max_pause: Duration::from_secs(20),
        max_elapsed: Duration::from_secs(150),
        max_attempts: 100,
    };

    /// Begins an operation that may be tried more than once.
    pub fn effort(self) -> Effort {
        Effort {
            policy: ExponentialBackoff {
                current_interval: self.initial,
                initial_interval: self.initial,
                randomization_factor: 0.5,
                multiplier: 2.0,
                max_interval: self.max_pause,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            },
            tries: 1,
            max_tries: self.max_attempts,
            digest_tries: 1,
        }
    }
}

/// Wrong bytes are fetched this often in all: a fault on the way passes, a broken source does not.
const MAX_DIGEST_TRIES: u32 = 3;

/// One operation and its growing, jittered pauses.
pub struct Effort {
    policy: ExponentialBackoff<SystemClock>,
    tries: u32,
    max_tries: u32,
    digest_tries: u32,
}

impl Effort {
    /// The pause before the next try: never shorter than what the registry asked for (`Retry-After`). None if it is not
    /// worth it: the pause would end past `limit`, of which `spent` has gone, it was tried too often, or wrong bytes
    /// have come too often.
    pub fn next(
        &mut self,
        reason: RetryReason,
        limit: Duration,
        spent: Duration,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        self.tries += 1;
        if self.tries > self.max_tries {
            return None;
        }
        if reason == RetryReason::Digest {
            self.digest_tries += 1;
            if self.digest_tries > MAX_DIGEST_TRIES {
                return None;
            }
        }
        let own = self.policy.next_backoff().unwrap_or(self.policy.max_interval);
        let pause = own.max(asked.unwrap_or_default());
        spent.checked_add(pause).is_some_and(|end| end <= limit).then_some(pause)
    }
}

/// Tries of something whose own time is no reason to give up, however long bytes have moved: only the pauses count.
pub struct Retries {
    patience: Patience,
    effort: Effort,
    paused: Duration,
}

impl Retries {
    /// Begins.
    pub fn new(patience: Patience) -> Self {
        Self { patience, effort: patience.effort(), paused: Duration::ZERO }
    }

    /// The pause before the next try; None if it is not worth it. See [`Effort::next`].
    pub fn next(&mut self, reason: RetryReason, asked: Option<Duration>) -> Option<Duration> {
        let pause = self.effort.next(reason, self.patience.max_elapsed, self.paused, asked)?;
        self.paused += pause;
        Some(pause)
    }

    /// Something has come of the tries: pauses are short again, and as many tries may follow. Wrong bytes stay counted.
    pub fn progressed(&mut self) {
        if !self.paused.is_zero() {
            let digest_tries = self.effort.digest_tries;
            *self = Self::new(self.patience);
            self.effort.digest_tries = digest_tries;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Duration = Patience::STANDARD.max_elapsed;

    #[test]
    fn pauses_grow_and_end() {
        let mut effort = Patience::STANDARD.effort();
        let mut elapsed = Duration::ZERO;
        let mut longest = Duration::ZERO;
        while let Some(pause) = effort.next(RetryReason::Server, LIMIT, elapsed, None) {
            elapsed += pause;
            longest = longest.max(pause);
        }
        assert!(elapsed <= LIMIT);
        assert!(longest > Duration::from_secs(10), "the longest pause was {longest:?}");
    }

    #[test]
    fn wrong_bytes_are_fetched_twice_more_at_most() {
        let mut effort = Patience::STANDARD.effort();
        let mut next = || effort.next(RetryReason::Digest, LIMIT, Duration::ZERO, None);
        assert!(next().is_some() && next().is_some() && next().is_none());
    }

    #[test]
    fn progress_begins_anew_but_for_wrong_bytes() {
        let mut retries = Retries::new(Patience { max_attempts: 3, ..Patience::STANDARD });
        let mut next = |reason| {
            let pause = retries.next(reason, None);
            retries.progressed();
            pause.is_some()
        };
        assert!((0..10).all(|_| next(RetryReason::Connection)));
        assert_eq!([(); 3].map(|()| next(RetryReason::Digest)), [true, true, false]);
    }

    #[test]
    fn tries_are_counted() {
        let mut effort = Patience { max_attempts: 3, ..Patience::STANDARD }.effort();
        let mut next = || effort.next(RetryReason::Server, LIMIT, Duration::ZERO, None);
        assert!(next().is_some() && next().is_some() && next().is_none());
    }

    proptest! {
        #[test]
        fn a_pause_is_as_long_as_the_registry_asks_or_not_made(asked: u64, spent: u64, near in 0u64..200) {
            for (asked, spent) in [(asked, spent), (near, near / 2)] {
                let (asked, spent) = (Duration::from_secs(asked), Duration::from_secs(spent));
                match Patience::STANDARD.effort().next(RetryReason::Throttled, LIMIT, spent, Some(asked)) {
                    Some(pause) => prop_assert!(pause >= asked && spent + pause <= LIMIT),
                    None => prop_assert!(spent.saturating_add(asked.max(Duration::from_secs(1))) > LIMIT),
                }
            }
        }
    }
}
