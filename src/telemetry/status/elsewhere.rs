//! Runs of other replicas: whoever is asked tells of all.

use super::{State, Status, run, second_of};
use crate::events::{RuleReport, RunOutcome, Totals};

impl Status {
    /// Another replica has begun a rule's run.
    pub fn began_elsewhere(&self, rule: &str) {
        self.with(rule, |rule| rule.state = State::Running);
    }

    /// A rule's run ended at another replica; `totals` are the sums over its images, of which the report has only some.
    pub fn ended_elsewhere(&self, report: &RuleReport, totals: &Totals) {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        self.with(&report.name, |rule| {
            rule.state = State::Idle;
            if report.outcome == RunOutcome::Success {
                rule.last_success = Some(second_of(report.started + report.elapsed));
            }
            let mut ended = run(report);
            (ended.copied, ended.unchanged) = (count(totals.copied), count(totals.unchanged));
            (ended.skipped, ended.failed, ended.bytes) = (count(totals.skipped), count(totals.failed), totals.bytes);
            rule.last_run = Some(ended);
        });
    }
}
