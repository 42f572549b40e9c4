//! What brings a job's metrics to a Pushgateway, run as Kubernetes would: against a real one.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use testkit::server::{Prometheus, Pushgateway};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::alerts::job_alert;
use crate::files::items;
use crate::kubernetes;
use crate::manifests::{Manifests, text};
use crate::support::{Ferry, Finished, until};

/// When the rule last succeeded, in an earlier job.
const BEFORE: &str = "\
regferry_build_info{version=\"0.0.1\"} 1
regferry_rule_last_success_timestamp_seconds{rule=\"hello\"} 1.764e+09
regferry_rule_last_success_timestamp_seconds{rule=\"removed\"} 1.763e+09
";

const LAST_SUCCESS: &str = "regferry_rule_last_success_timestamp_seconds{instance=\"\",job=\"mirror\",rule=\"hello\"}";

/// What the pod is given for pushing.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_job_that_failed_shows_it_and_when_it_last_succeeded() {
    let gateway = Pushgateway::start();
    Pod::new(gateway.host()).job(async |metrics| write(metrics, BEFORE)).await;
    assert_eq!(value(&gateway, LAST_SUCCESS).await, Some(1.764e9));

    Pod::new(gateway.host())
        .job(async |metrics| {
            fails(metrics).await;
        })
        .await;

    assert_eq!(value(&gateway, LAST_SUCCESS).await, Some(1.764e9));
    let failed = "regferry_rule_runs_total{instance=\"\",job=\"mirror\",outcome=\"failure\",rule=\"hello\"}";
    assert_eq!(value(&gateway, failed).await, Some(1.0));
    // What the job no longer knows is gone.
    assert!(!metrics(&gateway).await.contains("removed"));
}

#[tokio::test]
async fn the_first_job_of_all_warns_of_nothing_and_shows_that_its_rule_never_succeeded() {
    let gateway = Pushgateway::start();
    Pod::new(gateway.host())
        .job(async |metrics| {
            let log = fails(metrics).await.stderr;
            assert!(!log.contains("metrics file"), "{log}");
        })
        .await;
    assert_eq!(value(&gateway, LAST_SUCCESS).await, Some(0.0));
}

#[tokio::test]
async fn a_rule_that_succeeded_now_did_so_now() {
    let gateway = Pushgateway::start();
    Pod::new(gateway.host()).job(async |metrics| write(metrics, BEFORE)).await;
    Pod::new(gateway.host()).job(async |metrics| write(metrics, &BEFORE.replace("1.764e+09", "1765000000.25"))).await;
    assert_eq!(value(&gateway, LAST_SUCCESS).await, Some(1_765_000_000.25));
}

#[tokio::test]
async fn a_job_that_did_nothing_pushes_nothing() {
    let gateway = Pushgateway::start();
    Pod::new(gateway.host()).job(async |metrics| write(metrics, BEFORE)).await;
    let before = metrics(&gateway).await;

    Pod::new(gateway.host()).job(async |_| {}).await;

    let of_pushes = |metrics: &str| -> Vec<String> {
        metrics.lines().filter(|line| line.contains("job=\"mirror\"")).map(str::to_owned).collect()
    };
    assert_eq!(of_pushes(&metrics(&gateway).await), of_pushes(&before));
}

#[tokio::test]
async fn a_pushgateway_that_comes_only_after_the_job_has_ended_is_waited_for() {
    let mut gateway = Pushgateway::start();
    gateway.stop();
    let pod = Pod::new(gateway.host());
    tokio::join!(pod.job(async |metrics| write(metrics, BEFORE)), async {
        // By then it has been refused.
        sleep(Duration::from_secs(1)).await;
        gateway.restart();
    });
    assert_eq!(value(&gateway, LAST_SUCCESS).await, Some(1.764e9));
}

/// It would take the zero of a rule that failed for when it last succeeded.
#[tokio::test]
async fn nothing_is_pushed_to_a_pushgateway_that_does_not_tell_what_it_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let write = async |path: &Path| write(path, &BEFORE.replace("1.764e+09", "0"));
    let (asked, ()) = tokio::join!(answer_not_found(&listener), Pod::new(&address).job(write));
    assert!(asked.starts_with("GET /metrics "), "{asked}");
    // The sidecar has ended: what it has tried else would wait here.
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
}

/// Tells what was asked.
async fn answer_not_found(listener: &TcpListener) -> String {
    let (socket, _) = listener.accept().await.unwrap();
    let mut socket = BufReader::new(socket);
    let (mut first, mut line) = (String::new(), String::new());
    socket.read_line(&mut first).await.unwrap();
    while line != "\r\n" {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
    }
    socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
    first
}

#[tokio::test]
async fn prometheus_knows_by_the_alerts_when_the_job_last_pushed() {
    let gateway = Pushgateway::start();
    Pod::new(gateway.host()).job(async |metrics| write(metrics, BEFORE)).await;
    // Somebody else's.
    curl(&gateway, "/job/backup", &["--data-binary", "backup_bytes 1\n"]).await;
    let configuration = format!(
        "scrape_configs: [{{job_name: gateway, honor_labels: true, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]",
        gateway.host()
    );
    let prometheus = Prometheus::start(&configuration);

    let age = job_alert("RegferryJobNotRun");
    let (age, _) = age.split_once(" > ").expect("it compares an age");
    let ages = until("the age of the last push", async || {
        let data = prometheus.ask("query", &[("query", age)]).await;
        items(&data["result"]).next().is_some().then(|| data["result"].clone())
    });
    let labels: Vec<_> = items(&ages.await).map(|found| found["metric"].clone()).collect();
    assert_eq!(labels, [json!({"job": "mirror"})], "nobody else's push is asked for");
    let unknown = prometheus.ask("query", &[("query", &job_alert("RegferryJobUnknown"))]).await;
    assert_eq!(unknown["result"], json!([]));
}

#[tokio::test]
async fn a_pushgateway_that_is_not_there_stops_no_job() {
    let mut ended = None;
    Pod::new("127.0.0.1:1")
        .job(async |metrics| {
            write(metrics, BEFORE);
            ended = Some(Instant::now());
        })
        .await;
    // It is given up before the pod would be killed.
    assert!(ended.expect("the job has run").elapsed() < PATIENCE);
}

/// A run whose only rule fails, as the job would make it.
async fn fails(metrics: &Path) -> Finished {
    // Nobody listens there.
    let config = "[[rules]]\nname = 'hello'\nsource = '127.0.0.1:1/hello'\ntarget = '127.0.0.1:1/other'\n\
        [registries.'127.0.0.1:1']\nretry = { max_attempts = 1 }";
    let file = format!("--metrics-file={}", metrics.display());
    let finished = Ferry::new(&["sync", &file]).config(config).run().await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    finished
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is writable");
}

/// The containers of one job, with a folder that they share.
struct Pod {
    manifests: Manifests,
    address: String,
    folder: TempDir,
}

impl Pod {
    /// One that pushes to a Pushgateway at this address.
    fn new(address: &str) -> Self {
        let manifests = Manifests::read(kubernetes::render_job_with("metrics-pushgateway"));
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        Self { manifests, address: address.to_owned(), folder }
    }

    /// What happens to a pod: the sidecar is there until the job has ended.
    async fn job(self, run: impl AsyncFnOnce(&Path)) {
        let mut sidecar = Sidecar(self.start("pushgateway"));
        until("the sidecar waits", async || sidecar.waits().then_some(())).await;

        run(&self.file()).await;

        sidecar.signal("TERM");
        until("the sidecar's end", async || sidecar.0.try_wait().expect("a child can be waited for")).await;
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("regferry.prom")
    }

    /// Starts a container's command, in its environment but for the places of this test.
    fn start(&self, container: &str) -> Child {
        let command = self.manifests.container(container)["command"].as_array().expect("it has a command");
        let mut words = command.iter().map(text);
        let mut process = Command::new(words.next().expect("a command has a program"));
        process.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        process.envs(self.manifests.environment(container));
        process.env("PUSHGATEWAY", format!("http://{}", self.address)).env("METRICS_FILE", self.file());
        // A group of its own, as the processes of a container are.
        process.stdin(Stdio::null()).process_group(0).spawn().expect("there is a shell")
    }
}

/// Ended with all that it has started.
struct Sidecar(Child);

impl Sidecar {
    /// Whether it has come to where it waits: then it knows what to do when it is told to end.
    fn waits(&self) -> bool {
        let id = self.0.id();
        fs::read_to_string(format!("/proc/{id}/task/{id}/children")).is_ok_and(|children| !children.is_empty())
    }

    fn signal(&self, name: &str) {
        kill(name, &self.0.id().to_string());
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        kill("KILL", &format!("-{}", self.0.id()));
        let _ = self.0.wait();
    }
}

fn kill(signal: &str, process: &str) {
    let script = ["-c", "kill -s \"$1\" -- \"$2\" 2>/dev/null", "sh", signal, process];
    // It may have ended by itself.
    let _ = Command::new("sh").args(script).status();
}

async fn metrics(gateway: &Pushgateway) -> String {
    curl(gateway, "", &[]).await
}

async fn value(gateway: &Pushgateway, series: &str) -> Option<f64> {
    metrics(gateway).await.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

async fn curl(gateway: &Pushgateway, path: &str, options: &[&str]) -> String {
    let url = format!("http://{}/metrics{path}", gateway.host());
    let mut curl = tokio::process::Command::new("curl");
    let output = curl.args(["--fail", "--silent", &url]).args(options).output().await.expect("there is curl");
    assert!(output.status.success(), "{url}: {}", output.status);
    String::from_utf8(output.stdout).expect("metrics are UTF-8")
}
