//! What is known of the registries: how they answer, what they may be asked, what they left us.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::shortened;
use super::snapshot::{Fault, Health, PullsLeft, Registry, RegistryLimits};
use crate::events::{Request, Retry, ThrottleReason};
use crate::oci::Host;
use crate::registry::Limits;

/// Imports may name any host: of so many, beside those of the rules, something is kept.
const MOST_OTHERS: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Registries {
    /// Those that rules and settings name are `is_own`.
    known: HashMap<Host, Known>,
}

#[derive(Debug, Default)]
struct Known {
    is_own: bool,
    health: Health,
    limits: RegistryLimits,
    pulls_left: Option<PullsLeft>,
    throttled: BTreeMap<&'static str, Duration>,
    requests: u64,
    retries: u64,
    last_answer: Option<Timestamp>,
    last_error: Option<Fault>,
}

impl Registries {
    /// These are the registries from now on, with what they may be asked. What is known of others is forgotten.
    pub(super) fn follow(&mut self, registries: impl IntoIterator<Item = (Host, Limits)>) {
        let mut before = std::mem::take(&mut self.known);
        let entry = |(host, limits): (Host, Limits)| {
            let known = before.remove(&host).unwrap_or_default();
            (host, Known { is_own: true, limits: shown(&limits), ..known })
        };
        self.known = registries.into_iter().map(entry).collect();
    }

    pub(super) fn requested(&mut self, request: &Request<'_>, at: Timestamp) {
        let Some(known) = self.entry(request.registry) else { return };
        known.requests += 1;
        match request.status {
            None => {
                known.health = Health::Failing;
                known.failed(at, format!("{}: no answer", request.method));
            }
            Some(status) => {
                known.last_answer = Some(at);
                known.health = match status {
                    // So a registry asks for a login, whether it gets on with it or not.
                    401 => known.health,
                    429 => Health::Throttled,
                    500.. => Health::Failing,
                    _ => Health::Ok,
                };
            }
        }
    }

    pub(super) fn tried_again(&mut self, retry: &Retry<'_>, at: Timestamp) {
        let Some(known) = self.entry(retry.registry) else { return };
        known.retries += 1;
        known.failed(at, retry.error.to_string());
    }

    pub(super) fn throttled(&mut self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        if let Some(known) = self.entry(registry) {
            *known.throttled.entry(reason.as_str()).or_default() += waited;
        }
    }

    pub(super) fn pulls_left(&mut self, registry: &Host, remaining: u64, window: Duration, at: Timestamp) {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        if let Some(known) = self.entry(registry) {
            known.pulls_left =
                Some(PullsLeft { remaining, until: at.saturating_add(window).unwrap_or(Timestamp::MAX) });
        }
    }

    /// All of them, by their names. What was announced for a window that is over says nothing any more.
    pub(super) fn shown(&self, now: Timestamp) -> Vec<Registry> {
        let mut shown: Vec<Registry> = self.known.iter().map(|(host, known)| known.shown(host, now)).collect();
        shown.sort_by(|one, other| one.host.cmp(&other.host));
        shown
    }

    fn entry(&mut self, host: &Host) -> Option<&mut Known> {
        if !self.known.contains_key(host) && self.known.values().filter(|known| !known.is_own).count() >= MOST_OTHERS {
            return None;
        }
        Some(self.known.entry(host.clone()).or_default())
    }
}

impl Known {
    fn failed(&mut self, at: Timestamp, error: String) {
        self.last_error = Some(Fault { at, error: shortened(error).into() });
    }

    fn shown(&self, host: &Host, now: Timestamp) -> Registry {
        let seconds = |waited: &Duration| (waited.as_secs_f64() * 1000.0).round() / 1000.0;
        Registry {
            host: host.to_string(),
            health: self.health,
            limits: self.limits.clone(),
            pulls_left: self.pulls_left.clone().filter(|pulls| now < pulls.until),
            throttled_seconds: self.throttled.iter().map(|(reason, waited)| (*reason, seconds(waited))).collect(),
            requests: self.requests,
            retries: self.retries,
            last_answer: self.last_answer,
            last_error: self.last_error.clone(),
        }
    }
}

fn shown(limits: &Limits) -> RegistryLimits {
    RegistryLimits {
        max_connections: limits.max_connections(),
        requests_per_second: limits.rate.map(|rate| rate.per_second),
        bandwidth: limits.bandwidth,
        pull_reserve: limits.pull_reserve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::RetryReason;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn answered(registries: &mut Registries, host: &Host, status: Option<u16>) {
        let request = Request { registry: host, method: "GET", status, elapsed: Duration::ZERO };
        registries.requested(&request, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_registry_is_as_its_last_answer_and_a_login_says_nothing() {
        let (mut registries, hub) = (Registries::default(), host("docker.io"));
        registries.follow([(hub.clone(), Limits { pull_reserve: 20, ..Limits::default() })]);
        assert_eq!(registries.shown(Timestamp::UNIX_EPOCH)[0].health, Health::Unknown);
        for (status, health) in [
            (Some(200), Health::Ok),
            (Some(429), Health::Throttled),
            (Some(401), Health::Throttled),
            (Some(404), Health::Ok),
            (Some(503), Health::Failing),
            (None, Health::Failing),
        ] {
            answered(&mut registries, &hub, status);
            assert_eq!(registries.shown(Timestamp::UNIX_EPOCH)[0].health, health, "{status:?}");
        }
        let retry = Retry {
            registry: &hub,
            reason: RetryReason::Connection,
            pause: Duration::ZERO,
            error: &"getting a blob: connection refused",
        };
        registries.tried_again(&retry, Timestamp::UNIX_EPOCH);
        let shown = registries.shown(Timestamp::UNIX_EPOCH).remove(0);
        assert_eq!((shown.requests, shown.retries, shown.limits.pull_reserve), (6, 1, 20));
        assert_eq!(&*shown.last_error.unwrap().error, "getting a blob: connection refused");
    }

    #[test]
    fn what_is_left_of_a_quota_is_shown_until_its_window_is_over() {
        let (mut registries, hub) = (Registries::default(), host("docker.io"));
        registries.pulls_left(&hub, 3, Duration::from_secs(60), Timestamp::UNIX_EPOCH);
        registries.throttled(&hub, ThrottleReason::Quota, Duration::from_millis(1500));
        let shown = registries.shown(Timestamp::UNIX_EPOCH).remove(0);
        assert_eq!(shown.pulls_left.unwrap().remaining, 3);
        assert_eq!(shown.throttled_seconds["quota"], 1.5);
        assert_eq!(registries.shown(Timestamp::from_second(60).unwrap())[0].pulls_left, None);
    }

    #[test]
    fn of_hosts_that_only_imports_name_few_are_kept_and_none_after_a_reload() {
        let mut registries = Registries::default();
        (0..MOST_OTHERS + 5)
            .for_each(|number| answered(&mut registries, &host(&format!("r{number}.example")), Some(200)));
        assert_eq!(registries.shown(Timestamp::UNIX_EPOCH).len(), MOST_OTHERS);
        registries.follow([(host("r1.example"), Limits::default())]);
        let shown = registries.shown(Timestamp::UNIX_EPOCH);
        assert_eq!((shown.len(), shown[0].requests), (1, 1));
    }
}
