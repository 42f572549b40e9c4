//! Requests per second, by `governor`.

use std::num::NonZeroU32;
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
    granted: bool,
}

impl Pacer {
    pub(super) fn new(rate: Rate) -> Self {
        let period = Duration::from_secs_f64(1.0 / rate.per_second).max(Duration::from_nanos(1));
        // A period is none only where it is zero.
        let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX));
        let limiter = RateLimiter::direct_with_clock(quota.allow_burst(rate.burst), TokioClock);
        Self { limiter, granted: false }
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

/// Tokio's clock, which tests can pause.
#[derive(Debug, Clone, Copy)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
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
        assert_eq!(next - TokioClock.now(), Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(500)).await;
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
