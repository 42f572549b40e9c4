//! Which rules fail, and when that changes: pure.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::status::{second_of, shortened};
use crate::events::{ImageOutcome, RuleReport, RunOutcome};

/// What a rule is since its last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It failed.
    Failing,
    /// It did not.
    Fresh,
}

/// A rule is something else than it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// The rule.
    pub(super) rule: String,
    /// What it is now.
    pub(super) state: State,
    /// When the run ended that changed it.
    pub(super) at: Timestamp,
    /// When its first failed run ended; of one that has recovered, the first before that.
    pub(super) failing_since: Option<Timestamp>,
    /// When it succeeded before, if this process has seen it.
    pub(super) last_success: Option<Timestamp>,
    /// How the run ended.
    pub(super) outcome: RunOutcome,
    /// What became of its images.
    pub(super) images: Counts,
    /// What failed, or failed first, with advice.
    pub(super) error: Option<String>,
}

/// How many images had which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) copied: usize,
    pub(super) unchanged: usize,
    pub(super) skipped: usize,
    pub(super) failed: usize,
}

/// What is known of the rules that there are.
#[derive(Debug, Default)]
pub(super) struct States(HashMap<String, Known>);

#[derive(Debug, Default)]
struct Known {
    failing_since: Option<Timestamp>,
    last_success: Option<Timestamp>,
}

impl States {
    /// These are the rules from now on. What is known of those that stay is kept.
    pub(super) fn follow(&mut self, names: &[&str]) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = names.iter().map(|name| ((*name).to_owned(), before.remove(*name).unwrap_or_default())).collect();
    }

    /// A run ended. A rule of which nothing is known is taken for one that did not fail; one that was stopped is what it was.
    pub(super) fn ended(&mut self, report: &RuleReport) -> Option<Change> {
        let known = self.0.get_mut(&*report.name)?;
        let at = second_of(report.started + report.elapsed);
        let state = match report.outcome {
            RunOutcome::Success => State::Fresh,
            RunOutcome::Failure | RunOutcome::Timeout => State::Failing,
            RunOutcome::Cancelled => return None,
        };
        let was_failing = known.failing_since.is_some();
        if state == State::Failing {
            known.failing_since.get_or_insert(at);
        }
        let change = (was_failing != (state == State::Failing)).then(|| Change {
            rule: report.name.to_string(),
            state,
            at,
            failing_since: known.failing_since,
            last_success: known.last_success,
            outcome: report.outcome,
            images: Counts::of(report),
            error: report.first_error().filter(|_| state == State::Failing).map(shortened),
        });
        if state == State::Fresh {
            *known = Known { failing_since: None, last_success: Some(at) };
        }
        change
    }
}

impl Counts {
    fn of(report: &RuleReport) -> Self {
        Self {
            copied: report.count(ImageOutcome::Copied),
            unchanged: report.count(ImageOutcome::Unchanged),
            skipped: report.count(ImageOutcome::Skipped),
            failed: report.count(ImageOutcome::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn run(rule: &str, second: u64, outcome: RunOutcome) -> RuleReport {
        let report = RuleReport::begun(&rule.into(), UNIX_EPOCH + Duration::from_secs(second));
        let error = (outcome != RunOutcome::Success).then(|| "no".to_owned());
        RuleReport { outcome, error, ..report }
    }

    fn states(names: &[&str]) -> States {
        let mut states = States::default();
        states.follow(names);
        states
    }

    /// What is told of a rule whose runs end so, one a second.
    fn told(outcomes: &[RunOutcome]) -> Vec<(u64, State)> {
        let mut states = states(&["r"]);
        let runs = (1..).zip(outcomes).map(|(second, outcome)| (second, run("r", second, *outcome)));
        runs.filter_map(|(second, run)| Some((second, states.ended(&run)?.state))).collect()
    }

    #[test]
    fn what_changes_is_told_and_nothing_else() {
        use RunOutcome::{Cancelled, Failure, Success, Timeout};
        assert_eq!(told(&[Success, Success, Cancelled]), []);
        assert_eq!(told(&[Failure, Timeout, Failure]), [(1, State::Failing)]);
        assert_eq!(told(&[Cancelled, Timeout]), [(2, State::Failing)]);
        let there_and_back = [Success, Failure, Cancelled, Failure, Success, Success, Failure];
        assert_eq!(told(&there_and_back), [(2, State::Failing), (5, State::Fresh), (7, State::Failing)]);
    }

    #[test]
    fn a_change_says_since_when() {
        let (mut states, at) = (states(&["r"]), |second| Timestamp::from_second(second).ok());
        assert_eq!(states.ended(&run("r", 1, RunOutcome::Success)), None);
        let failing = states.ended(&run("r", 2, RunOutcome::Failure)).unwrap();
        assert_eq!((failing.failing_since, failing.last_success, failing.error.as_deref()), (at(2), at(1), Some("no")));
        assert_eq!(states.ended(&run("r", 3, RunOutcome::Failure)), None);
        let fresh = states.ended(&run("r", 4, RunOutcome::Success)).unwrap();
        assert_eq!((fresh.failing_since, fresh.last_success, fresh.error), (at(2), at(1), None));
        let again = states.ended(&run("r", 5, RunOutcome::Failure)).unwrap();
        assert_eq!((again.failing_since, again.last_success), (at(5), at(4)));
    }

    #[test]
    fn rules_that_are_gone_are_forgotten_and_others_kept() {
        let mut states = states(&["kept", "gone"]);
        for rule in ["kept", "gone"] {
            assert!(states.ended(&run(rule, 1, RunOutcome::Failure)).is_some());
        }
        states.follow(&["kept"]);
        assert_eq!(states.ended(&run("gone", 2, RunOutcome::Success)), None);
        states.follow(&["kept", "gone"]);
        assert_eq!(states.ended(&run("gone", 3, RunOutcome::Success)), None, "it is a new one");
        assert!(states.ended(&run("kept", 3, RunOutcome::Success)).is_some());
    }
}
