//! Runs of other replicas: whoever is asked tells of all.

use serde_json::json;

use super::{Status, now};
use crate::events::{RuleReport, Totals};

impl Status {
    /// Another replica has begun a rule's run.
    pub fn began_elsewhere(&self, rule: &str) {
        let run = self.known().rules.begin(rule, |number| self.id(number), now());
        if let Some(run) = run {
            self.feed.tell("run_started", &json!({ "rule": rule, "run": run }));
        }
    }

    /// A rule's run ended at another replica; `totals` are the sums over its images, of which the report has only some.
    pub fn ended_elsewhere(&self, report: &RuleReport, totals: &Totals) {
        let run = self.known().rules.end_elsewhere(report, totals);
        if let Some(run) = run {
            self.feed.tell("run_ended", &json!({ "rule": report.name, "run": run }));
        }
    }
}
