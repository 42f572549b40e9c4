//! Debian's `tinyproxy`, as it stands between an office and the world.

use super::process::{Process, Program, SELDOM};

const PROGRAM: Program = Program {
    name: "tinyproxy",
    package: "tinyproxy-bin",
    arguments: |config, _| vec!["-d".into(), "-c".into(), config.into()],
    listening: "Accepting connections",
    gogc: SELDOM,
};

/// A `tinyproxy` process on a loopback port. Killed when dropped.
#[derive(Debug)]
pub struct Tinyproxy {
    process: Process,
}

impl Tinyproxy {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with more lines of configuration, as `BasicAuth user password`.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start_with(lines: &str) -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        Self { process: Process::start(&PROGRAM, home, |host| config(host) + lines + "\n") }
    }

    /// `127.0.0.1:<port>`
    #[must_use]
    pub fn host(&self) -> &str {
        self.process.host()
    }

    /// Its URL, as the variables of the environment want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.process.host())
    }

    /// The request lines that it was sent: `GET http://… HTTP/1.1`, `CONNECT host:port HTTP/1.1`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = self.process.log();
        let lines = log.lines().filter_map(|line| line.split_once("Request (")?.1.split_once(": "));
        // The first was made by who waited for its start.
        lines.map(|(_, request)| request.to_owned()).filter(|request| !request.contains(" / ")).collect()
    }
}

fn config(host: &str) -> String {
    let (address, port) = host.split_once(':').expect("it has a port");
    format!("Listen {address}\nPort {port}\nAllow {address}\nTimeout 60\nMaxClients 100\nLogLevel Info\n")
}
