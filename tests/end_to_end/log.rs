//! The log: its fields, and what it does not repeat.

use serde_json::{Value, json};
use testkit::content::hello_world;
use testkit::{Effect, FakeRegistry, Fault, Image};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

fn rule(name: &str, source: &FakeRegistry, target: &FakeRegistry, schedule: &str) -> String {
    let (from, to) = (source.host(), target.host());
    format!(
        "[[rules]]\nname = '{name}'\nsource = '{from}/{name}:v1'\ntarget = '{to}/{name}'\nschedule = '{schedule}'\n"
    )
}

/// The lines of a log in JSON with this message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    lines.filter(|line| line["message"] == message).collect()
}

fn line(log: &str, message: &str) -> Value {
    let mut lines = lines(log, message);
    assert_eq!(lines.len(), 1, "{message}: {log}");
    lines.remove(0)
}

/// The names of a line's fields beside those that each line has.
fn fields(line: &Value) -> Vec<&str> {
    let all = line.as_object().expect("a line is an object").keys().map(String::as_str);
    let mut own: Vec<&str> = all.filter(|name| !["timestamp", "level", "message"].contains(name)).collect();
    own.sort_unstable();
    own
}

async fn failures(daemon: &Daemon) -> f64 {
    daemon.metric(r#"regferry_rule_runs_total{outcome="failure",rule="app"}"#).await
}

#[tokio::test]
async fn an_image_that_changes_has_one_line_and_one_that_does_not_has_none() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let daemon = Daemon::start(&rule("app", &source, &target, "1s")).await;
    let successes = r#"regferry_rule_runs_total{outcome="success",rule="app"}"#;
    until("three runs", async || (daemon.metric(successes).await >= 3.0).then_some(())).await;

    let log = daemon.log();

    let copied = line(&log, "copied");
    assert_eq!(fields(&copied), ["bytes", "digest", "image", "rule", "seconds"]);
    assert_eq!((&copied["level"], &copied["rule"]), (&json!("INFO"), &json!("app")));
    assert_eq!(copied["image"], format!("{}/app:v1", target.host()));
    assert_eq!(copied["digest"], hello_world().digest());
    assert!(copied["bytes"].is_u64() && copied["seconds"].is_f64(), "{copied:#}");
    assert_eq!(fields(&line(&log, "run ended")), ["copied", "deleted", "rule", "seconds", "unchanged"]);
    assert_eq!(log.lines().count(), 3, "with the one that says where it serves: {log}");
}

#[tokio::test]
async fn what_fails_at_every_tick_is_told_once_and_so_is_its_end() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 100).build();
    source.seed("app", "v1", &image);
    target.fault(Fault::any(), Effect::status(403));
    let daemon = Daemon::start(&rule("app", &source, &target, "1s")).await;

    until("three runs", async || (failures(&daemon).await >= 3.0).then_some(())).await;
    let log = daemon.log();
    let failed = line(&log, "failed");
    assert_eq!(failed["level"], "ERROR");
    assert_eq!(fields(&failed), ["error", "image", "rule"]);
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("403")), "{failed:#}");
    let run = line(&log, "run failed");
    assert_eq!((&run["level"], &run["failed"]), (&json!("ERROR"), &json!(1)));
    assert_eq!(fields(&run), ["copied", "failed", "rule", "seconds", "unchanged"]);
    assert_eq!(log.lines().count(), 3, "{log}");

    target.clear_faults();
    let recovered = until("the end of failures", async || lines(&daemon.log(), "recovered").pop()).await;
    assert_eq!(fields(&recovered), ["rule", "since", "times"]);
    assert_eq!(recovered["level"], "INFO");
    assert!(recovered["times"].as_u64() >= Some(3), "{recovered:#}");
}

#[tokio::test]
async fn retries_of_one_kind_have_one_line_a_minute() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.fault(Fault::any(), Effect::status(503));
    let daemon = Daemon::start(&rule("app", &source, &target, "1h")).await;
    let retries = format!("regferry_retries_total{{reason=\"server\",registry=\"{}\"}}", source.host());
    until("two retries", async || (daemon.metric(&retries).await >= 2.0).then_some(())).await;

    let retry = line(&daemon.log(), "trying again");

    assert_eq!(retry["level"], "WARN");
    assert_eq!(fields(&retry), ["error", "pause", "reason", "registry"]);
    assert_eq!((&retry["reason"], &retry["registry"]), (&json!("server"), &json!(source.host())));
    assert!(retry["pause"].is_f64() && retry["error"].is_string(), "{retry:#}");
}

#[tokio::test]
async fn with_more_words_all_is_told_with_its_number() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let config = rule("app", &source, &target, "1s");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "-v"];
    let daemon = Daemon::of(Ferry::new(&serve).config(&config)).await;

    let again = until("the second failure", async || lines(&daemon.log(), "failed").into_iter().nth(1)).await;

    assert_eq!((&again["level"], &again["times"]), (&json!("DEBUG"), &json!(2)), "{again:#}");
    assert_eq!(fields(&again), ["error", "image", "rule", "since", "times"]);
    let request = lines(&daemon.log(), "request").remove(0);
    assert_eq!(fields(&request), ["method", "registry", "seconds", "status"]);
}
