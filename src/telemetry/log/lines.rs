//! The lines themselves: each has one place, its message and its fields.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use tracing::field::display;
use tracing::{Level, debug, event, info, warn};

use super::super::repeats::{Past, Telling};
use crate::events::{ImageOutcome, ImageReport, Request, Retry, RuleReport, RunOutcome};
use crate::oci::{Host, Reference};

/// A line at its level, or at the lowest if it is not to be told now.
macro_rules! tell {
    ($telling:expr, $level:expr, $($line:tt)+) => {
        if $telling.is_told() { event!($level, $($line)+) } else { event!(Level::DEBUG, $($line)+) }
    };
}

pub(super) fn request(request: &Request<'_>) {
    let Request { registry, method, status, elapsed } = request;
    debug!(%registry, method, status, seconds = seconds(*elapsed), "request");
}

pub(super) fn retry(retry: &Retry<'_>, telling: &Telling) {
    let Retry { registry, reason, pause, error } = retry;
    let untold = telling.past().map(|past| past.untold).filter(|untold| *untold > 0);
    let (reason, pause) = (reason.as_str(), seconds(*pause));
    tell!(telling, Level::WARN, %registry, reason, pause, untold, %error, "trying again");
}

pub(super) fn registry_warning(registry: &Host, warning: &str) {
    warn!(%registry, warning, "the registry warns");
}

pub(super) fn out_of_pulls(rule: &str, warning: &dyn Display, telling: &Telling) {
    tell!(telling, Level::WARN, rule, %warning, times = times(telling), since = since(telling), "out of pulls");
}

/// An image that did not fail.
pub(super) fn image(rule: &str, report: &ImageReport) {
    let (image, digest) = (&report.target, report.digest.as_ref().map(display));
    match report.outcome {
        ImageOutcome::Copied => {
            info!(rule, %image, digest, bytes = report.bytes, seconds = seconds(report.elapsed), "copied");
        }
        _ if report.error.is_some() => debug!(rule, %image, digest, error = report.error, "skipped"),
        _ => debug!(rule, %image, digest, "unchanged"),
    }
}

pub(super) fn failed_image(rule: &str, report: &ImageReport, telling: &Telling) {
    let (image, digest) = (&report.target, report.digest.as_ref().map(display));
    let (times, since, error) = (times(telling), since(telling), report.error.as_deref());
    tell!(telling, Level::ERROR, rule, %image, digest, times, since, error, "failed");
}

pub(super) fn recovered_image(rule: &str, image: &str, past: &Past) {
    info!(rule, image, times = past.times, since = begin(past), "recovered");
}

pub(super) fn recovered_rule(rule: &str, past: &Past) {
    info!(rule, times = past.times, since = begin(past), "recovered");
}

pub(super) fn deleted(rule: &str, tag: &Reference) {
    info!(rule, image = %tag, "deleted");
}

pub(super) fn run_started(rule: &str) {
    debug!(rule, "run started");
}

pub(super) fn warning(rule: &str, warning: &str, telling: &Telling) {
    tell!(telling, Level::WARN, rule, warning, times = times(telling), since = since(telling), "warning");
}

/// A run that was stopped, or had something to do, or not.
pub(super) fn run_ended(report: &RuleReport) {
    let (rule, seconds) = (&*report.name, seconds(report.elapsed));
    let (copied, unchanged) = (report.count(ImageOutcome::Copied), report.count(ImageOutcome::Unchanged));
    let deleted = report.pruned.len();
    match report.outcome {
        RunOutcome::Cancelled => info!(rule, copied, unchanged, deleted, seconds, "run stopped"),
        _ if copied + deleted == 0 => debug!(rule, copied, unchanged, deleted, seconds, "run ended: nothing to do"),
        _ => info!(rule, copied, unchanged, deleted, seconds, "run ended"),
    }
}

/// A run that failed, or took too long. `error` is what failed beside the images.
pub(super) fn run_failed(report: &RuleReport, telling: &Telling) {
    let (rule, seconds, error) = (&*report.name, seconds(report.elapsed), report.error.as_deref());
    let (copied, unchanged) = (report.count(ImageOutcome::Copied), report.count(ImageOutcome::Unchanged));
    let (failed, times, since) = (report.count(ImageOutcome::Failed), times(telling), since(telling));
    if report.outcome == RunOutcome::Timeout {
        tell!(telling, Level::ERROR, rule, copied, unchanged, failed, seconds, times, since, error, "run timed out");
    } else {
        tell!(telling, Level::ERROR, rule, copied, unchanged, failed, seconds, times, since, error, "run failed");
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn times(telling: &Telling) -> Option<u64> {
    telling.past().map(|past| past.times)
}

fn since(telling: &Telling) -> Option<String> {
    telling.past().as_ref().map(begin)
}

fn begin(past: &Past) -> String {
    let begin = SystemTime::now().checked_sub(past.lasting).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(begin).to_string()
}
