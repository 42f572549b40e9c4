//! Real registries, as processes: Debian's `docker-registry`, and its `skopeo` to look at them from
//! outside.

mod config;
mod skopeo;
mod tls;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use config::Builder;
pub use skopeo::skopeo;
pub use tls::unknown_authority;

use config::Options;

const PROGRAM: &str = "docker-registry";
const START_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
// Between finding a free port and the server's taking it, another test may be quicker.
const ATTEMPTS: usize = 5;

/// A `docker-registry` process over a directory of its own, on a loopback port. Killed when
/// dropped, its storage with it.
///
/// The calls block the thread for as long as the process takes to start, some tens of milliseconds.
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
    host: String,
    process: Option<Child>,
    options: Options,
    tls: Option<tls::Files>,
    home: TempDir,
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
        let mut server = Self { host: free_host(), process: None, options, tls, home };
        for _ in 0..ATTEMPTS {
            match server.launch() {
                Ok(()) => return server,
                Err(log) if log.contains("address already in use") => {
                    server.host = free_host();
                }
                Err(log) => panic!("{PROGRAM} did not start on {}:\n{log}", server.host),
            }
        }
        panic!("{PROGRAM} found no free port in {ATTEMPTS} attempts")
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The root directory of its filesystem storage.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.home.path().join("storage")
    }

    /// The authority (PEM) that signed its certificate, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// Everything it logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Kills the process; the storage stays. Does nothing if it is stopped already.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It fails only for a process that has ended by itself, which is as good.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it, and starts it on the same port and storage. Upload sessions do not survive: their
    /// URLs are signed with a secret that every process makes up for itself.
    ///
    /// # Panics
    /// If it does not start, for instance because another process took the port.
    pub fn restart(&mut self) {
        self.stop();
        if let Err(log) = self.launch() {
            panic!("{PROGRAM} did not start again on {}:\n{log}", self.host);
        }
    }

    // The error is what it logged before it ended.
    fn launch(&mut self) -> Result<(), String> {
        let config = self.home.path().join("config.yml");
        fs::write(&config, self.options.render(&self.host, &self.storage(), self.tls.as_ref()))
            .expect("the home is writable");
        let log = File::create(self.log_path()).expect("the home is writable");
        self.process = Some(spawn(&config, log));
        self.wait_until_ready()
    }

    // That something answers is no proof: with two processes after one port it may be the other.
    // The log tells who has it.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if self.has_ended() {
                self.process = None;
                return Err(self.log());
            }
            if self.log().contains("listening on") && answers(&self.host) {
                return Ok(());
            }
            sleep(PAUSE);
        }
        self.stop();
        Err(format!("no answer in {START_LIMIT:?}\n{}", self.log()))
    }

    fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut().expect("it was spawned just now");
        process.try_wait().expect("a child can be waited for").is_some()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

impl Drop for DistributionServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(config: &Path, log: File) -> Child {
    let errors = log.try_clone().expect("a file handle can be cloned");
    Command::new(PROGRAM)
        .arg("serve")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("{}", not_run(PROGRAM, "docker-registry", &error)))
}

// What to do when a program cannot be run.
fn not_run(program: &str, package: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{program} is not installed: apt-get install {package}"),
        _ => format!("{program} cannot be run: {error}"),
    }
}

fn free_host() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}

// With TLS it answers 400 in plain text, which is as good a sign.
fn answers(host: &str) -> bool {
    ping(host).is_ok_and(|answer| answer.starts_with(b"HTTP/1."))
}

fn ping(host: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(host)?;
    socket.set_read_timeout(Some(START_LIMIT))?;
    write!(socket, "GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(answer)
}
