//! When the configuration is read again: on request, and when one of its files has changed and is not being written any
//! more. Reading is done beside the daemon's work; the daemon takes over what comes of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::files::Stamps;
use crate::transfer::Engine;

/// How often the files are looked at. Looking finds what notifications miss: network file systems, swapped links.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the configuration comes from.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Reads it, with what the command line says over it.
    pub load: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// Asks for it to be read again.
    pub again: Arc<Notify>,
}

impl Source {
    /// Reads the configuration. Returns also what the file was like before: what changes in between is seen later.
    pub fn load(&self) -> (Result<Config, String>, Stamps) {
        let stamps = Stamps::of([self.file.clone()]);
        ((self.load)(), stamps)
    }

    /// Reads the configuration whenever it is to be read again, until nobody takes it any more. `made_of` is what the
    /// daemon's was like at first; `engine` is the one that the daemon works with.
    pub(super) async fn watch(
        self: Arc<Self>,
        mut made_of: Stamps,
        engine: watch::Receiver<Arc<Engine>>,
        loaded: mpsc::Sender<Result<Config, String>>,
    ) {
        let mut files = Watched::default();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                () = self.again.notified() => true,
                _ = ticks.tick() => false,
            };
            let registries = engine.borrow().registries().stamps();
            let before = made_of.clone().and(registries);
            let looked_at = before.clone();
            let Ok(now) = task::spawn_blocking(move || looked_at.again()).await else { return };
            if !files.are_to_be_read(&before, now) && !is_asked {
                continue;
            }
            let source = Arc::clone(&self);
            let Ok((config, stamps)) = task::spawn_blocking(move || source.load()).await else { return };
            made_of = stamps;
            if loaded.send(config).await.is_err() {
                return;
            }
        }
    }
}

/// What was seen of the files.
#[derive(Default)]
struct Watched {
    last: Stamps,
    tried: Option<Stamps>,
}

impl Watched {
    /// Whether the files are others than those that the configuration was made of, are not being written any more, and
    /// were not tried yet.
    fn are_to_be_read(&mut self, made_of: &Stamps, now: Stamps) -> bool {
        let is_settled = self.last == now;
        let is_new = now != *made_of && self.tried.as_ref() != Some(&now);
        if is_settled && is_new {
            self.tried = Some(now.clone());
        }
        self.last = now;
        is_settled && is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_read_once_when_they_have_settled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("regferry.toml");
        let mut watched = Watched::default();
        let write = |text: &str| {
            fs::write(&file, text).unwrap();
            Stamps::of([file.clone()])
        };
        let made_of = write("one");
        assert!(!watched.are_to_be_read(&made_of, made_of.again()));
        assert!(!watched.are_to_be_read(&made_of, write("half of")));
        assert!(!watched.are_to_be_read(&made_of, write("half of two")), "it is still being written");
        assert!(watched.are_to_be_read(&made_of, made_of.again()));
        assert!(!watched.are_to_be_read(&made_of, made_of.again()), "it was refused, and is not tried again");
        let repaired = write("three");
        assert!(!watched.are_to_be_read(&made_of, repaired.clone()));
        assert!(watched.are_to_be_read(&made_of, repaired.clone()));
        assert!(!watched.are_to_be_read(&repaired, repaired.again()));
    }
}
