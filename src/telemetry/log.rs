//! The log: one line for each image that changed or failed, quiet when nothing happens.

use tracing::{debug, error, info, warn};

use crate::events::{ImageOutcome, ImageReport, Observer, Request, Retry, RuleReport, RunOutcome};
use crate::oci::{Host, Reference};

/// Writes events to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// All of them: the log is all that a daemon tells.
    Everything,
    /// What does not stand in a command's result: requests, retries, and what goes well.
    BesideResults,
}

impl Observer for Log {
    fn request(&self, request: &Request<'_>) {
        debug!(registry = %request.registry, method = request.method, status = request.status, elapsed = ?request.elapsed, "request");
    }

    fn retry(&self, retry: &Retry<'_>) {
        warn!(registry = %retry.registry, reason = retry.reason.as_str(), pause = ?retry.pause, "trying again after: {}", retry.error);
    }

    fn warning(&self, registry: &Host, text: &str) {
        warn!(registry = %registry, "the registry warns: {text}");
    }

    fn out_of_pulls(&self, rule: &str, wait: &dyn std::fmt::Display) {
        warn!(rule, "{wait}");
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        let digest = image.digest.as_ref().map(tracing::field::display);
        match (&image.outcome, &image.error) {
            (ImageOutcome::Failed, _) if *self == Self::BesideResults => {}
            (ImageOutcome::Failed, Some(error)) => error!(rule, image = %image.target, digest, "{error}"),
            (ImageOutcome::Copied, _) => {
                info!(rule, image = %image.target, digest, bytes = image.bytes, elapsed = ?image.elapsed, "copied");
            }
            (_, Some(reason)) => debug!(rule, image = %image.target, digest, "{reason}"),
            (_, None) => debug!(rule, image = %image.target, digest, "unchanged"),
        }
    }

    fn pruned(&self, rule: &str, tag: &Reference) {
        info!(rule, tag = %tag, "deleted");
    }

    fn run_started(&self, rule: &str) {
        debug!(rule, "run started");
    }

    fn run_ended(&self, run: &RuleReport) {
        if *self == Self::BesideResults {
            return;
        }
        let rule = &*run.name;
        for warning in &run.warnings {
            warn!(rule, "{warning}");
        }
        if let Some(error) = &run.error {
            error!(rule, "{error}");
        }
        let (copied, unchanged, failed) =
            (run.count(ImageOutcome::Copied), run.count(ImageOutcome::Unchanged), run.count(ImageOutcome::Failed));
        match run.outcome {
            RunOutcome::Success if copied == 0 => {
                debug!(rule, unchanged, elapsed = ?run.elapsed, "run ended: nothing to do");
            }
            RunOutcome::Success => info!(rule, copied, unchanged, elapsed = ?run.elapsed, "run ended"),
            RunOutcome::Cancelled => info!(rule, copied, unchanged, elapsed = ?run.elapsed, "run stopped"),
            RunOutcome::Failure => error!(rule, copied, unchanged, failed, elapsed = ?run.elapsed, "run failed"),
            RunOutcome::Timeout => {
                error!(rule, copied, unchanged, failed, elapsed = ?run.elapsed, "run took longer than its timeout and was stopped");
            }
        }
    }
}
