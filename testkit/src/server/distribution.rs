//! Debian's `docker-registry`.

mod config;

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{Process, Program, SELDOM};
use super::tls;

pub use config::Builder;

use config::Options;

const PROGRAM: Program = Program {
    name: "docker-registry",
    package: "docker-registry",
    arguments: |config, _| vec!["serve".into(), config.into()],
    listening: "listening on",
    gogc: SELDOM,
};

/// A `docker-registry` process over a directory of its own, on a loopback port. Killed when
/// dropped, its storage with it.
///
/// ```no_run
/// use testkit::DistributionServer;
///
/// let mut server = DistributionServer::start();
/// let host = server.host().to_owned();
/// server.stop();
/// server.restart();
/// assert_eq!(server.host(), host, "the same port, and the same images");
/// ```
#[derive(Debug)]
pub struct DistributionServer {
    process: Process,
    tls: Option<tls::Files>,
}

impl DistributionServer {
    /// Starts a registry that allows deleting and foreign layers, and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts with options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn start_with(options: Options) -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let tls = options.tls.then(|| tls::write(home.path()));
        for (name, text) in options.auth.files() {
            fs::write(home.path().join(name), text).expect("the home is writable");
        }
        let folder = home.path().to_owned();
        let process = Process::start(&PROGRAM, home, |host| options.render(host, &folder, tls.as_ref()));
        Self { process, tls }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> &str {
        self.process.host()
    }

    /// The root directory of its filesystem storage.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        config::storage(self.process.home())
    }

    /// The authority (PEM) that signed its certificate, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// Everything it logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills the process; the storage stays. Does nothing if it is stopped already.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Stops it, and starts it on the same port and storage. Upload sessions do not survive: their
    /// URLs are signed with a secret that every process makes up for itself.
    ///
    /// # Panics
    /// If it does not start, for instance because another process keeps the port.
    pub fn restart(&mut self) {
        self.process.restart();
    }

    /// Lets the process stand still: its connections stay open, and nothing is answered.
    ///
    /// # Panics
    /// If it is stopped.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets a paused process go on.
    ///
    /// # Panics
    /// If it is stopped.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }
}
