//! What brings a job's metrics to a Pushgateway, run as Kubernetes would: against a real one.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use testkit::server::Prometheus;

use crate::files::{items, yaml};
use crate::kubernetes;
use crate::manifests::{Manifests, text};
use crate::support::{Ferry, until};

/// When the rule last succeeded, in an earlier job.
const BEFORE: &str = "\
regferry_build_info{version=\"0.0.1\"} 1
regferry_rule_last_success_timestamp_seconds{rule=\"hello\"} 1.764e+09
regferry_rule_last_success_timestamp_seconds{rule=\"removed\"} 1.763e+09
";

const LAST_SUCCESS: &str = "regferry_rule_last_success_timestamp_seconds{instance=\"\",job=\"mirror\",rule=\"hello\"}";

#[tokio::test]
async fn a_job_that_failed_shows_it_and_when_it_last_succeeded() {
    let gateway = Pushgateway::start().await;
    Pod::new(&gateway).job(async |metrics| write(metrics, BEFORE)).await;
    assert_eq!(gateway.value(LAST_SUCCESS).await, Some(1.764e9));

    Pod::new(&gateway)
        .job(async |metrics| {
            // Nobody listens there.
            let config = "[[rules]]\nname = 'hello'\nsource = '127.0.0.1:1/hello'\ntarget = '127.0.0.1:1/other'\n\
                [registries.'127.0.0.1:1']\nretry = { max_attempts = 1 }";
            let file = format!("--metrics-file={}", metrics.display());
            assert_eq!(Ferry::new(&["sync", &file]).config(config).run().await.code, Some(1));
        })
        .await;

    assert_eq!(gateway.value(LAST_SUCCESS).await, Some(1.764e9));
    let failed = "regferry_rule_runs_total{instance=\"\",job=\"mirror\",outcome=\"failure\",rule=\"hello\"}";
    assert_eq!(gateway.value(failed).await, Some(1.0));
    // What the job no longer knows is gone.
    assert!(!gateway.metrics().await.contains("removed"));
}

#[tokio::test]
async fn a_job_that_did_nothing_pushes_nothing() {
    let gateway = Pushgateway::start().await;
    Pod::new(&gateway).job(async |metrics| write(metrics, BEFORE)).await;
    let before = gateway.metrics().await;

    Pod::new(&gateway).job(async |_| {}).await;

    let of_pushes = |metrics: &str| -> Vec<String> {
        metrics.lines().filter(|line| line.contains("job=\"mirror\"")).map(str::to_owned).collect()
    };
    assert_eq!(of_pushes(&gateway.metrics().await), of_pushes(&before));
}

#[tokio::test]
async fn prometheus_knows_by_the_alerts_when_the_job_last_pushed() {
    let gateway = Pushgateway::start().await;
    Pod::new(&gateway).job(async |metrics| write(metrics, BEFORE)).await;
    gateway.push("backup", "backup_bytes 1\n").await;
    let configuration = format!(
        "scrape_configs: [{{job_name: gateway, honor_labels: true, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]",
        gateway.address
    );
    let prometheus = Prometheus::start(&configuration);

    let age = alert("RegferryJobNotRun");
    let (age, _) = age.split_once(" > ").expect("it compares an age");
    let ages = until("the age of the last push", async || {
        let data = prometheus.ask("query", &[("query", age)]).await;
        items(&data["result"]).next().is_some().then(|| data["result"].clone())
    });
    let labels: Vec<_> = items(&ages.await).map(|found| found["metric"].clone()).collect();
    assert_eq!(labels, [json!({"job": "mirror"})], "nobody else's push is asked for");
    let unknown = prometheus.ask("query", &[("query", &alert("RegferryJobUnknown"))]).await;
    assert_eq!(unknown["result"], json!([]));
}

/// What an alert for CronJobs asks.
fn alert(name: &str) -> String {
    let rules = yaml("deploy/prometheus/alerts-cronjob.yaml");
    let mut rules = items(&rules["groups"]).flat_map(|group| items(&group["rules"]));
    text(&rules.find(|rule| rule["alert"] == name).expect("there is this alert")["expr"]).to_owned()
}

#[tokio::test]
async fn a_pushgateway_that_is_not_there_stops_no_job() {
    let nowhere = Pushgateway { process: None, address: "127.0.0.1:1".to_owned() };
    let mut has_run = false;
    Pod::new(&nowhere).job(async |_| has_run = true).await;
    assert!(has_run);
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
    fn new(gateway: &Pushgateway) -> Self {
        let manifests = Manifests::read(kubernetes::render_job_with("metrics-pushgateway"));
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        Self { manifests, address: gateway.address.clone(), folder }
    }

    /// What happens to a pod: what comes before the job ends, the sidecar is there until the job has ended.
    async fn job(self, run: impl AsyncFnOnce(&Path)) {
        let status = self.start("last-successes").wait().expect("a child can be waited for");
        assert!(status.success(), "{status}");
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

/// Debian's Pushgateway, on a port of this machine. Killed when dropped.
struct Pushgateway {
    process: Option<Child>,
    address: String,
}

impl Pushgateway {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port is free").to_string();
        let listen = format!("--web.listen-address={address}");
        let process = Command::new("prometheus-pushgateway").arg(listen).stderr(Stdio::null()).spawn();
        let process = Some(process.expect("scripts/install-test-tools installs it"));
        let gateway = Self { process, address };
        until("the Pushgateway", async || tokio::net::TcpStream::connect(&gateway.address).await.ok()).await;
        gateway
    }

    async fn metrics(&self) -> String {
        self.curl("", &[]).await
    }

    /// Somebody else's.
    async fn push(&self, job: &str, metrics: &str) {
        self.curl(&format!("/job/{job}"), &["--data-binary", metrics]).await;
    }

    async fn curl(&self, path: &str, options: &[&str]) -> String {
        let url = format!("http://{}/metrics{path}", self.address);
        let mut curl = tokio::process::Command::new("curl");
        let output = curl.args(["--fail", "--silent", &url]).args(options).output().await.expect("there is curl");
        assert!(output.status.success(), "{url}: {}", output.status);
        String::from_utf8(output.stdout).expect("metrics are UTF-8")
    }

    async fn value(&self, series: &str) -> Option<f64> {
        self.metrics().await.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
