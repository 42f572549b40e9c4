//! When the configuration is read again: on request, and when one of its files has changed and is not being written any
//! more. Reading is done beside the daemon's work; the daemon takes over what comes of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task;
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::{Config, ScheduledRule, Service};
use crate::events::WebhookKind;
use crate::files::Stamps;
use crate::queue;
use crate::telemetry::notify::Channel;
use crate::transfer::Engine;

/// How often the files are looked at. Looking finds what notifications miss: network file systems, swapped links.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a configuration that was refused is left alone, if nothing changes.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Where the configuration comes from.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Reads it, with what the command line says over it.
    pub load: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// Asks for it to be read again.
    pub again: Arc<Notify>,
}

/// A configuration that was read again, to be taken over.
pub(super) struct Loaded {
    pub(super) engine: Arc<Engine>,
    pub(super) rules: Vec<ScheduledRule>,
    pub(super) service: Service,
    pub(super) webhooks: BTreeMap<WebhookKind, PathBuf>,
    pub(super) notifications: Vec<Arc<Channel>>,
    pub(super) cluster: Option<queue::Settings>,
}

impl Source {
    /// Reads the configuration. Returns also what the file was like before: what changes in between is seen later.
    pub fn load(&self) -> (Result<Config, String>, Stamps) {
        let stamps = Stamps::of([self.file.clone()]);
        ((self.load)(), stamps)
    }

    /// Reads the configuration whenever it is to be read again, until nobody takes it any more. `made_of` is what the
    /// daemon's was like at first, `engine` what it began with.
    pub(super) async fn watch(
        self: Arc<Self>,
        mut made_of: Stamps,
        mut engine: Arc<Engine>,
        loaded: mpsc::Sender<Result<Loaded, String>>,
    ) {
        let (mut files, mut refused) = (Watched::default(), None::<Refused>);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                () = self.again.notified() => true,
                _ = ticks.tick() => false,
            };
            let before = made_of.clone().and(engine.registries().stamps());
            let looked_at = before.clone();
            let Ok(now) = task::spawn_blocking(move || looked_at.again()).await else { continue };
            let is_news = files.are_to_be_read(&before, now) || is_asked;
            if !is_news && !refused.as_ref().is_some_and(Refused::is_due) {
                continue;
            }
            let (source, current) = (Arc::clone(&self), Arc::clone(&engine));
            let (again, stamps) = match task::spawn_blocking(move || source.load_for(&current)).await {
                Ok(again) => again,
                Err(fault) => (Err(format!("a fault in regferry itself: {fault}; please report it")), before),
            };
            made_of = stamps;
            if let Ok(loaded) = &again {
                engine = Arc::clone(&loaded.engine);
            }
            let last = std::mem::replace(&mut refused, again.as_ref().err().map(|error| Refused::now(error)));
            let is_told = refused.as_ref().is_some_and(|new| last.is_some_and(|last| last.error == new.error));
            if (is_news || !is_told) && loaded.send(again).await.is_err() {
                return;
            }
        }
    }

    /// Reads the configuration, for a daemon that works with this engine.
    fn load_for(&self, engine: &Engine) -> (Result<Loaded, String>, Stamps) {
        let (config, stamps) = self.load();
        let loaded = config.map(|Config { service, webhooks, notifications, limits, registries, cluster, rules }| {
            let engine = Arc::new(engine.reconfigured(registries, limits));
            Loaded { engine, rules, service, webhooks, notifications, cluster }
        });
        (loaded, stamps)
    }
}

/// A configuration that was refused. What it lacks may come without a change of it: a certificate that it names.
struct Refused {
    error: String,
    at: Instant,
}

impl Refused {
    fn now(error: &str) -> Self {
        Self { error: error.to_owned(), at: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.at.elapsed() >= TRY_AGAIN
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
