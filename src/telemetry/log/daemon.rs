//! All that happens, for a log that is read days later: told once, and from time to time again while it lasts.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::repeats::Repeats;
use super::lines;
use super::past::{Closing, End, RulePast};
use crate::backoff::RetryReason;
use crate::events::{ImageOutcome, ImageReport, Observer, Request, Retry, RuleReport};
use crate::oci::{Host, Reference};

/// Retries of one registry for one reason have a line so often.
const RETRIES: Duration = Duration::from_secs(60);

/// Writes everything. What was told is remembered of the rules that [`Observer::rules`] last told of, and of no others.
pub(super) struct Daemon {
    rules: Mutex<HashMap<String, RulePast>>,
    retries: Mutex<Repeats<(Host, RetryReason)>>,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { rules: Mutex::default(), retries: Mutex::new(Repeats::new(RETRIES)) }
    }
}

impl Daemon {
    /// What of a rule's past says; a rule without one, which is gone or never was, gets an empty one for the moment.
    fn of<T>(&self, rule: &str, ask: impl FnOnce(&mut RulePast, Instant) -> T) -> T {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        ask(rules.get_mut(rule).unwrap_or(&mut RulePast::default()), now())
    }
}

impl Observer for Daemon {
    fn rules(&self, names: &[&str]) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *rules);
        rules.extend(names.iter().map(|name| ((*name).to_owned(), old.remove(*name).unwrap_or_default())));
    }

    fn request(&self, request: &Request<'_>) {
        lines::request(request);
    }

    fn retry(&self, retry: &Retry<'_>) {
        let key = (retry.registry.clone(), retry.reason);
        let telling = self.retries.lock().unwrap_or_else(PoisonError::into_inner).came(key, "", now());
        lines::retry(retry, &telling);
    }

    fn warning(&self, registry: &Host, text: &str) {
        lines::registry_warning(registry, text);
    }

    fn out_of_pulls(&self, rule: &str, wait: &dyn Display) {
        let telling = self.of(rule, |past, now| past.out_of_pulls(wait.to_string(), now));
        lines::out_of_pulls(rule, wait, &telling);
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        if image.outcome != ImageOutcome::Failed {
            return lines::image(rule, image);
        }
        let error = image.error.as_deref().unwrap_or_default();
        let telling = self.of(rule, |past, now| past.image_failed(image.target.to_string(), error, now));
        lines::failed_image(rule, image, &telling);
    }

    fn pruned(&self, rule: &str, tag: &Reference) {
        lines::deleted(rule, tag);
    }

    fn run_started(&self, rule: &str) {
        lines::run_started(rule);
    }

    fn run_ended(&self, run: &RuleReport) {
        let rule = &*run.name;
        let Closing { warnings, recovered, end } = self.of(rule, |past, now| past.close(run, now));
        for (text, telling) in warnings {
            lines::warning(rule, &text, &telling);
        }
        for (image, past) in recovered {
            lines::recovered_image(rule, &image, &past);
        }
        match end {
            End::Failed(telling) => lines::run_failed(run, &telling),
            End::Stopped => lines::run_ended(run),
            End::Well(past) => {
                past.iter().for_each(|past| lines::recovered_rule(rule, past));
                lines::run_ended(run);
            }
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
