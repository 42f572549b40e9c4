//! What a rule's runs have told: failures and warnings that come with every run are not told with every run. Pure.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::super::repeats::{Past, Repeats, Telling};
use crate::events::{ImageOutcome, RuleReport, RunOutcome};

/// What fails at every tick is told again after so long.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// What no run came to for so long is not waited for.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// What was told of one rule.
pub(super) struct RulePast {
    repeats: Repeats<Subject>,
    /// What was told during the run, and stands in its report again.
    told: Vec<String>,
    /// Whether this run had a failure that none before had.
    has_news: bool,
}

/// What lines are about.
#[derive(PartialEq, Eq, Hash)]
enum Subject {
    Image(String),
    OutOfPulls,
    Warning(String),
    Run,
}

/// What there is to tell when a run has ended.
#[derive(Debug)]
pub(super) struct Closing {
    /// Its warnings.
    pub(super) warnings: Vec<(String, Telling)>,
    /// Images that failed before, and are in place, of a rule that still fails.
    pub(super) recovered: Vec<(String, Past)>,
    /// How it ended.
    pub(super) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Well; with what there was of failures before.
    Well(Option<Past>),
    Stopped,
    Failed(Telling),
}

impl Default for RulePast {
    fn default() -> Self {
        Self { repeats: Repeats::new(PAUSE), told: Vec::new(), has_news: false }
    }
}

impl RulePast {
    pub(super) fn image_failed(&mut self, image: String, error: &str, now: Instant) -> Telling {
        let telling = self.repeats.came(Subject::Image(image), error, now);
        self.has_news |= telling == Telling::First;
        telling
    }

    /// The text, which has dates and numbers in it, is never the same.
    pub(super) fn out_of_pulls(&mut self, text: String, now: Instant) -> Telling {
        self.told.push(text);
        self.repeats.came(Subject::OutOfPulls, "", now)
    }

    /// A run has ended. What did not come in it is forgotten.
    pub(super) fn close(&mut self, run: &RuleReport, now: Instant) -> Closing {
        let warnings = self.warnings(run, now);
        let mut recovered = self.recovered(run, now);
        let end = self.end(run, now);
        if matches!(end, End::Well(_)) {
            recovered.clear();
        }
        self.forget_what_did_not_come(run, now);
        (self.told, self.has_news) = (Vec::new(), false);
        Closing { warnings, recovered, end }
    }

    fn warnings(&mut self, run: &RuleReport, now: Instant) -> Vec<(String, Telling)> {
        let new = run.warnings.iter().filter(|text| !self.told.contains(text));
        new.map(|text| (text.clone(), self.repeats.came(Subject::Warning(text.clone()), "", now))).collect()
    }

    fn recovered(&mut self, run: &RuleReport, now: Instant) -> Vec<(String, Past)> {
        if self.repeats.is_empty() {
            return Vec::new();
        }
        let in_place = |outcome| matches!(outcome, ImageOutcome::Copied | ImageOutcome::Unchanged);
        let images = run.images.iter().filter(|image| in_place(image.outcome));
        images.filter_map(|image| self.image_recovered(image.target.to_string(), now)).collect()
    }

    fn image_recovered(&mut self, image: String, now: Instant) -> Option<(String, Past)> {
        let past = self.repeats.over(&Subject::Image(image.clone()), now)?;
        Some((image, past))
    }

    fn end(&mut self, run: &RuleReport, now: Instant) -> End {
        match run.outcome {
            RunOutcome::Success => End::Well(self.repeats.over(&Subject::Run, now)),
            RunOutcome::Cancelled => End::Stopped,
            RunOutcome::Failure | RunOutcome::Timeout => {
                let text = run.error.as_deref().unwrap_or(run.outcome.as_str());
                match self.repeats.came(Subject::Run, text, now) {
                    Telling::Quiet(past) if self.has_news => End::Failed(Telling::Again(past)),
                    telling => End::Failed(telling),
                }
            }
        }
    }

    /// A run that was stopped did not come to everything; one that failed before its first image, to none.
    fn forget_what_did_not_come(&mut self, run: &RuleReport, now: Instant) {
        let was_stopped = matches!(run.outcome, RunOutcome::Cancelled | RunOutcome::Timeout);
        if was_stopped || (run.error.is_some() && run.images.is_empty()) {
            now.checked_sub(MEMORY).into_iter().for_each(|moment| self.repeats.forget_untold_since(moment));
            return;
        }
        if self.repeats.is_empty() {
            return;
        }
        let images: HashSet<String> = run.images.iter().map(|image| image.target.to_string()).collect();
        let is_out_of_pulls = !self.told.is_empty();
        self.repeats.retain(|subject| match subject {
            Subject::Image(image) => images.contains(image),
            Subject::Warning(text) => run.warnings.contains(text),
            Subject::OutOfPulls => is_out_of_pulls,
            Subject::Run => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::events::ImageReport;
    use crate::oci::Reference;

    const SECOND: Duration = Duration::from_secs(1);

    /// A rule whose runs are told of, one a second.
    struct Rule {
        past: RulePast,
        now: Instant,
    }

    impl Rule {
        fn new() -> Self {
            Self { past: RulePast::default(), now: Instant::now() }
        }

        /// A run with these failed and these unchanged images. Returns how the failures are told, and the run.
        fn run(&mut self, failed: &[&str], unchanged: &[&str]) -> (Vec<bool>, Closing) {
            self.now += SECOND;
            let told =
                failed.iter().map(|name| self.past.image_failed(image(name), "no", self.now).is_told()).collect();
            let outcome = if failed.is_empty() { RunOutcome::Success } else { RunOutcome::Failure };
            let closing = self.past.close(&report(outcome, failed, unchanged), self.now);
            (told, closing)
        }
    }

    fn image(tag: &str) -> String {
        format!("r.example/app:{tag}")
    }

    fn report(outcome: RunOutcome, failed: &[&str], unchanged: &[&str]) -> RuleReport {
        let image = |tag: &&str, outcome| {
            let name: Reference = image(tag).parse().unwrap();
            ImageReport { outcome, ..ImageReport::new(name.clone(), name) }
        };
        let failed = failed.iter().map(|tag| image(tag, ImageOutcome::Failed));
        let unchanged = unchanged.iter().map(|tag| image(tag, ImageOutcome::Unchanged));
        RuleReport {
            outcome,
            images: failed.chain(unchanged).collect(),
            ..RuleReport::begun(&"rule".into(), SystemTime::now())
        }
    }

    fn is_told(closing: &Closing) -> bool {
        matches!(&closing.end, End::Failed(telling) if telling.is_told())
    }

    #[test]
    fn a_run_all_of_whose_failures_were_told_is_quiet_for_an_hour() {
        let mut rule = Rule::new();
        let (told, first) = rule.run(&["1", "2"], &["3"]);
        assert_eq!((told, is_told(&first)), (vec![true, true], true));
        for _ in 1..3600 {
            let (told, closing) = rule.run(&["1", "2"], &["3"]);
            assert_eq!((told, is_told(&closing)), (vec![false, false], false));
        }
        let (told, closing) = rule.run(&["1", "2"], &["3"]);
        assert_eq!((told, is_told(&closing)), (vec![true, true], true));
    }

    #[test]
    fn a_run_with_a_failure_that_is_new_is_told() {
        let mut rule = Rule::new();
        rule.run(&["1"], &["2"]);
        let (told, closing) = rule.run(&["1", "2"], &[]);
        assert_eq!((told, is_told(&closing)), (vec![false, true], true));
        assert!(!is_told(&rule.run(&["1", "2"], &[]).1));
    }

    #[test]
    fn a_rule_that_recovers_says_so_once_and_its_images_do_not() {
        let mut rule = Rule::new();
        rule.run(&["1", "2"], &[]);
        rule.run(&["1", "2"], &[]);
        let (_, closing) = rule.run(&[], &["1", "2"]);
        assert!(closing.recovered.is_empty());
        assert!(matches!(closing.end, End::Well(Some(Past { times: 2, lasting, .. })) if lasting == 2 * SECOND));
        assert_eq!(rule.run(&[], &["1", "2"]).1.end, End::Well(None));
        assert_eq!(rule.run(&["1"], &["2"]).0, [true], "it begins anew");
    }

    #[test]
    fn an_image_that_recovers_says_so_if_its_rule_does_not() {
        let mut rule = Rule::new();
        rule.run(&["1", "2"], &[]);
        let (_, closing) = rule.run(&["1"], &["2"]);
        let [(name, past)] = &*closing.recovered else { panic!("{closing:?}") };
        assert_eq!((name, past.times), (&image("2"), 1));
    }

    #[test]
    fn what_does_not_come_any_more_is_forgotten_but_not_by_a_run_that_did_not_get_there() {
        let mut rule = Rule::new();
        rule.run(&["gone", "stays"], &[]);
        let stopped = report(RunOutcome::Cancelled, &[], &[]);
        assert_eq!(rule.past.close(&stopped, rule.now).end, End::Stopped);
        let unlisted = RuleReport { error: Some("no list".to_owned()), ..report(RunOutcome::Failure, &[], &[]) };
        assert!(is_told(&rule.past.close(&unlisted, rule.now)), "it has another text");
        assert_eq!(rule.run(&["gone", "stays"], &[]).0, [false, false]);

        rule.run(&["stays"], &[]);
        assert_eq!(rule.run(&["gone", "stays"], &[]).0, [true, false]);
    }

    #[test]
    fn a_warning_is_told_once_while_it_comes() {
        let mut rule = Rule::new();
        let mut told = |warnings: &[&str]| {
            let warnings = warnings.iter().map(|text| (*text).to_owned()).collect();
            let run = RuleReport { warnings, ..report(RunOutcome::Success, &[], &[]) };
            let told = rule.past.close(&run, rule.now).warnings;
            told.into_iter().filter(|(_, telling)| telling.is_told()).map(|(text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(told(&["a", "b"]), ["a", "b"]);
        assert_eq!(told(&["a", "c"]), ["c"]);
        assert_eq!(told(&["a", "b"]), ["b"]);
    }

    #[test]
    fn waiting_for_pulls_is_told_once_whatever_the_time_that_it_names() {
        let mut rule = Rule::new();
        for (text, is_first) in [("until 12:00", true), ("until 12:05", false)] {
            assert_eq!(rule.past.out_of_pulls(text.to_owned(), rule.now).is_told(), is_first);
            let run = RuleReport { warnings: vec![text.to_owned()], ..report(RunOutcome::Success, &[], &[]) };
            assert!(rule.past.close(&run, rule.now).warnings.is_empty(), "it is told already");
        }
        rule.run(&[], &[]);
        assert!(rule.past.out_of_pulls("until 18:00".to_owned(), rule.now).is_told());
    }
}
