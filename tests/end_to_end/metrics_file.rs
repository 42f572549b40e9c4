//! `sync --metrics-file`: what is left behind for Prometheus.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::support::{Ferry, until};

/// Two rules, of which the second one's source has nothing.
struct Mirror {
    source: FakeRegistry,
    target: FakeRegistry,
    folder: TempDir,
}

impl Mirror {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let mirror = Self { source: FakeRegistry::start().await, target: FakeRegistry::start().await, folder };
        mirror.source.seed("good", "v1", &hello_world());
        mirror
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("regferry.prom")
    }

    fn sync(&self, more: &[&str]) -> Ferry {
        let (from, to) = (self.source.host(), self.target.host());
        let rule =
            |name: &str| format!("[[rules]]\nname = '{name}'\nsource = '{from}/{name}:v1'\ntarget = '{to}/{name}'\n");
        let file = self.file().display().to_string();
        let arguments = [&["sync", "--metrics-file", &file], more].concat();
        Ferry::new(&arguments).config(&(rule("good") + &rule("bad")))
    }

    /// The value of a metric in the file, named with its labels.
    fn metric(&self, name: &str) -> f64 {
        let text = fs::read_to_string(self.file()).expect("the file was written");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("{name} is missing in\n{text}"))
    }

    fn last_success(&self, rule: &str) -> f64 {
        self.metric(&format!("regferry_rule_last_success_timestamp_seconds{{rule=\"{rule}\"}}"))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64()
}

#[tokio::test]
async fn a_sync_that_failed_leaves_its_metrics_for_everyone_to_read() {
    let (mirror, begun) = (Mirror::new().await, now());

    let ended = mirror.sync(&[]).run().await;

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(mirror.last_success("good") >= begun);
    assert_eq!(mirror.last_success("bad"), 0.0);
    assert_eq!(mirror.metric(r#"regferry_rule_runs_total{outcome="failure",rule="bad"}"#), 1.0);
    let mode = fs::metadata(mirror.file()).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let text = fs::read_to_string(mirror.file()).expect("the file is text");
    assert!(!text.contains("process_"), "a node exporter has its own: {text}");
}

#[tokio::test]
async fn what_a_rule_has_achieved_before_is_kept_while_it_fails_or_is_not_chosen() {
    let mirror = Mirror::new().await;
    mirror.source.seed("bad", "v1", &hello_world());
    assert_eq!(mirror.sync(&[]).run().await.code, Some(0));
    let (good, bad) = (mirror.last_success("good"), mirror.last_success("bad"));

    mirror.target.fault(Fault::any().repository("bad"), Effect::status(403));
    assert_eq!(mirror.sync(&[]).run().await.code, Some(1));
    assert!(mirror.last_success("good") > good);
    assert_eq!(mirror.last_success("bad"), bad);

    let good = mirror.last_success("good");
    assert_eq!(mirror.sync(&["--rule", "bad"]).run().await.code, Some(1));
    assert_eq!((mirror.last_success("good"), mirror.last_success("bad")), (good, bad));
}

#[tokio::test]
async fn what_another_call_achieves_meanwhile_is_kept() {
    let mirror = Mirror::new().await;
    mirror.source.seed("bad", "v1", &hello_world());
    assert_eq!(mirror.sync(&[]).run().await.code, Some(0));
    let (good, bad) = (mirror.last_success("good"), mirror.last_success("bad"));
    mirror.target.fault(Fault::any().repository("bad"), Effect::status(503));
    let longer = mirror.sync(&["--rule", "bad"]).spawn();
    until("a retry", async || longer.stderr().contains("trying again").then_some(())).await;

    assert_eq!(mirror.sync(&["--rule", "good"]).run().await.code, Some(0));
    let meanwhile = mirror.last_success("good");
    longer.signal("TERM");
    assert_eq!(longer.ended().await.code, Some(143));

    assert!(meanwhile > good);
    assert_eq!((mirror.last_success("good"), mirror.last_success("bad")), (meanwhile, bad));
    assert_eq!(mirror.metric(r#"regferry_rule_runs_total{outcome="cancelled",rule="bad"}"#), 1.0, "it wrote last");
}

#[tokio::test]
async fn nothing_is_claimed_of_a_rule_that_was_not_chosen() {
    let mirror = Mirror::new().await;

    assert_eq!(mirror.sync(&["--rule", "good"]).run().await.code, Some(0));

    let text = fs::read_to_string(mirror.file()).expect("the file was written");
    assert!(text.contains("rule=\"good\"") && !text.contains("rule=\"bad\""), "{text}");
}

#[tokio::test]
async fn a_run_that_could_not_look_does_not_say_that_there_is_nothing() {
    let mirror = Mirror::new().await;
    assert_eq!(mirror.sync(&["--rule", "good"]).run().await.code, Some(0));
    assert_eq!(mirror.metric("regferry_rule_images{rule=\"good\"}"), 1.0);

    mirror.source.fault(Fault::any(), Effect::status(403));
    assert_eq!(mirror.sync(&["--rule", "good"]).run().await.code, Some(1));

    let text = fs::read_to_string(mirror.file()).expect("the file was written");
    assert!(!text.contains("regferry_rule_images{"), "{text}");
}

#[tokio::test]
async fn a_file_that_says_nothing_of_the_last_success_is_replaced_with_a_warning() {
    let mirror = Mirror::new().await;
    for (text, reason) in [
        ("regferry_rule_last_success_timestamp_seconds{rule=\"good\"} x\n", "line 1 is broken"),
        ("", "it has no regferry_rule_last_success_timestamp_seconds"),
        ("\u{1}\u{2}", "it has no regferry_rule_last_success_timestamp_seconds"),
    ] {
        fs::write(mirror.file(), text).expect("it is ours");

        let ended = mirror.sync(&["--rule", "good"]).run().await;

        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("WARN") && ended.stderr.contains(reason), "{text:?}: {}", ended.stderr);
        assert!(mirror.last_success("good") > 0.0);
    }
    assert!(!mirror.sync(&["--rule", "good"]).run().await.stderr.contains("WARN"), "what it wrote itself it knows");
}

#[tokio::test]
async fn a_sync_that_is_stopped_leaves_its_metrics_too() {
    let mirror = Mirror::new().await;
    mirror.source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::status(503));
    let running = mirror.sync(&["--rule", "good"]).spawn();
    until("a retry", async || running.stderr().contains("trying again").then_some(())).await;
    running.signal("TERM");

    assert_eq!(running.ended().await.code, Some(143));
    assert_eq!(mirror.metric(r#"regferry_rule_runs_total{outcome="cancelled",rule="good"}"#), 1.0);
}

#[tokio::test]
async fn what_cannot_be_written_is_told_before_anything_is_attempted() {
    let mirror = Mirror::new().await;
    fs::remove_dir(mirror.folder.path()).expect("it is empty");

    let told = mirror.sync(&[]).run().await.failure(2);

    assert!(told.contains("--metrics-file") && told.contains("No such file"), "{told}");
    assert_eq!(mirror.source.requests().len() + mirror.target.requests().len(), 0);
}

#[tokio::test]
async fn a_dry_run_writes_no_metrics() {
    let mirror = Mirror::new().await;

    let ended = mirror.sync(&["--dry-run"]).run().await;

    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--dry-run") && ended.stderr.contains("--metrics-file"), "{}", ended.stderr);
    assert!(!mirror.file().exists());
}
