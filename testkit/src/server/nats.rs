//! Debian's `nats-server`, with JetStream: alone, and three of them that keep their streams together.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use url::Url;

use super::process::{AS_EVER, Process, Program, SELDOM};
use super::tls::{self, ClientCertificate};

const PROGRAM: Program = Program {
    name: "nats-server",
    package: "nats-server",
    arguments: |config, _| vec!["--config".into(), config.into()],
    listening: "Server is ready",
    gogc: SELDOM,
};

/// One that is measured.
const MONITORED: Program = Program { gogc: AS_EVER, ..PROGRAM };

/// A `nats-server` process whose streams are files in a directory of its own, on a loopback port. Killed when dropped,
/// its streams with it.
///
/// ```no_run
/// use testkit::NatsServer;
///
/// let mut server = NatsServer::start();
/// let url = server.url();
/// server.stop();
/// server.restart();
/// assert_eq!(server.url(), url, "the same port, and the same streams");
/// ```
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    tls: Option<tls::Files>,
}

/// Options for a [`NatsServer`].
#[derive(Clone, Debug, Default)]
pub struct NatsBuilder {
    tls: bool,
    monitored: bool,
    lines: String,
}

impl NatsServer {
    /// Starts one that everybody may use, and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts with options.
    #[must_use]
    pub fn builder() -> NatsBuilder {
        NatsBuilder::default()
    }

    /// `127.0.0.1:<port>`
    #[must_use]
    pub fn host(&self) -> &str {
        self.process.host()
    }

    /// `nats://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.host())
    }

    /// The authority (PEM) that signed its certificate, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// What it wants to be shown by its clients, if it speaks TLS.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref().map(|files| &files.client)
    }

    /// Everything it logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process' id.
    ///
    /// # Panics
    /// If it is stopped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The folder with its streams.
    #[must_use]
    pub fn streams(&self) -> PathBuf {
        streams(self.process.home())
    }

    /// Where it tells how it stands with it, as `/jsz` and `/varz`, if it was started to do so.
    #[must_use]
    pub fn monitor(&self) -> Option<Url> {
        let log = self.log();
        let host = log.lines().find_map(|line| line.split_once("Starting http monitor on "))?.1.trim();
        Url::parse(&format!("http://{host}/")).ok()
    }

    /// Kills the process (SIGKILL); its streams stay. Does nothing if it is stopped already.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Kills it, and starts it on the same port and streams.
    ///
    /// # Panics
    /// If it does not start, for instance because another process keeps the port.
    pub fn restart(&mut self) {
        self.process.restart();
    }

    /// Kills it, and starts it on the same port without the streams that it had.
    ///
    /// # Panics
    /// If it does not start, as [`restart`](Self::restart).
    pub fn restart_empty(&mut self) {
        self.stop();
        fs::remove_dir_all(self.streams()).expect("the home is writable");
        self.restart();
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

impl NatsBuilder {
    /// It speaks TLS alone, and wants a certificate of its clients.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// It tells over HTTP how it stands with it, and takes memory as a server elsewhere does.
    #[must_use]
    pub fn monitored(self) -> Self {
        Self { monitored: true, ..self.lines("http: \"127.0.0.1:-1\"") }
    }

    /// More lines of configuration, as `authorization { user: bot, password: secret }`.
    #[must_use]
    pub fn lines(self, lines: &str) -> Self {
        Self { lines: format!("{}{lines}\n", self.lines), ..self }
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start(self) -> NatsServer {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let tls = self.tls.then(|| tls::write(home.path()));
        let more = self.lines + &tls.as_ref().map(tls_lines).unwrap_or_default();
        let folder = home.path().to_owned();
        let program = if self.monitored { &MONITORED } else { &PROGRAM };
        let process = Process::start(program, home, |host| config(host, &folder) + &more);
        NatsServer { process, tls }
    }
}

/// Three `nats-server` processes that keep their streams together, on loopback ports. Killed when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: [NatsServer; 3],
}

impl NatsCluster {
    /// Starts them, and waits until they have found each other and agreed on a leader.
    ///
    /// # Panics
    /// If the program is not installed, or they do not find each other.
    #[must_use]
    pub fn start() -> Self {
        let started = Process::start_together(&PROGRAM, |place, home, hosts: &[(String, String); 3]| {
            let routes: Vec<String> = hosts.iter().map(|(_, route)| format!("\"nats://{route}\"")).collect();
            let (host, route) = &hosts[place];
            let cluster = format!("cluster {{ name: kit, listen: \"{route}\", routes: [{}] }}\n", routes.join(", "));
            format!("server_name: \"kit-{place}\"\n{}{cluster}", config(host, home))
        });
        let cluster = Self { servers: started.map(|process| NatsServer { process, tls: None }) };
        cluster.wait_for_a_leader();
        cluster
    }

    /// The URLs of all of them.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::url).collect()
    }

    /// One of them, to be stopped and restarted.
    pub fn server(&mut self, place: usize) -> &mut NatsServer {
        &mut self.servers[place]
    }

    fn wait_for_a_leader(&self) {
        const LIMIT: Duration = Duration::from_secs(30);
        let deadline = Instant::now() + LIMIT;
        while !self.servers.iter().all(|server| server.log().contains("metadata leader")) {
            if Instant::now() > deadline {
                let logs: Vec<String> = self.servers.iter().map(NatsServer::log).collect();
                panic!("three NATS servers found no leader in {LIMIT:?}:\n{}", logs.join("\n"));
            }
            sleep(Duration::from_millis(20));
        }
    }
}

fn config(host: &str, home: &Path) -> String {
    let store = streams(home);
    fs::create_dir_all(&store).expect("the home is writable");
    format!("listen: \"{host}\"\njetstream {{ store_dir: \"{}\" }}\n", store.display())
}

fn streams(home: &Path) -> PathBuf {
    home.join("streams")
}

fn tls_lines(files: &tls::Files) -> String {
    let (certificate, key, authority) = (files.certificate.display(), files.key.display(), files.authority.display());
    format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{authority}\", verify: true }}\n")
}
