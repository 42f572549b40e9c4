//! What a command's result does not say.

use std::fmt::Display;

use super::super::repeats::Telling;
use super::lines;
use crate::events::{ImageOutcome, ImageReport, Observer, Request, Retry};
use crate::oci::{Host, Reference};

/// Leaves out what the result says: failures, warnings, how runs ended.
pub(super) struct Commands;

impl Observer for Commands {
    fn request(&self, request: &Request<'_>) {
        lines::request(request);
    }

    fn retry(&self, retry: &Retry<'_>) {
        lines::retry(retry, &Telling::First);
    }

    fn warning(&self, registry: &Host, text: &str) {
        lines::registry_warning(registry, text);
    }

    fn out_of_pulls(&self, rule: &str, wait: &dyn Display) {
        lines::out_of_pulls(rule, wait, &Telling::First);
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        if image.outcome != ImageOutcome::Failed {
            lines::image(rule, image);
        }
    }

    fn pruned(&self, rule: &str, tag: &Reference) {
        lines::deleted(rule, tag);
    }

    fn run_started(&self, rule: &str) {
        lines::run_started(rule);
    }
}
