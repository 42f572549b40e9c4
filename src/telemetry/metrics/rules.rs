//! What is counted of rules. `rule` is a rule that the configuration has, or what work outside of rules goes by; a rule
//! that is removed takes its series along.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, Result};

use super::families::Families;
use crate::events::{BlobOutcome, IMPORT, ImageOutcome, RuleReport, RunOutcome};

/// From a run that only looks to one that moves many GiB, in seconds.
const RUN_BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

/// When rules last succeeded.
pub(super) const LAST_SUCCESS: &str = "regferry_rule_last_success_timestamp_seconds";

pub(super) struct Rules {
    /// Held while something is counted, so that the run of a rule that is being removed brings no series back.
    followed: RwLock<HashSet<String>>,
    /// Those whose last success is this process's own.
    succeeded: Mutex<HashSet<String>>,
    runs: IntCounterVec,
    last_success: GaugeVec,
    interval: GaugeVec,
    found: IntGaugeVec,
    run_duration: HistogramVec,
    images: IntCounterVec,
    blobs: IntCounterVec,
    pruned: IntCounterVec,
}

impl Rules {
    pub(super) fn new(families: &Families<'_>) -> Result<Self> {
        Ok(Self {
            followed: RwLock::default(),
            succeeded: Mutex::default(),
            runs: families.counter("regferry_rule_runs_total", "Runs of rules by outcome.", &["rule", "outcome"])?,
            last_success: families.gauge(
                LAST_SUCCESS,
                "When the rule last succeeded; 0 if it never did.",
                &["rule"],
            )?,
            interval: families.gauge(
                "regferry_rule_interval_seconds",
                "The longest time between two ticks of the rule's schedule.",
                &["rule"],
            )?,
            found: families.count(
                "regferry_rule_images",
                "Images that the rule's last successful run found.",
                &["rule"],
            )?,
            run_duration: families.histogram(
                "regferry_rule_run_duration_seconds",
                "How long runs took.",
                &["rule"],
                &RUN_BUCKETS,
            )?,
            images: families.counter("regferry_images_total", "Images by outcome.", &["rule", "outcome"])?,
            blobs: families.counter("regferry_blobs_total", "Blobs by outcome.", &["rule", "outcome"])?,
            pruned: families.counter("regferry_pruned_tags_total", "Tags deleted at targets.", &["rule"])?,
        })
    }

    pub(super) fn follow(&self, names: &[&str]) {
        let mut followed = self.followed.write().unwrap_or_else(PoisonError::into_inner);
        for gone in followed.iter().filter(|name| !names.contains(&name.as_str())) {
            self.remove(gone);
        }
        names.iter().for_each(|name| self.begin(name));
        *followed = names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Takes back the zeros of rules that will not run.
    pub(super) fn show_only(&self, runs: impl Fn(&str) -> bool) {
        let followed = self.followed.read().unwrap_or_else(PoisonError::into_inner);
        followed.iter().filter(|name| !runs(name)).for_each(|name| self.remove(name));
    }

    pub(super) fn set_interval(&self, rule: &str, longest: Duration) {
        self.of(rule, || self.interval.with_label_values(&[rule]).set(longest.as_secs_f64()));
    }

    /// When another process saw the rule succeed, in seconds since 1970. Of all that others saw the latest holds; what
    /// this one saw holds over it, whatever the clock was then.
    pub(super) fn succeeded_elsewhere(&self, rule: &str, time: f64) {
        self.of(rule, || {
            if !self.own_successes().contains(rule) {
                let last_success = self.last_success.with_label_values(&[rule]);
                last_success.set(last_success.get().max(time));
            }
        });
    }

    /// When another replica of the cluster saw the rule succeed, in seconds since 1970.
    pub(super) fn succeeded_in_cluster(&self, rule: &str, time: f64) {
        self.of(rule, || {
            let last_success = self.last_success.with_label_values(&[rule]);
            last_success.set(last_success.get().max(time));
        });
    }

    pub(super) fn count_blob(&self, rule: &str, outcome: BlobOutcome) {
        self.of(rule, || self.blobs.with_label_values(&[rule, outcome.as_str()]).inc());
    }

    pub(super) fn count_image(&self, rule: &str, outcome: ImageOutcome) {
        self.of(rule, || self.images.with_label_values(&[rule, outcome.as_str()]).inc());
    }

    pub(super) fn count_pruned(&self, rule: &str) {
        self.of(rule, || self.pruned.with_label_values(&[rule]).inc());
    }

    pub(super) fn count_run(&self, run: &RuleReport) {
        let rule = &*run.name;
        self.of(rule, || {
            self.runs.with_label_values(&[rule, run.outcome.as_str()]).inc();
            self.run_duration.with_label_values(&[rule]).observe(run.elapsed.as_secs_f64());
            if run.outcome == RunOutcome::Success {
                // A run that failed may have found less than there is.
                self.found.with_label_values(&[rule]).set(i64::try_from(run.images.len()).unwrap_or(i64::MAX));
                self.own_successes().insert(rule.to_owned());
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                self.last_success.with_label_values(&[rule]).set(now.as_secs_f64());
            }
        });
    }

    fn own_successes(&self) -> MutexGuard<'_, HashSet<String>> {
        self.succeeded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, rule: &str, count: impl FnOnce()) {
        let followed = self.followed.read().unwrap_or_else(PoisonError::into_inner);
        if rule == IMPORT || followed.contains(rule) {
            count();
        }
    }

    /// Shows zeros, from which the first failure is an increase too. What was counted stays.
    fn begin(&self, rule: &str) {
        let Self { runs, last_success, run_duration, images, blobs, pruned, .. } = self;
        last_success.with_label_values(&[rule]);
        run_duration.with_label_values(&[rule]);
        pruned.with_label_values(&[rule]);
        RunOutcome::ALL.iter().for_each(|outcome| drop(runs.with_label_values(&[rule, outcome.as_str()])));
        ImageOutcome::ALL.iter().for_each(|outcome| drop(images.with_label_values(&[rule, outcome.as_str()])));
        BlobOutcome::ALL.iter().for_each(|outcome| drop(blobs.with_label_values(&[rule, outcome.as_str()])));
    }

    fn remove(&self, rule: &str) {
        self.own_successes().remove(rule);
        let Self {
            followed: _,
            succeeded: _,
            runs,
            last_success,
            interval,
            found,
            run_duration,
            images,
            blobs,
            pruned,
        } = self;
        // What is not there is as good as removed.
        let _ = last_success.remove_label_values(&[rule]);
        let _ = interval.remove_label_values(&[rule]);
        let _ = found.remove_label_values(&[rule]);
        let _ = run_duration.remove_label_values(&[rule]);
        let _ = pruned.remove_label_values(&[rule]);
        RunOutcome::ALL.iter().for_each(|outcome| drop(runs.remove_label_values(&[rule, outcome.as_str()])));
        ImageOutcome::ALL.iter().for_each(|outcome| drop(images.remove_label_values(&[rule, outcome.as_str()])));
        BlobOutcome::ALL.iter().for_each(|outcome| drop(blobs.remove_label_values(&[rule, outcome.as_str()])));
    }
}
