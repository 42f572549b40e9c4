//! What `state_dir` keeps over the end of a process: the daemon's history, and what saves `sync` requests.

use std::fs;
use std::path::Path;

use serde_json::Value;
use testkit::content::hello_world;
use testkit::{FakeRegistry, Image};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

/// Two registries and a volume, which outlive the processes.
struct World {
    source: FakeRegistry,
    target: FakeRegistry,
    volume: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let children = ["linux/amd64", "linux/arm64"].map(|platform| Image::oci(platform).layer(1, 1000).build());
        source.seed("app", "v1", &Image::oci_index(children));
        source.seed("app", "v2", &hello_world());
        Self { source, target, volume: tempfile::tempdir().expect("the temporary directory is writable") }
    }

    fn state(&self) -> String {
        self.volume.path().join("state").display().to_string()
    }

    /// A rule for these tags, with the state where it says.
    fn config(&self, state_dir: &str, tags: &str) -> String {
        let (from, to) = (self.source.host(), self.target.host());
        format!(
            "[service]\nstate_dir = '{state_dir}'\n[[rules]]\nname = 'app'\nschedule = '1h'\nsource = '{from}/app'\n\
             target = '{to}/app'\ntags = {{ include = [{tags}] }}\n"
        )
    }

    async fn sync(&self, config: &str, more: &[&str]) -> (String, String) {
        self.source.clear_requests();
        self.target.clear_requests();
        Ferry::new(&[&["sync"], more].concat()).config(config).run().await.success();
        (self.source.summary(), self.target.summary())
    }
}

async fn document(daemon: &Daemon, path: &str) -> Value {
    let (status, text) = daemon.get(path).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("the API answers in JSON")
}

const LAST_SUCCESS: &str = r#"regferry_rule_last_success_timestamp_seconds{rule="app"}"#;

#[tokio::test]
async fn a_daemon_that_is_killed_shows_its_runs_and_images_when_it_is_started_again() {
    let world = World::new().await;
    let config = world.config(&world.state(), "'v1', 'v2'");
    let daemon = Daemon::start(&config).await;
    until("the first run's end", async || (daemon.metric(LAST_SUCCESS).await > 0.0).then_some(())).await;
    until("its being written down", async || {
        let written = fs::read_to_string(Path::new(&world.state()).join("history")).unwrap_or_default();
        written.contains("\"run\":{").then_some(())
    })
    .await;
    let (rule, images) = ("/api/v1/rules/app", "/api/v1/rules/app/images");
    let before = (document(&daemon, rule).await, document(&daemon, images).await, daemon.metric(LAST_SUCCESS).await);
    assert_eq!(before.1["images"][0]["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    daemon.signal("KILL");
    daemon.ended().await;

    // The run that begins at once gets nowhere.
    let World { source, target, volume } = world;
    drop(source);
    let daemon = Daemon::start(&config).await;
    let now = (document(&daemon, rule).await, document(&daemon, images).await, daemon.metric(LAST_SUCCESS).await);
    for field in ["last_success", "last_run", "runs", "images"] {
        assert_eq!(now.0[field], before.0[field], "{field}");
    }
    assert!(before.0["last_success"].is_string());
    assert_eq!(now.1, before.1);
    assert!((now.2 - before.2).abs() < 2.0, "{} {}", now.2, before.2);
    let status = daemon.status().await;
    assert_eq!(status["rules"][0]["last_run"], before.0["last_run"]);
    drop((daemon, target, volume));
}

#[tokio::test]
async fn a_second_sync_with_the_volume_asks_the_source_alone_and_without_one_both() {
    let world = World::new().await;
    let kept = world.config(&world.state(), "'v1', 'v2'");
    let source = "HEAD manifest 2".to_owned();
    world.sync(&kept, &[]).await;
    for _ in 0..2 {
        assert_eq!(world.sync(&kept, &[]).await, (source.clone(), "no requests".to_owned()));
    }
    // A repair looks at the target all the same.
    assert!(world.sync(&kept, &["--repair"]).await.1.contains("HEAD manifest"));
    // Without rechecks nobody would notice what others do there.
    let not_rechecked = format!("{kept}recheck = '0s'\n");
    assert_eq!(world.sync(&not_rechecked, &[]).await, (source.clone(), source.clone()));

    let other = world.volume.path().join("other").display().to_string();
    let plan = world.config(&other, "'v1', 'v2'");
    assert_eq!(world.sync(&plan, &["--dry-run"]).await, (source.clone(), source.clone()));
    assert!(!Path::new(&other).exists(), "a plan leaves nothing behind");
    let lost = kept.lines().filter(|line| !line.starts_with("state_dir")).collect::<Vec<_>>().join("\n");
    assert_eq!(world.sync(&lost, &[]).await, (source.clone(), source));
}

#[tokio::test]
async fn beside_a_daemon_a_sync_goes_on_without_the_state_and_says_so_once() {
    let world = World::new().await;
    let config = world.config(&world.state(), "'v2'");
    let _daemon = Daemon::start(&config).await;

    let ended = Ferry::new(&["sync"]).config(&config).run().await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = "[service] state_dir is not used: ";
    let why = format!("{} is in use by another regferry", world.state());
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&why) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_and_a_file_that_is_damaged_are_told_once_and_fail_nothing() {
    let world = World::new().await;
    let ended = Ferry::new(&["sync"]).config(&world.config("/proc/regferry", "'v2'")).run().await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(0), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("[service] state_dir is not used: /proc/regferry: "), "{}", ended.stderr);

    let config = world.config(&world.state(), "'v2'");
    Ferry::new(&["sync"]).config(&config).run().await.success();
    let file = Path::new(&world.state()).join("history");
    fs::write(&file, "no history").expect("the volume is writable");
    let ended = Ferry::new(&["sync"]).config(&config).run().await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(0), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("is damaged: it was put aside as "), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(file.with_extension("damaged")).expect("it was put aside"), "no history");
    Ferry::new(&["sync"]).config(&config).run().await.success();
}
