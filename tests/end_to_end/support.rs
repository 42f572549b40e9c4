//! The program as a process: started in a home of its own, watched, and ended.

use std::fs::{self, File, Permissions};
use std::io::PipeWriter;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Whatever takes longer hangs. The slowest call that ends by itself gives a registry up after 15 s.
const LIMIT: Duration = Duration::from_secs(120);

/// How often something is looked at that cannot tell by itself.
const PAUSE: Duration = Duration::from_millis(10);

/// A call of the program, in the making. It sees nothing of the machine's own configuration and credentials: its home
/// and working directory is an empty one.
pub(crate) struct Ferry {
    command: Command,
    home: TempDir,
    stdin: Option<File>,
    stderr: Option<PipeWriter>,
}

impl Ferry {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_regferry"));
        command.args(arguments).current_dir(home.path()).env_clear().env("HOME", home.path());
        // What programs and certificates need of the machine.
        for name in ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Self { command, home, stdin: None, stderr: None }
    }

    /// Names a configuration of this text with `--config`.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.command.args(["--config", "regferry.toml"]);
        self.file("regferry.toml", text)
    }

    /// Puts a file into the home.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).expect("the home is writable");
        self
    }

    /// Its home and working directory.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Puts a shell script where programs are looked for.
    pub(crate) fn program(self, name: &str, script: &str) -> Self {
        let folder = self.home.path().join("bin");
        let path = std::env::var("PATH").expect("programs are found by PATH");
        let ferry = self.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).expect("the script is ours");
        ferry.env("PATH", &format!("{}:{path}", folder.display()))
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets it read this from stdin.
    pub(crate) fn stdin(self, text: &str) -> Self {
        let ferry = self.file("stdin", text);
        let path = ferry.home.path().join("stdin");
        ferry.stdin_from(&path)
    }

    /// Lets it read a file from stdin.
    pub(crate) fn stdin_from(self, path: &Path) -> Self {
        Self { stdin: Some(File::open(path).expect("it was written")), ..self }
    }

    /// Writes stderr into a pipe, for what says too much to be kept: nothing of it is seen by [`Running::stderr`].
    pub(crate) fn stderr_into(mut self, pipe: PipeWriter) -> Self {
        self.stderr = Some(pipe);
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Finished {
        self.spawn().ended().await
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Running {
        let output = |name: &str| File::create(self.home.path().join(name)).expect("the home is writable");
        let (stdout, stderr) = (output("stdout"), output("stderr"));
        let stderr = self.stderr.map_or_else(|| Stdio::from(stderr), Stdio::from);
        let stdin = self.stdin.map_or_else(Stdio::null, Stdio::from);
        self.command.stdin(stdin).stdout(stdout).stderr(stderr).kill_on_drop(true);
        let child = self.command.spawn().expect("the program was built with its tests");
        Running { child, home: self.home }
    }
}

/// The program while it runs. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    home: TempDir,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Its home and working directory.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.home.path().join("stderr")).expect("stderr is a file")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own kill is everywhere; a program of that name is not.
        let status = std::process::Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.pid().to_string()])
            .status()
            .expect("there is a shell");
        assert!(status.success(), "SIG{name}: {status}\n{}", self.stderr());
    }

    /// Ends it without asking, by SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Finished {
        let Ok(status) = timeout(LIMIT, self.child.wait()).await else {
            panic!("it did not end in {LIMIT:?}\n{}", self.stderr());
        };
        Finished {
            code: status.expect("a child can be waited for").code(),
            stdout: fs::read(self.home.path().join("stdout")).expect("stdout is a file"),
            stderr: self.stderr(),
        }
    }
}

/// What became of a call.
pub(crate) struct Finished {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Finished {
    /// What it printed, if it did so with code 0 and without a word on stderr.
    pub(crate) fn success(&self) -> String {
        let text = self.text();
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{text}");
        text
    }

    /// What it told, if it ended with this code and told one error, beside the notes of what was tried again.
    pub(crate) fn failure(&self, code: i32) -> String {
        let told = self.told();
        assert_eq!((self.code, told.len()), (Some(code), 1), "{}", self.stderr);
        told[0].to_owned()
    }

    /// The lines on stderr, without those that say what was tried again. On stdout there has to be nothing.
    pub(crate) fn told(&self) -> Vec<&str> {
        assert_eq!(self.text(), "", "{}", self.stderr);
        self.stderr.lines().filter(|line| !line.contains(" WARN trying again ")).collect()
    }

    /// What it printed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("results are UTF-8")
    }

    /// The JSON that it printed.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{error}: code {:?}\n{}\n{}", self.code, self.text(), self.stderr))
    }
}

/// A call at a terminal, at which this is typed: its exit code, and all that is shown.
pub(crate) async fn at_a_terminal(arguments: &str, typed: &str) -> (i32, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_regferry"));
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script is part of Debian");
    let mut stdin = script.stdin.take().expect("it is piped");
    stdin.write_all(typed.as_bytes()).await.expect("it reads");
    let ended = script.wait_with_output().await.expect("it ends");
    drop(stdin);
    (ended.status.code().expect("no signal ended it"), String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// Waits until something is there.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
        sleep(PAUSE).await;
    }
}
