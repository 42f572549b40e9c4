//! What the daemon's log tells: when runs began and ended, and how much it says beside.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use serde_json::Value;

use super::ticks::Runs;

/// The log while it is written. It is read by a thread of its own, so that nobody waits to write it.
pub(super) struct Journal {
    told: Arc<Mutex<Told>>,
    reader: JoinHandle<()>,
}

/// What was read.
#[derive(Default)]
pub(super) struct Told {
    address: Option<String>,
    runs: BTreeMap<String, Runs>,
    lines: BTreeMap<&'static str, u64>,
    messages: BTreeMap<String, u64>,
    /// Lines that speak of failures, of which there are to be none: what fails is tried again.
    pub(super) errors: Vec<String>,
}

const LEVELS: [&str; 4] = ["DEBUG", "INFO", "WARN", "ERROR"];

impl Journal {
    /// A journal, and the pipe that it reads.
    pub(super) fn open() -> (Self, PipeWriter) {
        let (pipe, writer) = io::pipe().expect("there are pipes");
        let told = Arc::<Mutex<Told>>::default();
        let reader = thread::spawn({
            let told = Arc::clone(&told);
            move || read(pipe, &told)
        });
        (Self { told, reader }, writer)
    }

    /// Where the daemon listens, once it has said so.
    pub(super) fn address(&self) -> Option<String> {
        lock(&self.told).address.clone()
    }

    /// All that was told; waits until the daemon has ended.
    pub(super) fn closed(self) -> Told {
        self.reader.join().expect("the log is JSON");
        std::mem::take(&mut *lock(&self.told))
    }
}

fn read(pipe: PipeReader, told: &Mutex<Told>) {
    for line in BufReader::new(pipe).lines() {
        lock(told).line(&line.expect("the log is text"));
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().expect("no reader has panicked")
}

impl Told {
    /// The runs of each rule.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Runs> {
        self.runs.values()
    }

    /// How many lines a daemon writes that was not asked to tell everything.
    pub(super) fn told(&self) -> u64 {
        self.lines.iter().filter(|(level, _)| **level != "DEBUG").map(|(_, count)| count).sum()
    }

    fn line(&mut self, line: &str) {
        let level = LEVELS.into_iter().find(|level| line.contains(&format!(r#""level":"{level}""#)));
        *self.lines.entry(level.unwrap_or("no level")).or_default() += 1;
        // Requests and unchanged images, which are most of it, are not parsed.
        if level == Some("DEBUG") && !line.contains(r#""message":"run "#) {
            return;
        }
        match (level, serde_json::from_str::<Value>(line)) {
            (Some("DEBUG" | "INFO" | "WARN"), Ok(line)) => self.event(&line),
            _ => self.errors.push(line.to_owned()),
        }
    }

    fn event(&mut self, line: &Value) {
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let message = text("message");
        if let Some(address) = line["listen"].as_str() {
            self.address = Some(address.to_owned());
        }
        let kind = message.split(": ").next().unwrap_or_default();
        *self.messages.entry(kind.to_owned()).or_default() += 1;
        if !message.starts_with("run ") {
            return;
        }
        let at: Timestamp = text("timestamp").parse().expect("a line has its time");
        let at = at.as_microsecond() as f64 / 1e6;
        let runs = self.runs.entry(text("rule").to_owned()).or_default();
        if message == "run started" { runs.started.push(at) } else { runs.ended.push(at) }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lines: {:?}\nmessages: {:?}", self.lines, self.messages)
    }
}
