//! What the daemon does now, and how each rule's last run ended: for whoever asks, in one small document.

mod elsewhere;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::events::{ImageOutcome, Observer, RuleReport, RunOutcome};

pub use snapshot::{Configuration, Reload, Rule, Run, Snapshot, State};

/// The longest error that is shown, in characters; the log has the whole.
const LONGEST_ERROR: usize = 1000;

/// Keeps what [`Snapshot`] shows. Rules are those that [`Observer::rules`] last told of.
#[derive(Debug)]
pub struct Status {
    version: &'static str,
    started: Timestamp,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    config: Configuration,
    rules: Vec<Rule>,
}

impl Status {
    /// The state of a program that began at `started`, and knows no rules yet.
    pub fn new(version: &'static str, started: Timestamp) -> Self {
        Self { version, started: to_the_second(started), known: Mutex::default() }
    }

    /// Which file the daemon works by, read at `at`.
    pub fn configured(&self, file: &Path, at: Timestamp) {
        let config = &mut self.known().config;
        config.file = Some(file.display().to_string());
        config.loaded = Some(to_the_second(at));
    }

    /// The file was read again, and holds now, or is wrong as the text says.
    pub fn reloaded(&self, result: Result<(), String>, at: Timestamp) {
        let (config, at) = (&mut self.known().config, to_the_second(at));
        if result.is_ok() {
            config.loaded = Some(at);
        }
        config.last_reload = Some(Reload { at, successful: result.is_ok(), error: result.err() });
    }

    /// When rules are due next, in the order of the configuration; `None` if a schedule ends.
    pub fn ticks<'r>(&self, next: impl IntoIterator<Item = (&'r str, Option<Timestamp>)>) {
        let mut known = self.known();
        let mut next = next.into_iter().peekable();
        for rule in &mut known.rules {
            if let Some((_, at)) = next.next_if(|(name, _)| *name == rule.name) {
                rule.next = at.map(to_the_second);
            }
        }
    }

    /// The state now. Whether the daemon is ready, who runs it knows.
    pub fn snapshot(&self, ready: bool) -> Snapshot {
        let known = self.known();
        Snapshot {
            version: self.version.to_owned(),
            started: self.started,
            ready,
            config: known.config.clone(),
            rules: known.rules.clone(),
        }
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Rule)) {
        if let Some(rule) = self.known().rules.iter_mut().find(|rule| rule.name == name) {
            change(rule);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Status {
    fn rules(&self, names: &[&str]) {
        let rules = &mut self.known().rules;
        let mut old = std::mem::take(rules);
        rules.extend(names.iter().map(|name| match old.iter().position(|rule| rule.name == *name) {
            Some(place) => old.swap_remove(place),
            None => new_rule(name),
        }));
    }

    fn run_started(&self, rule: &str) {
        self.with(rule, |rule| rule.state = State::Running);
    }

    fn run_ended(&self, report: &RuleReport) {
        self.with(&report.name, |rule| {
            rule.state = State::Idle;
            if report.outcome == RunOutcome::Success {
                rule.last_success = Some(second_of(report.started + report.elapsed));
            }
            rule.last_run = Some(run(report));
        });
    }
}

fn new_rule(name: &str) -> Rule {
    Rule { name: name.to_owned(), state: State::Idle, next: None, last_success: None, last_run: None }
}

fn run(report: &RuleReport) -> Run {
    Run {
        outcome: report.outcome,
        started: second_of(report.started),
        seconds: (report.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        copied: report.count(ImageOutcome::Copied),
        unchanged: report.count(ImageOutcome::Unchanged),
        skipped: report.count(ImageOutcome::Skipped),
        failed: report.count(ImageOutcome::Failed),
        bytes: report.images.iter().map(|image| image.bytes).sum(),
        error: first_error(report),
    }
}

fn first_error(report: &RuleReport) -> Option<String> {
    let failed = report.images.iter().find(|image| image.outcome == ImageOutcome::Failed);
    let of_image = || failed.and_then(|image| Some(format!("{}: {}", image.target, image.error.as_ref()?)));
    report.error.clone().or_else(of_image).map(shortened)
}

fn shortened(mut error: String) -> String {
    if let Some((end, _)) = error.char_indices().nth(LONGEST_ERROR) {
        error.truncate(end);
        error.push('…');
    }
    error
}

/// A date outside of what calendars know shows as the epoch.
fn second_of(time: SystemTime) -> Timestamp {
    to_the_second(Timestamp::try_from(time).unwrap_or_default())
}

fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or_default()
}
