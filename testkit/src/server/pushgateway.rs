//! Debian's `prometheus-pushgateway`.

use super::process::{Process, Program, SELDOM};

const PROGRAM: Program = Program {
    name: "prometheus-pushgateway",
    package: "prometheus-pushgateway",
    arguments: |_, host| vec![format!("--web.listen-address={host}").into()],
    listening: "Listening on",
    gogc: SELDOM,
};

/// A `prometheus-pushgateway` process that keeps what is pushed in memory, on a loopback port. Killed when dropped.
#[derive(Debug)]
pub struct Pushgateway {
    process: Process,
}

impl Pushgateway {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        // It takes no configuration.
        Self { process: Process::start(&PROGRAM, home, |_| String::new()) }
    }

    /// `127.0.0.1:<port>`
    #[must_use]
    pub fn host(&self) -> &str {
        self.process.host()
    }

    /// Kills it; what was pushed is forgotten.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Stops it, and starts it on the same port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.process.restart();
    }
}
