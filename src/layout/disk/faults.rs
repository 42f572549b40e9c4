//! A disk that fails from a step on, and remembers what was done to it.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

/// What a writer did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Step {
    Synced(PathBuf),
    SyncedFolder(PathBuf),
    Renamed(PathBuf, PathBuf),
}

#[derive(Debug, Default)]
pub(in super::super) struct Faults {
    /// So many steps are done, and none after them.
    left: Mutex<Option<(u64, io::ErrorKind)>>,
    steps: Mutex<Vec<Step>>,
}

impl Faults {
    pub(in super::super) fn after(&self, steps: u64, kind: io::ErrorKind) {
        *self.left.lock().unwrap() = Some((steps, kind));
    }

    pub(in super::super) fn mend(&self) {
        *self.left.lock().unwrap() = None;
    }

    pub(super) fn take(&self) -> io::Result<()> {
        match &mut *self.left.lock().unwrap() {
            Some((0, kind)) => Err(io::Error::from(*kind)),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn note(&self, step: Step) {
        self.steps.lock().unwrap().push(step);
    }

    pub(in super::super) fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap().clone()
    }
}
