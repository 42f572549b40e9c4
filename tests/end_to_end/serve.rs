//! The daemon at work: it runs its rules again and again, and shows that it does.

use std::fs;

use serde_json::{Value, json};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

const SUCCESSES: &str = r#"regferry_rule_runs_total{outcome="success",rule="hello"}"#;

fn rule(name: &str, source: &FakeRegistry, target: &FakeRegistry, schedule: &str) -> String {
    let (from, to) = (source.host(), target.host());
    format!("[[rules]]\nname = '{name}'\nsource = '{from}/{name}'\ntarget = '{to}/{name}'\nschedule = '{schedule}'\n")
}

#[tokio::test]
async fn it_is_live_and_ready_and_counts_what_it_does() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "latest", &hello_world());
    let daemon = Daemon::start(&rule("hello", &source, &target, "1h")).await;

    until("the first run's end", async || (daemon.metric(SUCCESSES).await >= 1.0).then_some(())).await;

    assert_eq!(target.check_whole("hello", "latest"), Ok(()));
    assert_eq!(daemon.get("/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(daemon.get("/readyz").await, (200, "ready\n".to_owned()));
    let (status, metrics) = daemon.get("/metrics").await;
    assert_eq!(status, 200);
    for name in [
        "regferry_build_info{version=",
        "regferry_rule_last_success_timestamp_seconds{rule=\"hello\"}",
        "regferry_rule_run_duration_seconds_count{rule=\"hello\"} 1",
        "regferry_images_total{outcome=\"copied\",rule=\"hello\"} 1",
        "regferry_blobs_total{outcome=\"copied\",rule=\"hello\"} 7",
        &format!("regferry_blob_bytes_total{{direction=\"read\",registry=\"{}\"}}", source.host()),
        &format!("regferry_blob_bytes_total{{direction=\"written\",registry=\"{}\"}}", target.host()),
        &format!("regferry_http_requests_total{{method=\"GET\",registry=\"{}\",status=\"200\"}}", source.host()),
        &format!("regferry_http_request_duration_seconds_count{{method=\"PUT\",registry=\"{}\"}}", target.host()),
        "regferry_transfers_in_flight 0",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(&format!("\n{name}")), "{name} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn its_status_tells_how_each_rules_last_run_ended() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "latest", &hello_world());
    let rules = rule("hello", &source, &target, "1h") + &rule("missing", &source, &target, "1h");
    let daemon = Daemon::start(&rules).await;

    let status = until("the end of both first runs", async || {
        let (code, text) = daemon.get("/api/v1/status").await;
        assert_eq!(code, 200, "{text}");
        let status: Value = serde_json::from_str(&text).expect("the status is JSON");
        let has_run = |rule: usize| status["rules"][rule]["last_run"].is_object();
        (has_run(0) && has_run(1)).then_some(status)
    })
    .await;

    assert_eq!((&status["ready"], &status["version"]), (&json!(true), &json!(env!("CARGO_PKG_VERSION"))));
    let (hello, missing) = (&status["rules"][0], &status["rules"][1]);
    assert_eq!(
        (&hello["name"], &hello["state"], &hello["last_run"]["copied"]),
        (&json!("hello"), &json!("idle"), &json!(1))
    );
    assert!(hello["last_success"].is_string(), "{status:#}");
    assert_eq!((&missing["last_run"]["outcome"], &missing["last_success"]), (&json!("failure"), &Value::Null));
    let error = missing["last_run"]["error"].as_str().unwrap_or_default();
    assert!(error.contains(&format!("{}/missing", source.host())), "{error}");
}

#[tokio::test]
async fn each_rule_runs_again_on_its_interval() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for (seed, name) in ["often", "too", "seldom"].into_iter().enumerate() {
        source.seed(name, "v1", &Image::oci("linux/amd64").layer(seed as u64, 100).build());
    }
    let often = rule("often", &source, &target, "1s") + &rule("too", &source, &target, "1s");
    let _daemon = Daemon::start(&(often + &rule("seldom", &source, &target, "1h"))).await;
    let count = |repository: &str, endpoint: Endpoint| {
        let requests = source.requests().into_iter();
        requests
            .filter(|request| request.endpoint == endpoint && request.repository.as_deref() == Some(repository))
            .count()
    };

    for (name, runs) in [("often", 3), ("too", 3), ("seldom", 1)] {
        until("the runs of each rule", async || (count(name, Endpoint::Tags) >= runs).then_some(())).await;
    }

    for name in ["often", "too"] {
        assert_eq!(count(name, Endpoint::Blob), 2, "what is unchanged is not fetched again: {}", source.summary());
    }
    assert_eq!(count("seldom", Endpoint::Tags), 1, "{}", source.summary());
}

#[tokio::test]
async fn what_is_lost_below_an_unchanged_tag_is_mended_by_the_next_recheck() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "latest", &hello_world());
    let rule = rule("hello", &source, &target, "1s") + "recheck = '2s'\n";
    let daemon = Daemon::start(&rule).await;
    until("the first run's end", async || (daemon.metric(SUCCESSES).await >= 1.0).then_some(())).await;

    assert!(target.remove_manifest("hello", &hello_world().children[1].digest()));

    until("the recheck", async || target.check_whole("hello", "latest").ok()).await;
}

#[tokio::test]
async fn a_tag_that_moves_is_moved_at_the_target_by_the_next_run() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "latest", &Image::oci("linux/amd64").layer(1, 100).build());
    let daemon = Daemon::start(&rule("hello", &source, &target, "1s")).await;
    until("the first run's end", async || (daemon.metric(SUCCESSES).await >= 1.0).then_some(())).await;

    let moved = source.seed("hello", "latest", &hello_world());

    let at_target = || target.manifest("hello", "latest").map(|document| document.digest());
    until("the tag at its new place", async || (at_target().as_ref() == Some(&moved)).then_some(())).await;
    assert_eq!(target.check_whole("hello", "latest"), Ok(()));
}

#[tokio::test]
async fn the_environment_says_where_to_listen_over_the_configuration() {
    let registry = FakeRegistry::start().await;
    // The configured address is taken: the registry has it.
    let config =
        format!("service.listen = '{0}'\n[[rules]]\nname = 'a'\nsource = '{0}/a'\ntarget = '{0}/b'\n", registry.host());
    let ferry = Ferry::new(&["serve", "--log-format", "json"]).config(&config).env("REGFERRY_LISTEN", "127.0.0.1:0");

    let daemon = Daemon::of(ferry).await;

    assert_eq!(daemon.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_stopped_and_told_as_such_and_the_next_tick_has_its_run() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "latest", &hello_world());
    source.fault(Fault::on(Method::GET, Endpoint::Blob).times(1), Effect::Hang);
    let rule = rule("hello", &source, &target, "4s") + "timeout = '2s'\n";
    let daemon = Daemon::start(&rule).await;

    let timeouts = r#"regferry_rule_runs_total{outcome="timeout",rule="hello"}"#;
    until("the first run's end", async || (daemon.metric(timeouts).await >= 1.0).then_some(())).await;
    let run = daemon.status().await["rules"][0]["last_run"].clone();
    assert_eq!(run["outcome"], "timeout", "{run:#}");
    assert!(target.tags("hello").is_empty(), "{}", target.summary());

    until("the next run's end", async || (daemon.metric(SUCCESSES).await >= 1.0).then_some(())).await;
    assert_eq!(target.check_whole("hello", "latest"), Ok(()));
}

#[tokio::test]
async fn told_to_listen_nowhere_it_runs_its_rules_without_a_port() {
    for (listen, ports) in [("", 0), ("127.0.0.1:0", 1)] {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("hello", "latest", &hello_world());
        let config = format!("service.listen = '{listen}'\n{}", rule("hello", &source, &target, "1h"));

        let serving = Ferry::new(&["serve"]).config(&config).spawn();

        until("the image at the target", async || target.check_whole("hello", "latest").ok()).await;
        assert_eq!(listening(serving.pid()), ports, "{listen:?}");
        serving.signal("TERM");
        assert_eq!(serving.ended().await.code, Some(143), "{listen:?}");
    }
}

/// The ports on which a process listens. Source: proc(5), proc_pid_net(5).
fn listening(pid: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours");
    let own: Vec<_> = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).collect();
    let is_own = |inode: &str| own.iter().any(|file| file.as_os_str() == format!("socket:[{inode}]").as_str());
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    let fields = sockets.map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[3] == "0A" && is_own(fields[9])).count()
}
