//! Requests per second, by `governor`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::Class;
use crate::oci::Host;

/// So many requests a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests per second; more than 0.
    pub per_second: f64,
    /// Requests that may follow each other at once.
    pub burst: NonZeroU32,
}

/// Keeps a [`Rate`]. What is granted stays granted until it is spent, so that a request which has to wait for something
/// else as well loses nothing.
pub(super) struct Pacer {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Instant>>,
    rate: Rate,
    granted: bool,
}

impl Pacer {
    pub(super) fn new(rate: Rate) -> Self {
        Self { limiter: limiter(rate, TokioClock::default()), rate, granted: false }
    }

    /// Goes on at another rate, with what was saved up at the one before, and with how far the next request was: a new
    /// limiter alone would begin with all of its burst.
    pub(super) fn retune(&mut self, rate: Rate) {
        if rate == self.rate {
            return;
        }
        let (mut saved, mut next) = (0, 1.0);
        while saved < rate.burst.get() {
            match self.limiter.check() {
                Ok(()) => saved += 1,
                Err(not_until) => {
                    let left = not_until.wait_time_from(self.limiter.clock().now()).as_secs_f64();
                    next = (left * self.rate.per_second).clamp(0.0, 1.0);
                    break;
                }
            }
        }
        self.begin_with(rate, saved, 1.0 - next);
    }

    /// Begins anew with nothing saved up.
    pub(super) fn restart(&mut self, rate: Rate) {
        self.begin_with(rate, 0, 0.0);
    }

    fn begin_with(&mut self, rate: Rate, saved: u32, on_the_way: f64) {
        let clock = TokioClock::default();
        // What is spent here was so a little earlier, so that the next one is as far as it was.
        clock.set_behind(Duration::from_secs_f64(on_the_way / rate.per_second));
        let limiter = limiter(rate, clock.clone());
        if let Some(spent) = NonZeroU32::new(rate.burst.get().saturating_sub(saved)) {
            let _ = limiter.check_n(spent);
        }
        clock.set_behind(Duration::ZERO);
        (self.limiter, self.rate) = (limiter, rate);
    }

    /// Whether one more may go now; if not, when.
    pub(super) fn check(&mut self) -> Result<(), Instant> {
        if !self.granted {
            self.limiter.check().map_err(|not_until| not_until.earliest_possible())?;
            self.granted = true;
        }
        Ok(())
    }

    pub(super) fn spend(&mut self) {
        self.granted = false;
    }
}

fn limiter(rate: Rate, clock: TokioClock) -> RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Instant>> {
    let period = Duration::from_secs_f64(1.0 / rate.per_second).max(Duration::from_nanos(1));
    // A period is none only where it is zero.
    let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX));
    RateLimiter::direct_with_clock(quota.allow_burst(rate.burst), clock)
}

/// Tokio's clock, which tests can pause; set behind for a moment, it says what was.
#[derive(Debug, Clone, Default)]
struct TokioClock {
    behind: Arc<AtomicU64>,
}

impl TokioClock {
    fn set_behind(&self, by: Duration) {
        self.behind.store(u64::try_from(by.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }
}

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        let now = tokio::time::Instant::now().into_std();
        now.checked_sub(Duration::from_nanos(self.behind.load(Ordering::Relaxed))).unwrap_or(now)
    }
}

/// What a host's operator publishes of a class's rate. Amazon ECR counts by API action and region:
/// `InitiateLayerUpload` 100/s, `CompleteLayerUpload` 100/s, `PutImage` 10/s.
/// Source: Amazon ECR user guide, "Amazon ECR service quotas".
pub(super) fn published(host: &Host, class: Class) -> Option<Rate> {
    let is_ecr = host.name().contains(".dkr.ecr") && host.name().contains(".amazonaws.com");
    let (per_second, burst) = match class {
        Class::Upload | Class::Body if is_ecr => (100.0, NonZeroU32::new(20)?),
        Class::ManifestWrite if is_ecr => (10.0, NonZeroU32::new(5)?),
        _ => return None,
    };
    Some(Rate { per_second, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_a_grant_waits_until_it_is_spent() {
        let mut pacer = Pacer::new(Rate { per_second: 2.0, burst: NonZeroU32::MIN });
        assert!(pacer.check().is_ok() && pacer.check().is_ok());
        pacer.spend();
        let next = pacer.check().unwrap_err();
        assert_eq!(next - TokioClock::default().now(), Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(pacer.check().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_changes_brings_nothing_and_loses_nothing() {
        let rate = |per_second, burst| Rate { per_second, burst: NonZeroU32::new(burst).unwrap() };
        let mut pacer = Pacer::new(rate(1.0, 3));
        assert!(pacer.check().is_ok());
        pacer.spend();
        // Two are left. Half of the third is on its way.
        tokio::time::advance(Duration::from_millis(500)).await;
        pacer.retune(rate(2.0, 5));
        for _ in 0..2 {
            assert!(pacer.check().is_ok());
            pacer.spend();
        }
        let next = pacer.check().unwrap_err() - TokioClock::default().now();
        assert!(next.abs_diff(Duration::from_millis(250)) < Duration::from_millis(2), "{next:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_rate_that_changes_all_the_time_goes_on() {
        let rate = |per_second| Rate { per_second, burst: NonZeroU32::MIN };
        let (mut pacer, mut taken) = (Pacer::new(rate(0.3)), 0);
        for tick in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            pacer.retune(rate(if tick % 2 == 0 { 0.25 } else { 0.35 }));
            if pacer.check().is_ok() {
                pacer.spend();
                taken += 1;
            }
        }
        assert!((28..=31).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_anew_has_nothing_saved_up() {
        let rate = Rate { per_second: 2.0, burst: NonZeroU32::new(5).unwrap() };
        let mut pacer = Pacer::new(rate);
        pacer.restart(rate);
        assert!(pacer.check().is_err());
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(pacer.check().is_ok());
    }

    #[test]
    fn ecrs_rates_are_known_by_its_hosts() {
        let known = |host: &str, class| published(&host.parse().unwrap(), class).map(|rate| rate.per_second);
        let ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
        assert_eq!(known(ecr, Class::ManifestWrite), Some(10.0));
        assert_eq!(known(ecr, Class::Upload), Some(100.0));
        assert_eq!(known(ecr, Class::Read), None);
        assert_eq!(known("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", Class::Upload), Some(100.0));
        assert_eq!(known("registry.example", Class::Upload), None);
    }
}
