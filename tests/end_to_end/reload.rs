//! A configuration that changes under a daemon: taken over whole, or refused and told.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::daemon::Daemon;
use crate::gate::Gate;
use crate::support::{Ferry, until};

const FILE: &str = "regferry.toml";

/// Two registries; the source has every repository that the tests name.
struct Registries {
    source: FakeRegistry,
    target: FakeRegistry,
}

impl Registries {
    async fn start() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        for name in ["kept", "gone", "changed", "new"] {
            source.seed(name, "v1", &hello_world());
            source.seed(name, "v2", &hello_world());
        }
        Self { source, target }
    }

    /// A rule that runs at the start and then not while the test does.
    fn rule(&self, name: &str, more: &str) -> String {
        let (from, to) = (self.source.host(), self.target.host());
        format!("[[rules]]\nname = '{name}'\nsource = '{from}/{name}'\ntarget = '{to}/{name}'\n{more}\n")
    }
}

/// How often a rule has run to its end, well.
async fn runs(daemon: &Daemon, rule: &str) -> f64 {
    daemon.metric(&format!("regferry_rule_runs_total{{outcome=\"success\",rule=\"{rule}\"}}")).await
}

async fn has_run(daemon: &Daemon, rule: &str, times: f64) {
    until(&format!("{times} runs of {rule}"), async || (runs(daemon, rule).await >= times).then_some(())).await;
}

/// Waits until the configuration was read again, and returns what came of it.
async fn reload_after(daemon: &Daemon, before: &Value) -> Value {
    let is_new = |reload: &Value| !reload.is_null() && reload != before;
    let look = async || Some(daemon.status().await["config"]["last_reload"].clone()).filter(is_new);
    until("a reload", look).await
}

fn names(status: &Value) -> Vec<&str> {
    let rules = status["rules"].as_array().expect("there are rules");
    rules.iter().filter_map(|rule| rule["name"].as_str()).collect()
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_rules_that_are_as_they_were_keep_their_schedule() {
    let registries = Registries::start().await;
    let rule = |name: &str, more: &str| registries.rule(name, more);
    let config = [rule("kept", ""), rule("gone", ""), rule("changed", "tags.include = ['v1']")].concat();
    let daemon = Daemon::start(&config).await;
    for name in ["kept", "gone", "changed"] {
        has_run(&daemon, name, 1.0).await;
    }
    assert_eq!(registries.target.tags("changed"), ["v1"]);

    daemon.rewrite(FILE, &[rule("new", ""), rule("kept", ""), rule("changed", "")].concat());

    has_run(&daemon, "new", 1.0).await;
    has_run(&daemon, "changed", 2.0).await;
    assert_eq!(registries.target.tags("changed"), ["v1", "v2"]);
    assert_eq!(runs(&daemon, "kept").await, 1.0);
    let status = daemon.status().await;
    assert_eq!(names(&status), ["new", "kept", "changed"]);
    assert_eq!(status["config"]["last_reload"]["successful"], true, "{status:#}");
    let (_, metrics) = daemon.get("/metrics").await;
    assert!(!metrics.contains("rule=\"gone\""), "{metrics}");
    assert!(metrics.contains("\nregferry_config_last_reload_successful 1\n"), "{metrics}");
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("configuration reloaded")).expect("it is told");
    let told: Value = serde_json::from_str(told).expect("the log is JSON");
    let counts = ["rules", "added", "changed", "removed"].map(|name| told[name].clone());
    assert_eq!(counts, [json!(3), json!(1), json!(1), json!(1)], "{told:#}");
}

#[tokio::test]
async fn on_sighup_it_is_read_again_though_nothing_has_changed() {
    let registries = Registries::start().await;
    let daemon = Daemon::start(&registries.rule("kept", "")).await;
    has_run(&daemon, "kept", 1.0).await;
    assert_eq!(daemon.status().await["config"]["last_reload"], Value::Null);

    daemon.signal("HUP");

    let reload = reload_after(&daemon, &Value::Null).await;
    assert_eq!((&reload["successful"], &reload["error"]), (&json!(true), &Value::Null));
    assert_eq!(runs(&daemon, "kept").await, 1.0);
}

#[tokio::test]
async fn a_broken_file_is_refused_with_its_error_and_the_old_one_goes_on() {
    let registries = Registries::start().await;
    let daemon = Daemon::start(&registries.rule("kept", "schedule = '1s'")).await;
    has_run(&daemon, "kept", 1.0).await;

    daemon.rewrite(FILE, &registries.rule("kept", "shedule = '1s'"));

    let refused = reload_after(&daemon, &Value::Null).await;
    let error = "regferry.toml:5: rules.\"kept\".shedule: unknown key; did you mean `schedule`?";
    assert_eq!((&refused["successful"], &refused["error"]), (&json!(false), &json!(error)));
    assert_eq!(daemon.metric("regferry_config_last_reload_successful").await, 0.0);
    let before = runs(&daemon, "kept").await;
    has_run(&daemon, "kept", before + 2.0).await;
    let log = daemon.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("\"ERROR\"")).collect();
    assert_eq!(errors.len(), 1, "told once: {log}");
    let told: Value = serde_json::from_str(errors[0]).expect("the log is JSON");
    assert_eq!(told["error"], error);

    daemon.rewrite(FILE, &registries.rule("kept", "schedule = '1s'"));
    let reload = reload_after(&daemon, &refused).await;
    assert_eq!(reload["successful"], true, "{reload:#}");
    assert_eq!(daemon.metric("regferry_config_last_reload_successful").await, 1.0);
    assert_eq!(names(&daemon.status().await), ["kept"]);
}

#[tokio::test]
async fn what_a_refused_configuration_lacked_may_come_later() {
    let registries = Registries::start().await;
    let daemon = Daemon::start(&registries.rule("kept", "")).await;
    let other = "[registries.'registry.example']\nca_file = 'later.pem'\n";
    daemon.rewrite(FILE, &[other, &registries.rule("kept", "")].concat());
    let refused = reload_after(&daemon, &Value::Null).await;
    assert_eq!(refused["successful"], false, "{refused:#}");

    daemon.rewrite("later.pem", &testkit::server::unknown_authority());

    let reload = reload_after(&daemon, &refused).await;
    assert_eq!(reload["successful"], true, "{reload:#}");
    assert_eq!(daemon.log().lines().filter(|line| line.contains("refused")).count(), 1, "{}", daemon.log());
}

#[tokio::test]
async fn a_configmap_that_kubernetes_swaps_is_taken_over() {
    let registries = Registries::start().await;
    let ferry =
        Ferry::new(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--config", "mounted/regferry.toml"])
            .file("mounted/..1/regferry.toml", &registries.rule("kept", ""))
            .file("mounted/..2/regferry.toml", &[registries.rule("kept", ""), registries.rule("new", "")].concat());
    let mounted = ferry.home().join("mounted");
    symlink("..1", mounted.join("..data")).unwrap();
    symlink("..data/regferry.toml", mounted.join("regferry.toml")).unwrap();
    let daemon = Daemon::of(ferry).await;
    has_run(&daemon, "kept", 1.0).await;

    // As the kubelet does: another link takes the first one's name, and what it led to is deleted.
    symlink("..2", mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    fs::remove_dir_all(mounted.join("..1")).unwrap();

    has_run(&daemon, "new", 1.0).await;
    assert_eq!(runs(&daemon, "kept").await, 1.0);
}

#[tokio::test]
async fn a_password_that_is_rotated_in_its_file_is_taken_over() {
    let source = FakeRegistry::builder().basic_auth("bot", "first").start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let login = format!("[registries.'{}']\nusername = 'bot'\npassword_file = 'secret'\n", source.host());
    let rule = format!(
        "[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = '{}/app'\nschedule = '1s'\n",
        source.host(),
        target.host()
    );
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&(login + &rule)).file("secret", "first\n")).await;
    has_run(&daemon, "app", 2.0).await;

    source.change_password("second");
    daemon.rewrite("secret", "second\n");

    let reload = reload_after(&daemon, &Value::Null).await;
    assert_eq!(reload["successful"], true, "{reload:#}");
    let before = runs(&daemon, "app").await;
    has_run(&daemon, "app", before + 2.0).await;
}

#[tokio::test]
async fn the_run_of_a_rule_that_is_removed_ends_gracefully_and_the_others_go_on() {
    let registries = Registries::start().await;
    let large = Image::oci("linux/amd64").layer(1, 4 << 20).build();
    registries.source.seed("gone", "large", &large);
    let gate = Gate::before(registries.source.host(), 1 << 20).await;
    let kept = registries.rule("kept", "schedule = '1s'");
    let gone = registries.rule("gone", "").replacen(registries.source.host(), gate.host(), 1);
    let daemon = Daemon::start(&[kept.as_str(), &gone].concat()).await;
    gate.closed().await;

    daemon.rewrite(FILE, &kept);

    let leaves = async || (names(&daemon.status().await) == ["kept"]).then_some(());
    until("the end of the removed rule's run", leaves).await;
    let before = runs(&daemon, "kept").await;
    has_run(&daemon, "kept", before + 1.0).await;
    assert_eq!(registries.target.open_sessions(), 0, "{}", registries.target.summary());
    assert!(!registries.target.tags("gone").contains(&"large".to_owned()));
    assert_eq!(daemon.metric("regferry_transfers_in_flight").await, 0.0);
    assert!(!daemon.get("/metrics").await.1.contains("rule=\"gone\""));
}

#[tokio::test]
async fn the_quota_of_a_registry_that_no_rule_names_any_more_is_shown_no_more() {
    let registries = Registries::start().await;
    let hub = FakeRegistry::builder().pulls(10, Duration::from_secs(3600)).start().await;
    hub.seed("gone", "v1", &hello_world());
    let kept = registries.rule("kept", "");
    let gone = registries.rule("gone", "").replacen(registries.source.host(), hub.host(), 1);
    let daemon = Daemon::start(&[kept.as_str(), &gone].concat()).await;
    has_run(&daemon, "gone", 1.0).await;
    let quota = format!("regferry_pull_quota_remaining{{registry=\"{}\"}}", hub.host());
    assert!(daemon.get("/metrics").await.1.contains(&quota));

    daemon.rewrite(FILE, &kept);

    let is_taken_back = async || (!daemon.get("/metrics").await.1.contains(&quota)).then_some(());
    until("the end of the quota's series", is_taken_back).await;
}

#[tokio::test]
async fn the_run_of_a_rule_that_does_something_else_now_is_stopped_for_the_new_one() {
    let registries = Registries::start().await;
    registries.source.seed("changed", "large", &Image::oci("linux/amd64").layer(1, 4 << 20).build());
    let gate = Gate::before(registries.source.host(), 1 << 20).await;
    let rule = |more: &str| registries.rule("changed", more).replacen(registries.source.host(), gate.host(), 1);
    let daemon = Daemon::start(&rule("")).await;
    gate.closed().await;

    daemon.rewrite(FILE, &registries.rule("changed", "tags.exclude = ['large']"));

    has_run(&daemon, "changed", 1.0).await;
    let cancelled = daemon.metric("regferry_rule_runs_total{outcome=\"cancelled\",rule=\"changed\"}").await;
    assert_eq!(cancelled, 1.0);
    assert_eq!(registries.target.tags("changed"), ["v1", "v2"]);
    assert_eq!(registries.target.open_sessions(), 0, "{}", registries.target.summary());
}

#[tokio::test]
async fn settings_of_a_registry_change_for_the_next_run() {
    let registries = Registries::start().await;
    let rule = registries.rule("kept", "schedule = '1s'");
    let daemon = Daemon::start(&rule).await;
    has_run(&daemon, "kept", 1.0).await;

    // Nothing can be had over HTTPS there.
    let https = format!("[registries.'{}']\ntls = 'https'\nretry.max_attempts = 1\n", registries.source.host());
    daemon.rewrite(FILE, &[https.as_str(), &rule].concat());

    let failures = "regferry_rule_runs_total{outcome=\"failure\",rule=\"kept\"}";
    until("a run that fails", async || (daemon.metric(failures).await >= 1.0).then_some(())).await;
    daemon.rewrite(FILE, &rule);
    let before = runs(&daemon, "kept").await;
    has_run(&daemon, "kept", before + 1.0).await;
}

#[tokio::test]
async fn with_real_registries_a_target_that_is_added_is_filled() {
    let (source, one, two) = (DistributionServer::start(), DistributionServer::start(), DistributionServer::start());
    client::push(source.host(), "app", "v1", &hello_world()).await;
    let config = |targets: &[&DistributionServer]| {
        let targets: Vec<String> = targets.iter().map(|target| format!("{}/app", target.host())).collect();
        format!("[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = {targets:?}\n", source.host())
    };
    let daemon = Daemon::start(&config(&[&one])).await;
    has_run(&daemon, "app", 1.0).await;

    daemon.rewrite(FILE, &config(&[&one, &two]));

    has_run(&daemon, "app", 2.0).await;
    let places = [Place::new(source.host(), "app", "v1"), Place::new(two.host(), "app", "v1")];
    let [from, to] = places;
    assert_eq!(client::same_tree(from, to).await, Ok(()));
}
