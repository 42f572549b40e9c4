//! What limits do, as an observer hears it; and settings with limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regferry::events::{Direction, Observer, Retry, ThrottleReason};
use regferry::oci::Host;
use regferry::registry::Settings;
use regferry::transfer::Engine;
use testkit::FakeRegistry;

use crate::support::{engine_with, host};

/// What is not in the way of anything is done in much less.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Remembers what waited, what moved, what was tried again and how many pulls were left.
#[derive(Default)]
pub(crate) struct Gauge(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    throttled: Vec<(Host, ThrottleReason, Duration)>,
    bytes: Vec<(Host, Direction, u64)>,
    retries: Vec<(&'static str, Duration)>,
    pulls_left: Vec<(Host, u64)>,
}

impl Gauge {
    /// How long was waited at a registry for this reason, and how often.
    pub(crate) fn throttled(&self, registry: &FakeRegistry, reason: ThrottleReason) -> (usize, Duration) {
        let heard = self.0.lock().unwrap();
        let waits = heard.throttled.iter().filter(|(at, why, _)| at.as_str() == registry.host() && *why == reason);
        waits.fold((0, Duration::ZERO), |(count, sum), (.., waited)| (count + 1, sum + *waited))
    }

    pub(crate) fn bytes(&self, registry: &FakeRegistry, direction: Direction) -> u64 {
        let heard = self.0.lock().unwrap();
        let moved = heard.bytes.iter().filter(|(at, way, _)| at.as_str() == registry.host() && *way == direction);
        moved.map(|(.., bytes)| bytes).sum()
    }

    pub(crate) fn retries(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().retries.iter().map(|(reason, _)| *reason).collect()
    }

    pub(crate) fn pauses(&self) -> Duration {
        self.0.lock().unwrap().retries.iter().map(|(_, pause)| *pause).sum()
    }

    pub(crate) fn pulls_left(&self, registry: &FakeRegistry) -> Vec<u64> {
        let heard = self.0.lock().unwrap();
        heard.pulls_left.iter().filter(|(at, _)| at.as_str() == registry.host()).map(|(_, left)| *left).collect()
    }
}

impl Observer for Gauge {
    fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        self.0.lock().unwrap().throttled.push((registry.clone(), reason, waited));
    }
    fn bytes(&self, registry: &Host, direction: Direction, bytes: u64) {
        self.0.lock().unwrap().bytes.push((registry.clone(), direction, bytes));
    }
    fn retry(&self, retry: &Retry<'_>) {
        self.0.lock().unwrap().retries.push((retry.reason.as_str(), retry.pause));
    }
    fn pulls_left(&self, registry: &Host, remaining: u64, _window: Duration) {
        self.0.lock().unwrap().pulls_left.push((registry.clone(), remaining));
    }
}

/// Settings of a registry, changed; pauses between tries are short.
pub(crate) fn settings(registry: &FakeRegistry, change: impl FnOnce(&mut Settings)) -> (Host, Settings) {
    let host = host(registry.host());
    let mut settings = Settings::for_host(&host);
    settings.retry.initial = Duration::from_millis(20);
    change(&mut settings);
    (host, settings)
}

/// An engine with these settings, and what it tells.
pub(crate) fn gauged<const N: usize>(settings: [(Host, Settings); N]) -> (Arc<Engine>, Arc<Gauge>) {
    let gauge = Arc::new(Gauge::default());
    (engine_with(HashMap::from(settings), Arc::clone(&gauge) as _), gauge)
}
