//! The imports that the API was asked for: those that wait, those at work, and for a while those that ended. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::server::{ImportJob, JobState};
use crate::transfer::Import;

/// So many may wait.
const MOST_QUEUED: usize = 100;
/// Those that ended are kept for so long,
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// so many of them,
const MOST_KEPT: usize = 1000;
/// and so many bytes of what came of them.
const MOST_BYTES: usize = 8 << 20;

/// All of them, the oldest first.
#[derive(Default)]
pub(super) struct Book {
    entries: VecDeque<Entry>,
    kept_bytes: usize,
}

struct Entry {
    job: ImportJob,
    /// What is to be done, until it is at work.
    import: Option<Arc<Import>>,
    ended: Option<Instant>,
}

/// What came of one.
#[derive(Debug)]
pub(in crate::app) struct Outcome {
    /// Whether every target has the image.
    pub(in crate::app) is_in_place: bool,
    /// What is reported of it, or why there is nothing to report.
    pub(in crate::app) result: Result<Arc<RawValue>, String>,
}

impl Book {
    /// Takes one; `None` if too many wait already.
    pub(super) fn take(&mut self, id: String, import: Import, at: Timestamp) -> Option<ImportJob> {
        let queued = self.entries.iter().filter(|entry| entry.job.state == JobState::Queued).count();
        if queued >= MOST_QUEUED {
            return None;
        }
        let job = ImportJob {
            id,
            state: JobState::Queued,
            source: import.source.to_string(),
            targets: import.targets.iter().map(ToString::to_string).collect(),
            force: import.force,
            created: at,
            started: None,
            ended: None,
            error: None,
            result: None,
        };
        self.entries.push_back(Entry { job: job.clone(), import: Some(Arc::new(import)), ended: None });
        Some(job)
    }

    /// The one that has waited longest; from here on it is at work.
    pub(super) fn begin(&mut self, at: Timestamp) -> Option<(ImportJob, Arc<Import>)> {
        let entry = self.entries.iter_mut().find(|entry| entry.import.is_some())?;
        let import = entry.import.take()?;
        (entry.job.state, entry.job.started) = (JobState::Running, Some(at));
        Some((entry.job.clone(), import))
    }

    /// One ended. Returns it, without its result.
    pub(super) fn end(&mut self, id: &str, outcome: Outcome, at: Timestamp, now: Instant) -> Option<ImportJob> {
        let entry = self.entries.iter_mut().find(|entry| entry.job.id == id)?;
        let told = entry.end(outcome, at, now);
        self.kept_bytes += entry.bytes();
        self.forget(now);
        Some(told)
    }

    /// Those that wait will not be done any more, as the text says. Returns them.
    pub(super) fn give_up(&mut self, why: &str, at: Timestamp, now: Instant) -> Vec<ImportJob> {
        let mut told = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.import.is_some()) {
            entry.import = None;
            told.push(entry.end(Outcome { is_in_place: false, result: Err(why.to_owned()) }, at, now));
            self.kept_bytes += entry.bytes();
        }
        told
    }

    pub(super) fn find(&mut self, id: &str, now: Instant) -> Option<ImportJob> {
        self.forget(now);
        self.entries.iter().find(|entry| entry.job.id == id).map(|entry| entry.job.clone())
    }

    /// Some of them without their results, the latest first, and how many there are.
    pub(super) fn list(&mut self, skip: usize, take: usize, now: Instant) -> (usize, Vec<ImportJob>) {
        self.forget(now);
        let listed = self.entries.iter().rev().skip(skip).take(take).map(|entry| without_result(&entry.job));
        (self.entries.len(), listed.collect())
    }

    /// Forgets those that ended first, as far as there are too many, and those that ended long ago.
    fn forget(&mut self, now: Instant) {
        let mut ended = self.entries.iter().filter(|entry| entry.ended.is_some()).count();
        let mut bytes = self.kept_bytes;
        self.entries.retain(|entry| {
            let Some(end) = entry.ended else { return true };
            let is_kept = ended <= MOST_KEPT && bytes <= MOST_BYTES && now.saturating_duration_since(end) < KEPT_FOR;
            if !is_kept {
                ended -= 1;
                bytes -= entry.bytes();
            }
            is_kept
        });
        self.kept_bytes = bytes;
    }
}

impl Entry {
    fn end(&mut self, outcome: Outcome, at: Timestamp, now: Instant) -> ImportJob {
        let job = &mut self.job;
        job.state = if outcome.is_in_place { JobState::Done } else { JobState::Failed };
        (job.ended, self.ended) = (Some(at), Some(now));
        match outcome.result {
            Ok(result) => job.result = Some(result),
            Err(error) => job.error = Some(error),
        }
        without_result(job)
    }

    fn bytes(&self) -> usize {
        let job = &self.job;
        let texts = job.targets.iter().chain(&job.error).map(String::len).sum::<usize>();
        texts + job.result.as_ref().map_or(0, |result| result.get().len())
    }
}

fn without_result(job: &ImportJob) -> ImportJob {
    ImportJob { result: None, ..job.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn import() -> Import {
        Import::new("a.example/app:v1".parse().unwrap(), vec!["b.example/app:v1".parse().unwrap()])
    }

    fn result(text: &str) -> Outcome {
        let result = RawValue::from_string(format!("{text:?}")).unwrap().into();
        Outcome { is_in_place: true, result: Ok(result) }
    }

    fn ids(book: &mut Book, now: Instant) -> Vec<String> {
        book.list(0, 10_000, now).1.into_iter().map(|job| job.id).collect()
    }

    #[test]
    fn imports_are_begun_in_their_order_and_end_with_a_result_or_an_error() {
        let (mut book, now) = (Book::default(), Instant::now());
        for id in ["1", "2"] {
            assert_eq!(book.take(id.to_owned(), import(), AT).unwrap().state, JobState::Queued);
        }
        assert_eq!(book.begin(AT).unwrap().0.id, "1");
        assert_eq!(book.begin(AT).unwrap().0.id, "2");
        assert!(book.begin(AT).is_none());
        assert_eq!(book.find("1", now).unwrap().state, JobState::Running);
        assert!(book.end("1", result("done"), AT, now).unwrap().result.is_none());
        book.end("2", Outcome { is_in_place: false, result: Err("no".to_owned()) }, AT, now);
        let (first, second) = (book.find("1", now).unwrap(), book.find("2", now).unwrap());
        assert_eq!((first.state, first.result.unwrap().get()), (JobState::Done, "\"done\""));
        assert_eq!((second.state, second.error.as_deref()), (JobState::Failed, Some("no")));
        assert_eq!(ids(&mut book, now), ["2", "1"]);
        assert!(book.find("3", now).is_none());
    }

    #[test]
    fn so_many_wait_at_most_and_one_at_work_leaves_its_place() {
        let mut book = Book::default();
        for number in 0..MOST_QUEUED {
            assert!(book.take(number.to_string(), import(), AT).is_some());
        }
        assert!(book.take("more".to_owned(), import(), AT).is_none());
        book.begin(AT);
        assert!(book.take("more".to_owned(), import(), AT).is_some());
    }

    #[test]
    fn those_that_ended_are_forgotten_in_time_and_when_there_are_too_many() {
        let (mut book, now) = (Book::default(), Instant::now());
        let done = |book: &mut Book, id: &str, text: &str| {
            book.take(id.to_owned(), import(), AT);
            book.begin(AT);
            book.end(id, result(text), AT, now);
        };
        (0..=MOST_KEPT).for_each(|number| done(&mut book, &number.to_string(), ""));
        let kept = ids(&mut book, now);
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (MOST_KEPT, "1"));
        done(&mut book, "large", &"x".repeat(MOST_BYTES - 1000));
        let kept = ids(&mut book, now);
        assert!(kept.len() < 100 && kept[0] == "large", "{}", kept.len());
        book.take("waits".to_owned(), import(), AT);
        assert_eq!(ids(&mut book, now + KEPT_FOR), ["waits"]);
        assert_eq!(book.kept_bytes, 0);
    }

    #[test]
    fn what_waits_when_the_daemon_stops_says_so() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.take("1".to_owned(), import(), AT);
        book.begin(AT);
        book.take("2".to_owned(), import(), AT);
        let told = book.give_up("the daemon stopped", AT, now);
        assert_eq!(told.iter().map(|job| &*job.id).collect::<Vec<_>>(), ["2"]);
        assert_eq!(book.find("2", now).unwrap().error.as_deref(), Some("the daemon stopped"));
        assert_eq!(book.find("1", now).unwrap().state, JobState::Running);
    }
}
