//! What every command starts from: its options, the configuration, and the token that stops it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::{Failure, Global};
use crate::app::{App, Source};
use crate::config::Config;
use crate::content::Location;
use crate::events::Observer;
use crate::registry::{CertificateFolders, DockerConfigFiles, Settings};
use crate::telemetry::Log;
use crate::transfer::Store;

impl Global {
    fn config_with_rules(&self, file: &Path) -> Result<Config, String> {
        let config = Config::load(file).map_err(|error| error.to_string())?;
        if config.rules.is_empty() {
            return Err(format!("{}: it has no [[rules]] or [[compose]]: nothing to mirror", file.display()));
        }
        Ok(self.over(config))
    }

    /// The configuration, with what the command line says over it.
    fn over(&self, mut config: Config) -> Config {
        for entry in &self.tls {
            let settings =
                config.registries.entry(entry.host.clone()).or_insert_with(|| Settings::for_host(&entry.host));
            settings.tls = entry.tls;
        }
        config
    }
}

/// How the program is built.
type Build =
    fn(Config, DockerConfigFiles, CertificateFolders, Vec<Arc<dyn Observer>>) -> Result<App, prometheus::Error>;

/// One run of the program.
pub(super) struct Session {
    global: Global,
    pub(super) progress: Progress,
    pub(super) cancel: CancellationToken,
}

impl Session {
    pub(super) fn new(global: Global, progress: Progress, cancel: CancellationToken) -> Self {
        Self { global, progress, cancel }
    }

    /// Whether nothing but results and errors is to be told.
    pub(super) fn is_quiet(&self) -> bool {
        self.global.quiet
    }

    /// The configuration, which has to be there and have rules.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        self.global.config_with_rules(self.config_file()?).map_err(Failure::usage)
    }

    /// The file that the configuration is in.
    pub(super) fn config_file(&self) -> Result<&Path, Failure> {
        self.global.config.as_deref().ok_or_else(|| {
            Failure::usage("no configuration: name a file with --config or REGFERRY_CONFIG (see config.example.toml)")
        })
    }

    /// The configuration has to name a cluster.
    pub(super) fn check_cluster(&self, config: &Config) -> Result<(), Failure> {
        if config.cluster.is_none() {
            let file = self.config_file()?.display();
            return Err(Failure::usage(format!(
                "{file}: it has no [cluster]: name its NATS there (see config.example.toml)"
            )));
        }
        Ok(())
    }

    /// Where the daemon's configuration comes from: the file, and `over` it what the command line says.
    pub(super) fn source(
        &self,
        over: impl Fn(&mut Config) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<Source, Failure> {
        let (global, file) = (self.global.clone(), self.config_file()?.to_owned());
        let load = {
            let file = file.clone();
            move || {
                let mut config = global.config_with_rules(&file)?;
                over(&mut config)?;
                Ok(config)
            }
        };
        Ok(Source { file, load: Box::new(load), again: Arc::default() })
    }

    /// The configuration if one is named; else what holds without one.
    pub(super) fn config_or_default(&self) -> Result<Config, Failure> {
        let config = match &self.global.config {
            Some(file) => Config::load(file).map_err(Failure::usage)?,
            None => Config::default(),
        };
        Ok(self.global.over(config))
    }

    /// The program, built for this configuration.
    pub(super) fn app(&self, config: Config, log: Log) -> Result<App, Failure> {
        self.built(App::build, config, log)
    }

    /// The same as one of the configuration's cluster, if it names one.
    pub(super) fn member(&self, config: Config, log: Log) -> Result<App, Failure> {
        self.built(App::build_member, config, log)
    }

    fn built(&self, build: Build, config: Config, log: Log) -> Result<App, Failure> {
        let listeners = [log.observer()].into_iter().chain(self.progress.observer()).collect();
        let (logins, certificates) = (DockerConfigFiles::from_environment(), CertificateFolders::from_environment());
        build(config, logins, certificates, listeners).map_err(Failure::failed)
    }

    /// A repository to look at, for commands that change nothing.
    pub(super) fn store(&self, location: &Location) -> Result<Store, Failure> {
        let app = self.app(self.config_or_default()?, Log::BesideResults)?;
        Ok(app.engine().source(location)?)
    }

    /// Waits for work that ends by itself when it is cancelled; when it does not end within the grace, it is dropped.
    pub(super) async fn within_grace<T>(&self, app: &App, work: impl Future<Output = T>) -> Option<T> {
        let grace_over = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(app.shutdown_grace()).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = grace_over => {
                tracing::warn!("the grace of {:?} ended before the work did: the rest is dropped", app.shutdown_grace());
                None
            }
        }
    }

    /// Waits for work that only looks: a stop drops it at once.
    pub(super) async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.cancel.run_until_cancelled(work).await
    }
}
