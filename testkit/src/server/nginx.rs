//! Debian's `nginx`, as it stands before most registries.

mod config;

use std::fs;
use std::path::Path;

use super::process::{Process, Program, SELDOM};
use super::tls::{self, ClientCertificate};

pub use config::NginxBuilder;

use config::Options;

const PROGRAM: Program = Program {
    // Not in everybody's PATH.
    name: "/usr/sbin/nginx",
    package: "nginx-light",
    // Without -e it would write to the machine's own log before it has read where its own lies.
    arguments: |config, _| vec!["-e".into(), "stderr".into(), "-c".into(), config.into()],
    listening: "using the \"",
    gogc: SELDOM,
};

/// An `nginx` process before a registry, on a loopback port. Killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    tls: Option<tls::Files>,
}

impl Nginx {
    /// Options for one that passes all requests on to `upstream`, a `host:port` without TLS.
    #[must_use]
    pub fn before(upstream: &str) -> NginxBuilder {
        NginxBuilder::new(upstream)
    }

    fn start_with(options: Options) -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let tls = options.tls.then(|| tls::write(home.path()));
        let folder = home.path().to_owned();
        let process = Process::start(&PROGRAM, home, |host| options.render(host, &folder, tls.as_ref()));
        Self { process, tls }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> &str {
        self.process.host()
    }

    /// The authority (PEM) that signed its certificate, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// What a client has to show it, if it asks for that, if it speaks TLS.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref().map(|files| &files.client)
    }

    /// The requests that it has answered, each as `<method> <path> <status>`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.process.home().join(config::REQUESTS)).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}
