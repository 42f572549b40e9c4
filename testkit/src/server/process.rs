//! A server as a process: started on a free loopback port, watched by its log, ended by its id.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::not_run;

const START_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
// Between finding a free port and the server's taking it, another test may be quicker.
const ATTEMPTS: usize = 5;

/// What is to be known of a program to run it.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// Debian's package.
    pub(super) package: &'static str,
    /// Its arguments, by the path of its configuration, which lies in its home, and its `host:port`.
    pub(super) arguments: fn(&Path, &str) -> Vec<OsString>,
    /// What it logs once it has the port.
    pub(super) listening: &'static str,
    /// When Go collects garbage: [`SELDOM`] or, as it would by itself, [`AS_EVER`].
    pub(super) gogc: &'static str,
}

/// Servers in Go collect garbage all the time while their heap is as small as a test's: half of what docker-registry would
/// cost.
pub(super) const SELDOM: &str = "800";

/// For servers whose memory is measured.
pub(super) const AS_EVER: &str = "100";

/// A program that serves a port, in a home of its own. Killed when dropped, its home with it.
#[derive(Debug)]
pub(super) struct Process {
    program: &'static Program,
    host: String,
    child: Option<Child>,
    home: TempDir,
}

impl Process {
    /// Starts the program on a free port, with the configuration that `configure` writes for it.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    pub(super) fn start(program: &'static Program, home: TempDir, configure: impl Fn(&str) -> String) -> Self {
        let mut process = Self { program, host: free_host(), child: None, home };
        for _ in 0..ATTEMPTS {
            fs::write(process.config(), configure(&process.host)).expect("the home is writable");
            match process.launch() {
                Ok(()) => return process,
                Err(log) if lost_the_port(&log) => process.host = free_host(),
                Err(log) => process.not_started(&log),
            }
        }
        panic!("{} found no free port in {ATTEMPTS} attempts", program.name)
    }

    /// Starts several that know of each other, each on a free port; `configure` writes all of their configurations, by
    /// the `host:port` that each has for itself and a second one that it has for the others.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    pub(super) fn start_together<const N: usize>(
        program: &'static Program,
        configure: impl Fn(usize, &Path, &[(String, String); N]) -> String,
    ) -> [Self; N] {
        for _ in 0..ATTEMPTS {
            let hosts = std::array::from_fn(|_| (free_host(), free_host()));
            let mut started = Vec::with_capacity(N);
            let lost = (0..N).any(|place| {
                let home = tempfile::tempdir().expect("the temporary directory is writable");
                let mut process = Self { program, host: hosts[place].0.clone(), child: None, home };
                let config = configure(place, process.home(), &hosts);
                fs::write(process.config(), config).expect("the home is writable");
                match process.launch() {
                    Ok(()) => started.push(process),
                    Err(log) if lost_the_port(&log) => return true,
                    Err(log) => process.not_started(&log),
                }
                false
            });
            if !lost {
                return started.try_into().expect("all of them have started");
            }
        }
        panic!("{} found no free ports in {ATTEMPTS} attempts", program.name)
    }

    fn not_started(&self, log: &str) -> ! {
        panic!("{} did not start on {}:\n{log}", self.program.name, self.host)
    }

    /// `127.0.0.1:<port>`
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Everything it logged since it was last started.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Kills it, if it runs.
    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails only for a process that has ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it, and starts it on the same port.
    ///
    /// # Panics
    /// If it does not start, for instance because another process keeps the port.
    pub(super) fn restart(&mut self) {
        self.stop();
        let deadline = Instant::now() + START_LIMIT;
        while let Err(log) = self.launch() {
            // A connection of another test may have the port for a moment.
            let may_pass = lost_the_port(&log) && Instant::now() < deadline;
            assert!(may_pass, "{} did not start again on {}:\n{log}", self.program.name, self.host);
        }
    }

    /// # Panics
    /// If it does not run.
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends it a signal by its name.
    ///
    /// # Panics
    /// If it does not run.
    pub(super) fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        // The shell's own kill is everywhere; a program of that name is not.
        let killed = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id]).status();
        assert!(killed.expect("there is a shell").success(), "SIG{name} did not reach {}", self.program.name);
    }

    // The error is what it logged before it ended.
    fn launch(&mut self) -> Result<(), String> {
        let log = File::create(self.log_path()).expect("the home is writable");
        self.child = Some(self.spawn(log));
        self.wait_until_ready()
    }

    fn spawn(&self, log: File) -> Child {
        let errors = log.try_clone().expect("a file handle can be cloned");
        Command::new(self.program.name)
            .args((self.program.arguments)(&self.config(), &self.host))
            .env("GOGC", self.program.gogc)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{}", not_run(self.program.name, self.program.package, &error)))
    }

    // That something answers is no proof: with two processes after one port it may be the other.
    // The log tells who has it.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if self.has_ended() {
                self.child = None;
                return Err(self.log());
            }
            if self.log().contains(self.program.listening) && answers(&self.host) {
                return Ok(());
            }
            sleep(PAUSE);
        }
        self.stop();
        Err(format!("no answer in {START_LIMIT:?}\n{}", self.log()))
    }

    fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was spawned just now");
        child.try_wait().expect("a child can be waited for").is_some()
    }

    fn config(&self) -> PathBuf {
        self.home().join("config")
    }

    fn log_path(&self) -> PathBuf {
        self.home().join("log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_host() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}

fn lost_the_port(log: &str) -> bool {
    log.to_lowercase().contains("address already in use")
}

// HTTP, and what a NATS server says to whoever connects.
const ANSWERS: [&[u8]; 2] = [b"HTTP/1.", b"INFO "];

// With TLS it answers 400 in plain text, which is as good a sign.
fn answers(host: &str) -> bool {
    ping(host).is_ok_and(|answer| ANSWERS.iter().any(|beginning| answer.starts_with(beginning)))
}

fn ping(host: &str) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(host)?;
    socket.set_read_timeout(Some(START_LIMIT))?;
    write!(socket, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(answer)
}
