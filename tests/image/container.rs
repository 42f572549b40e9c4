//! The image in a container, by podman: with nothing to write to, no capability, and this machine's network.

use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::process::Command;

/// What `make image` builds.
const IMAGE: &str = "localhost/regferry:latest";

/// As tight as a container gets: not even podman's own tmpfs on /tmp and /run.
const TIGHT: [&str; 10] = [
    "--runtime=/usr/sbin/runc",
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    // Without these podman asks for more than a machine that is a container itself may give.
    "--ulimit=nofile=1024:4096",
    "--ulimit=nproc=1024:1024",
    "--log-driver=k8s-file",
    "--pull=never",
];

/// Above the default `shutdown_grace`, as orchestrators are told to wait.
const PATIENCE: &str = "--time=40";

/// What podman says of the image.
pub(crate) async fn inspect_image() -> Value {
    let told = podman(&["image", "inspect", IMAGE]).await;
    serde_json::from_str::<Value>(&told).expect("podman inspects in JSON")[0].take()
}

/// Runs the image to its end. `options` are podman's.
pub(crate) async fn run(options: &[&str], arguments: &[&str]) -> Finished {
    let container = Container::create(options, arguments).await;
    let output = output(&["start", "--attach", &container.name]).await;
    Finished { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// How a container ended.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

/// A container with a name of its own, removed when dropped.
pub(crate) struct Container {
    name: String,
}

impl Container {
    pub(crate) async fn create(options: &[&str], arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("regferry-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let named = ["create", "--name", &name];
        podman(&[&named, &TIGHT[..], options, &[IMAGE], arguments].concat()).await;
        Self { name }
    }

    pub(crate) async fn start(&self) {
        podman(&["start", &self.name]).await;
    }

    /// All its files, as `tar` lists them. Only before it is started: a runtime adds its own.
    pub(crate) async fn files(&self) -> Vec<String> {
        let archive = tempfile::NamedTempFile::new().expect("the temporary directory is writable");
        let path = archive.path().to_str().expect("the temporary directory has a plain name");
        podman(&["export", "--output", path, &self.name]).await;
        let listing = Command::new("tar").args(["-tf", path]).output().await.expect("there is a tar");
        text(&listing.stdout).lines().map(str::to_owned).collect()
    }

    /// Runs the image's own health check.
    pub(crate) async fn healthcheck(&self) -> Result<(), String> {
        let output = output(&["healthcheck", "run", &self.name]).await;
        output.status.success().then_some(()).ok_or_else(|| text(&output.stdout) + &text(&output.stderr))
    }

    /// Sends SIGTERM, and SIGKILL when it takes too long; tells the exit code.
    pub(crate) async fn stop(&self) -> i32 {
        podman(&["stop", PATIENCE, &self.name]).await;
        let code = podman(&["inspect", "--format", "{{.State.ExitCode}}", &self.name]).await;
        code.trim().parse().expect("an exit code is a number")
    }

    pub(crate) async fn log(&self) -> String {
        let output = output(&["logs", &self.name]).await;
        text(&output.stdout) + &text(&output.stderr)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let remove = ["rm", "--force", "--time=0", &self.name];
        // If this fails, there is nobody to tell: the test may be panicking.
        let _ = std::process::Command::new("podman").args(remove).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

async fn podman(arguments: &[&str]) -> String {
    let output = output(arguments).await;
    assert!(output.status.success(), "podman {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

async fn output(arguments: &[&str]) -> Output {
    let mut command = Command::new("podman");
    // Health is looked at when a test asks for it, not by a timer of systemd's.
    command.args(arguments).env("DISABLE_HC_SYSTEMD", "true").stdin(Stdio::null());
    command.output().await.unwrap_or_else(|error| panic!("podman (scripts/install-image-tools): {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
