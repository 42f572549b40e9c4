//! `--metrics-file FILE`: what a call that runs once tells Prometheus, by way of a file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use super::replace::{folder_of, replace, try_out};
use crate::telemetry::Metrics;

/// Whoever collects is another user.
const MODE: u32 = 0o644;

/// Another call that replaces the file has done so after a few of these pauses.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES: u32 = 500;

/// A file whose readers see the old metrics or the new ones, whole.
pub(super) struct MetricsFile {
    path: PathBuf,
}

impl MetricsFile {
    /// # Errors
    /// If the file could not be written.
    pub(super) fn at(path: PathBuf) -> Result<Self, Failure> {
        let file = Self { path };
        file.try_out().map(|()| file)
    }

    /// Takes over what the last call knew. A file that says nothing of it is replaced, with a warning.
    pub(super) fn take_over(&self, metrics: &Metrics) {
        if let Err(error) = self.read_into(metrics) {
            let file = self.path.display();
            tracing::warn!(%file, error, "the metrics file cannot be used and is replaced: when rules succeeded before is lost");
        }
    }

    /// Writes the metrics as they are now, and with them what other calls have written meanwhile of rules that did not
    /// succeed here.
    ///
    /// # Errors
    /// If it cannot be done; then the old file is there still.
    pub(super) fn write(&self, metrics: &Metrics) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::failed(format!(
                "writing --metrics-file {}: {error}; the rules were run all the same",
                self.path.display()
            ))
        };
        let _turn = self.turn();
        // What is wrong with the file was told at the start.
        let _ = self.read_into(metrics);
        let text = metrics.render_for_files().map_err(|error| failed(&error))?;
        replace(&self.path, text.as_bytes(), MODE).map_err(|error| failed(&error))
    }

    fn read_into(&self, metrics: &Metrics) -> Result<(), String> {
        match fs::read_to_string(&self.path) {
            Ok(text) => metrics.take_over(&text).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Held while the file is read and replaced, so that of two calls that end together none replaces what it has not
    /// read. Where there are no locks, or this one is held for too long, it is done without: metrics that are late or
    /// never come are worse.
    fn turn(&self) -> Option<File> {
        let folder = File::open(folder_of(&self.path)).ok()?;
        for _ in 0..PAUSES {
            match folder.try_lock() {
                Ok(()) => return Some(folder),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    fn try_out(&self) -> Result<(), Failure> {
        let wrong = |reason: String| Failure::usage(format!("--metrics-file {}: {reason}", self.path.display()));
        if self.path.is_dir() || self.path.file_name().is_none() {
            return Err(wrong("it is a folder; name a file in it, as regferry.prom".to_owned()));
        }
        try_out(&self.path, MODE).map_err(|error| {
            let folder = folder_of(&self.path).display();
            wrong(format!(
                "no file can be made in {folder}: {error}; it has to be a folder that this user may write to"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::Barrier;
    use std::thread;
    use std::time::SystemTime;

    use super::*;
    use crate::events::{Observer as _, RuleReport};

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_file_is_there_whole_and_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regferry.prom");
        let file = MetricsFile::at(path.clone()).unwrap();
        assert!(names(folder.path()).is_empty(), "trying out leaves nothing behind");

        for _ in 0..2 {
            file.write(&Metrics::new().unwrap()).unwrap();
            assert!(fs::read_to_string(&path).unwrap().contains("regferry_build_info"));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
            assert_eq!(names(folder.path()), ["regferry.prom"]);
        }
    }

    #[test]
    fn calls_that_end_together_lose_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..8).map(|number| format!("rule-{number}")).collect();
        let together = Barrier::new(names.len());
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| {
                    let (file, metrics) =
                        (MetricsFile::at(folder.path().join("a.prom")).unwrap(), Metrics::new().unwrap());
                    metrics.rules(&names.iter().map(String::as_str).collect::<Vec<_>>());
                    file.take_over(&metrics);
                    metrics.run_ended(&RuleReport::begun(&name.as_str().into(), SystemTime::now()));
                    together.wait();
                    file.write(&metrics).unwrap();
                });
            }
        });
        let text = fs::read_to_string(folder.path().join("a.prom")).unwrap();
        let lost = text.lines().filter(|line| line.starts_with("regferry_rule_last_success") && line.ends_with("} 0"));
        assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn what_cannot_be_written_is_told_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for (path, reason) in
            [(missing.join("a.prom"), "no file can be made in "), (folder.path().to_owned(), "it is a folder")]
        {
            match MetricsFile::at(path) {
                Err(Failure::Usage(text)) => assert!(text.contains(reason), "{text}"),
                _ => panic!("{reason}"),
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regferry.prom");
        let file = MetricsFile::at(path.clone()).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(file.write(&Metrics::new().unwrap()), Err(Failure::Failed(_))));
        assert_eq!(names(folder.path()), ["regferry.prom"]);
    }

    #[test]
    fn a_name_alone_is_of_the_working_directory() {
        assert_eq!(folder_of(Path::new("regferry.prom")), Path::new("."));
    }
}
