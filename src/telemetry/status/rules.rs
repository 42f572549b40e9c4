//! What is known of the rules: what each does, its last runs and its images.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::images::{Choice, Images, fair_share};
use super::past::{Changed, Past};
use super::snapshot::{Condition, Fault, Image, Progress, Rule, RuleDetail, Run, State};
use super::{second_of, shortened};
use crate::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome, Totals};

/// So many runs of a rule are kept,
const MOST_RUNS: usize = 20;
/// and what an earlier process knew for so long,
const OLDEST: SignedDuration = SignedDuration::from_hours(24 * 90);
/// so many images of all rules together,
const MOST_IMAGES: usize = 20_000;
/// and a few more until there are enough to be cleared away at once.
const SLACK: usize = 1_000;

/// The rules, in the configuration's order.
#[derive(Debug, Default)]
pub(super) struct Rules {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    images: usize,
    /// How many runs there were, of all rules.
    begun: u64,
    /// What has changed since somebody asked, if anybody does.
    changed: Option<Changed>,
}

#[derive(Debug, Default)]
struct Entry {
    rule: Rule,
    runs: VecDeque<Run>,
    images: Images,
    /// The number of the run under way, or of the last one.
    run: u64,
    /// The number that the run after this one will have, if somebody was told it.
    promised: Option<u64>,
    /// The number of a run that was started, and has not said so yet.
    starting: Option<u64>,
    has_failed: Option<bool>,
    /// When the last run began that left every image in place: each was looked at since.
    looked: Option<Timestamp>,
}

impl Rules {
    /// These are the rules from now on. What is known of those that stay is kept.
    pub(super) fn follow(&mut self, names: &[&str]) {
        let mut before: HashMap<String, Entry> =
            self.entries.drain(..).map(|entry| (entry.rule.name.clone(), entry)).collect();
        let entry = |name: &&str| before.remove(*name).unwrap_or_else(|| Entry::new(name));
        self.entries = names.iter().map(entry).collect();
        self.places = names.iter().enumerate().map(|(place, name)| ((*name).to_owned(), place)).collect();
        self.count_images();
    }

    /// The number of the next run that is started of a rule; `None` if there is no such rule.
    pub(super) fn promise(&mut self, name: &str) -> Option<u64> {
        let next = self.begun + 1;
        let promised = &mut self.entry(name)?.promised;
        let number = *promised.get_or_insert(next);
        self.begun = self.begun.max(number);
        Some(number)
    }

    /// A run is started: whoever asks for one from now on gets another.
    pub(super) fn start(&mut self, name: &str) {
        let number = self.promise(name);
        if let Some(entry) = self.entry(name) {
            (entry.starting, entry.promised) = (number, None);
        }
    }

    /// A run begins; `id` writes its number. Returns what there is to show of it.
    pub(super) fn begin(&mut self, name: &str, id: impl Fn(u64) -> String, at: Timestamp) -> Option<Progress> {
        if self.entry(name)?.starting.is_none() {
            self.start(name);
        }
        let entry = self.entry(name)?;
        entry.run = entry.starting.take()?;
        let progress = Progress { id: id(entry.run), started: at, ..Progress::default() };
        entry.rule.state = State::Running;
        entry.rule.run = Some(progress.clone());
        Some(progress)
    }

    pub(super) fn found(&mut self, name: &str, images: usize) {
        self.progress(name, |progress| progress.found += images);
    }

    /// A run waits for pulls; when one of its images is copied, it does so no more. Returns for what, if that
    /// was not known.
    pub(super) fn wait(&mut self, name: &str, what: String) -> Option<&str> {
        let (entry, what) = (self.entry(name)?, Some(shortened(what)));
        let is_known = entry.rule.waiting == what;
        entry.rule.waiting = what;
        entry.rule.waiting.as_deref().filter(|_| !is_known)
    }

    /// An image is done. Returns it as it is known now. In a cluster an image may be told of twice: where it was worked on
    /// and where its run is owned may be one process.
    pub(super) fn image(&mut self, name: &str, report: &ImageReport, at: Timestamp) -> Option<Image> {
        let entry = self.entry(name)?;
        let is_known = entry.images.is_seen_by(report, entry.run);
        if let Some(progress) = entry.rule.run.as_mut().filter(|_| !is_known) {
            progress.done += 1;
            progress.failed += usize::from(report.outcome == ImageOutcome::Failed);
            progress.bytes += report.bytes;
        }
        if report.outcome == ImageOutcome::Copied {
            entry.rule.waiting = None;
        }
        let before = entry.images.len();
        let (image, is_news) = entry.images.note(report, entry.run, at);
        let is_new = entry.images.len() > before;
        self.images += usize::from(is_new);
        if let Some(changed) = self.changed.as_mut().filter(|_| is_news) {
            changed.add(Past::Image { rule: name.to_owned(), image: image.clone() });
        }
        if self.images > MOST_IMAGES + SLACK {
            self.clear_away();
        }
        Some(image)
    }

    /// A run ended. Returns it.
    pub(super) fn end(&mut self, report: &RuleReport) -> Option<Run> {
        let entry = self.entry(&report.name)?;
        let run = entry.end(report);
        let mut gone = Vec::new();
        if report.outcome == RunOutcome::Success {
            gone = entry.images.keep_seen_by(entry.run);
            self.count_images();
        }
        self.note_end(report, &run, gone);
        Some(run)
    }

    /// A run of another replica ended; `totals` are the sums over its images. Returns it.
    pub(super) fn end_elsewhere(&mut self, report: &RuleReport, totals: &Totals) -> Option<Run> {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let entry = self.entry(&report.name)?;
        entry.end(report);
        let run = entry.runs.back_mut()?;
        (run.copied, run.unchanged) = (count(totals.copied), count(totals.unchanged));
        (run.skipped, run.failed, run.bytes) = (count(totals.skipped), count(totals.failed), totals.bytes);
        let run = run.clone();
        entry.rule.last_run = Some(run.clone());
        self.note_end(report, &run, Vec::new());
        Some(run)
    }

    fn note_end(&mut self, report: &RuleReport, run: &Run, gone: Vec<Box<str>>) {
        if let Some(changed) = &mut self.changed {
            let (rule, ended) = (&*report.name, second_of(report.started + report.elapsed));
            changed.add(Past::Run { rule: rule.to_owned(), run: run.clone(), ended });
            gone.into_iter()
                .for_each(|target| changed.add(Past::Gone { rule: rule.to_owned(), target: target.into() }));
        }
    }

    /// From now on somebody asks for what has changed.
    pub(super) fn watch(&mut self) {
        self.changed = Some(Changed::default());
    }

    /// What has changed since this was asked before.
    pub(super) fn changes(&mut self) -> Changed {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes in what an earlier process knew. Of rules that there are no more, and of long ago, nothing is taken; returns
    /// whether there was such.
    pub(super) fn recall(&mut self, rows: impl IntoIterator<Item = Past>, now: Timestamp) -> bool {
        let mut is_less = false;
        for row in rows {
            match self.entry(row.rule()) {
                Some(entry) => entry.recall(row),
                None => is_less = true,
            }
        }
        let since = now.checked_sub(OLDEST).unwrap_or(Timestamp::MIN);
        for entry in &mut self.entries {
            let before = entry.runs.len() + entry.images.len();
            entry.runs.retain(|run| run.started >= since);
            entry.rule.last_run = entry.runs.back().cloned();
            if let Some(looked) = entry.looked {
                entry.images.seen_at_least(looked);
            }
            entry.images.keep_seen_since(since);
            is_less |= entry.runs.len() + entry.images.len() < before;
        }
        self.count_images();
        if self.images > MOST_IMAGES {
            self.clear_away();
        }
        is_less
    }

    /// All that the next process may go on with.
    pub(super) fn past(&self) -> Vec<Past> {
        self.entries.iter().flat_map(Entry::past).collect()
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        self.places.get(name).is_some_and(|place| self.entries[*place].rule.state == State::Running)
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Rule)) {
        if let Some(entry) = self.entry(name) {
            change(&mut entry.rule);
        }
    }

    /// All of them, as they are.
    pub(super) fn shown(&self) -> Vec<Rule> {
        self.entries.iter().map(Entry::shown).collect()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Rule> {
        self.entries.iter_mut().map(|entry| &mut entry.rule)
    }

    /// The runs that are under way.
    pub(super) fn under_way(&self) -> BTreeMap<String, Progress> {
        let running = self.entries.iter().filter_map(|entry| Some((&entry.rule.name, entry.rule.run.as_ref()?)));
        running.map(|(name, progress)| (name.clone(), progress.clone())).collect()
    }

    pub(super) fn detail(&self, name: &str) -> Option<RuleDetail> {
        let entry = &self.entries[*self.places.get(name)?];
        let runs = entry.runs.iter().rev().cloned().collect();
        Some(RuleDetail { rule: entry.shown(), runs, images: entry.images.counts() })
    }

    pub(super) fn images(&self, name: &str, choice: &Choice, skip: usize, take: usize) -> Option<(usize, Vec<Image>)> {
        Some(self.entries[*self.places.get(name)?].images.page(choice, skip, take))
    }

    fn entry(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.get_mut(*self.places.get(name)?)
    }

    fn progress(&mut self, name: &str, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.entry(name).and_then(|entry| entry.rule.run.as_mut()) {
            change(progress);
        }
    }

    fn clear_away(&mut self) {
        let share = fair_share(MOST_IMAGES, self.entries.iter().map(|entry| entry.images.len()));
        if let Some(changed) = &mut self.changed {
            changed.is_more = true;
        }
        self.entries.iter_mut().for_each(|entry| entry.images.keep_at_most(share));
        self.count_images();
    }

    fn count_images(&mut self) {
        self.images = self.entries.iter().map(|entry| entry.images.len()).sum();
    }
}

impl Entry {
    fn new(name: &str) -> Self {
        Self { rule: Rule { name: name.to_owned(), ..Rule::default() }, ..Self::default() }
    }

    fn end(&mut self, report: &RuleReport) -> Run {
        let progress = self.rule.run.take().unwrap_or_default();
        let error = report.first_error().map(|error| self.told(shortened(error)));
        self.rule.state = State::Idle;
        self.rule.waiting = None;
        let run = run(progress.id, report, error);
        self.add(run.clone(), second_of(report.started + report.elapsed));
        run
    }

    /// A run that ended then is the last one.
    fn add(&mut self, run: Run, ended: Timestamp) {
        self.has_failed = match run.outcome {
            RunOutcome::Success => Some(false),
            RunOutcome::Failure | RunOutcome::Timeout => Some(true),
            // It was not its own end.
            RunOutcome::Cancelled => self.has_failed,
        };
        if run.outcome == RunOutcome::Success {
            (self.rule.last_success, self.looked) = (Some(ended), Some(run.started));
        }
        if let Some(error) = run.error.as_ref().filter(|_| run.outcome != RunOutcome::Cancelled) {
            self.rule.last_error = Some(Fault { at: ended, error: Arc::clone(error) });
        }
        self.rule.last_run = Some(run.clone());
        self.runs.push_back(run);
        if self.runs.len() > MOST_RUNS {
            self.runs.pop_front();
        }
    }

    fn recall(&mut self, row: Past) {
        match row {
            Past::Rule { last_success, last_error, looked, has_failed, runs, .. } => {
                (self.rule.last_success, self.rule.last_error) = (last_success, last_error);
                (self.looked, self.has_failed) = (looked, has_failed);
                self.runs = runs.into_iter().take(MOST_RUNS).collect();
            }
            Past::Run { mut run, ended, .. } => {
                run.error = run.error.map(|error| self.told(error.to_string()));
                self.add(run, ended);
            }
            Past::Image { image, .. } => self.images.recall(image),
            Past::Gone { target, .. } => self.images.forget(&target),
        }
    }

    fn past(&self) -> Vec<Past> {
        let rule = &self.rule.name;
        let image = |image| Past::Image { rule: rule.clone(), image };
        let of_rule = Past::Rule {
            rule: rule.clone(),
            last_success: self.rule.last_success,
            last_error: self.rule.last_error.clone(),
            looked: self.looked,
            has_failed: self.has_failed,
            runs: self.runs.iter().cloned().collect(),
        };
        std::iter::once(of_rule).chain(self.images.all().map(image)).collect()
    }

    /// A text that came before is kept once, however often it comes.
    fn told(&self, error: String) -> Arc<str> {
        let before = self.rule.last_error.as_ref().filter(|fault| *fault.error == *error);
        before.map_or_else(|| error.into(), |fault| Arc::clone(&fault.error))
    }

    fn shown(&self) -> Rule {
        let condition = match (&self.rule, self.has_failed) {
            (Rule { state: State::Running, waiting: Some(_), .. }, _) => Condition::Waiting,
            (Rule { state: State::Running, .. }, _) => Condition::Running,
            (_, Some(true)) => Condition::Failing,
            (_, Some(false)) => Condition::Fresh,
            (_, None) => Condition::New,
        };
        Rule { condition, ..self.rule.clone() }
    }
}

fn run(id: String, report: &RuleReport, error: Option<Arc<str>>) -> Run {
    Run {
        id,
        outcome: report.outcome,
        started: second_of(report.started),
        seconds: (report.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        copied: report.count(ImageOutcome::Copied),
        unchanged: report.count(ImageOutcome::Unchanged),
        skipped: report.count(ImageOutcome::Skipped),
        failed: report.count(ImageOutcome::Failed),
        pruned: report.pruned.len(),
        bytes: report.images.iter().map(|image| image.bytes).sum(),
        error,
    }
}
