//! `sync` between two real registries: several rules, again, as a dry run, and through restarts.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::registry::Held;
use testkit::{DistributionServer, Endpoint, FakeRegistry, Image, Method};

use crate::gate::Gate;
use crate::support::{Ferry, until};

/// Two registries; the source has a few repositories.
struct Mirror {
    source: DistributionServer,
    target: DistributionServer,
}

impl Mirror {
    async fn new() -> Self {
        let mirror = Self { source: DistributionServer::start(), target: DistributionServer::start() };
        let from = mirror.source.host();
        client::push(from, "up/hello", "latest", &hello_world()).await;
        for (seed, tag) in ["1.0", "1.1", "1.2-rc1"].into_iter().enumerate() {
            let image = Image::oci("linux/amd64").layer(99, 30_000).layer(seed as u64, 1_000).build();
            client::push(from, "up/tool", tag, &image).await;
            client::push(from, "up/all", tag, &image).await;
        }
        mirror
    }

    /// One image under another name, some tags of a repository, all tags of another.
    fn config(&self) -> String {
        let (from, to) = (self.source.host(), self.target.host());
        format!(
            r#"
            [[rules]]
            name = "hello"
            source = "{from}/up/hello:latest"
            target = "{to}/hello:stable"

            [[rules]]
            name = "tool"
            source = "{from}/up/tool"
            target = "{to}/tool"
            tags = {{ include = ["1.*"], exclude = ["*-rc*"] }}

            [[rules]]
            name = "all"
            source = "{from}/up/all"
            target = "{to}/all"
            "#
        )
    }

    async fn sync(&self, more: &[&str]) -> String {
        let text = Ferry::new(&[&["sync"], more].concat()).config(&self.config()).run().await.success();
        text.replace(self.source.host(), "SOURCE").replace(self.target.host(), "TARGET")
    }

    async fn report(&self, more: &[&str]) -> Value {
        let text = self.sync(&[&["--output", "json"], more].concat()).await;
        serde_json::from_str(&text).expect("the report is JSON")
    }

    /// Compares an image of the source with one of the target.
    async fn same(&self, from: (&str, &str), to: (&str, &str)) -> Result<(), String> {
        let there = Place::new(self.source.host(), from.0, from.1);
        let here = Place::new(self.target.host(), to.0, to.1);
        client::same_tree(there, here).await
    }

    async fn all_same(&self) -> Result<(), String> {
        self.same(("up/hello", "latest"), ("hello", "stable")).await?;
        for tag in ["1.0", "1.1"] {
            self.same(("up/tool", tag), ("tool", tag)).await?;
            self.same(("up/all", tag), ("all", tag)).await?;
        }
        self.same(("up/all", "1.2-rc1"), ("all", "1.2-rc1")).await
    }

    async fn target_has(&self, repository: &str, tag: &str) -> bool {
        client::fetch_manifest(self.target.host(), repository, tag).await.is_some()
    }
}

#[tokio::test]
async fn all_rules_are_carried_out_and_the_next_pass_finds_nothing_to_do() {
    let mirror = Mirror::new().await;

    let first = mirror.report(&[]).await;
    assert_eq!(mirror.all_same().await, Ok(()));
    assert!(!mirror.target_has("tool", "1.2-rc1").await, "the rule leaves it out");
    assert_eq!((&first["totals"]["copied"], &first["totals"]["unchanged"]), (&6.into(), &0.into()), "{first:#}");

    let second = mirror.report(&[]).await;
    assert_eq!((&second["totals"]["copied"], &second["totals"]["unchanged"]), (&0.into(), &6.into()), "{second:#}");
    assert_eq!(second["totals"]["bytes"], 0, "{second:#}");
}

#[tokio::test]
async fn a_rule_may_be_run_by_its_name() {
    let mirror = Mirror::new().await;

    let report = mirror.report(&["--rule", "tool"]).await;

    assert_eq!(report["rules"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(mirror.same(("up/tool", "1.1"), ("tool", "1.1")).await, Ok(()));
    assert!(!mirror.target_has("hello", "stable").await);
}

#[tokio::test]
async fn a_dry_run_names_what_would_be_copied_and_changes_nothing() {
    let mirror = Mirror::new().await;
    mirror.sync(&["--rule", "hello"]).await;
    let before = blobs(&mirror.target);

    let text = mirror.sync(&["--dry-run"]).await;
    let report = mirror.report(&["--dry-run"]).await;

    for line in ["hello: 0 to copy, 1 unchanged", "tool: 2 to copy, 0 unchanged", "? TARGET/tool:1.0 "] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    assert!(!text.contains("TARGET/hello:stable"), "{text}");
    assert_eq!(report["dry_run"], true);
    assert_eq!((&report["totals"]["copied"], &report["totals"]["unchanged"]), (&5.into(), &1.into()), "{report:#}");
    assert!(!mirror.target_has("tool", "1.0").await);
    assert_eq!(blobs(&mirror.target), before);
}

/// The number of blobs on a registry's disk, documents included.
fn blobs(registry: &DistributionServer) -> usize {
    let list =
        |folder: PathBuf| fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it is readable"));
    list(registry.storage().join("docker/registry/v2/blobs/sha256")).map(|folder| list(folder.path()).count()).sum()
}

#[tokio::test]
async fn the_report_has_every_field_of_the_contract() {
    let mirror = Mirror::new().await;

    let report = mirror.report(&[]).await;

    let has = |value: &Value, keys: &[&str]| {
        for key in keys {
            assert!(value.get(key).is_some(), "{key} is missing in\n{value:#}");
        }
    };
    has(&report, &["rules", "totals"]);
    has(&report["totals"], &["copied", "unchanged", "skipped", "failed", "bytes", "seconds"]);
    let rule = &report["rules"][0];
    has(rule, &["name", "outcome", "started", "seconds", "images", "pruned", "warnings"]);
    let image = &rule["images"][0];
    has(image, &["source", "target", "digest", "outcome", "bytes", "blobs", "requests", "seconds", "error"]);
    has(&image["blobs"], &["copied", "mounted", "present"]);
    assert_eq!((&rule["name"], &rule["outcome"]), (&"hello".into(), &"success".into()));
    assert_eq!(image["source"], "SOURCE/up/hello:latest");
    assert_eq!(image["target"], "TARGET/hello:stable");
    assert_eq!(image["digest"], hello_world().digest());
    is_as_documented(&report);
}

/// Holds a report against the schema in the documentation.
fn is_as_documented(report: &Value) {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json")).expect("the schema is JSON");
    compiler.add_resource("urn:regferry:report", schema).expect("the schema has a name");
    let index = compiler.compile("urn:regferry:report", &mut schemas).expect("the schema is one");
    if let Err(error) = schemas.validate(report, index) {
        panic!("{error:#}\n{report:#}");
    }
}

#[tokio::test]
async fn both_registries_restarted_in_the_middle_do_not_spoil_a_sync() {
    let (mut source, mut target) = (DistributionServer::start(), DistributionServer::start());
    for tag in 0..6 {
        let image = Image::oci("linux/amd64").layer(tag, 150_000).build();
        client::push(source.host(), "app", &tag.to_string(), &image).await;
    }
    let gate = Gate::before(source.host(), 450_000).await;
    let config = format!(
        "transfer.max_blobs = 3\n[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = '{}/app'\n",
        gate.host(),
        target.host()
    );
    let sync = Ferry::new(&["sync"]).config(&config).spawn();
    gate.closed().await;
    at_rest(&target).await;

    target.restart();
    source.restart();
    gate.open();
    let ended = sync.ended().await;

    assert_eq!(ended.code, Some(0), "{}\n{}", ended.text(), ended.stderr);
    for tag in 0..6 {
        let tag = tag.to_string();
        let (there, here) = (Place::new(source.host(), "app", &tag), Place::new(target.host(), "app", &tag));
        assert_eq!(client::same_tree(there, here).await, Ok(()), "{tag}");
    }
}

/// Waits until a registry has written what it was given: killed between the making of a file and the filling of it, it
/// keeps the empty one for good, and a run that comes to that fails by right.
async fn at_rest(registry: &DistributionServer) {
    let (mut told, mut looks) = (0, 0);
    until("the end of what is written", async || {
        let before = std::mem::replace(&mut told, registry.log().len());
        looks = if told == before { looks + 1 } else { 0 };
        (looks == 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_was_opened_before_a_restart_is_opened_again() {
    let (source, mut target) = (FakeRegistry::start().await, DistributionServer::start());
    let image = Image::artifact("application/vnd.example.marker").build();
    source.seed("app", "v1", &image);
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));

    let copy = Ferry::new(&["copy", &from, &to]).spawn();
    let held = first_blob(&source).await;
    until("the upload's session", async || target.log().contains("response.status=202").then_some(())).await;
    target.restart();
    drop(held);
    let ended = copy.ended().await;

    assert_eq!((ended.code, ended.text()), (Some(0), format!("{to} {}\n", image.digest())), "{}", ended.stderr);
    let (there, here) = (Place::new(source.host(), "app", "v1"), Place::new(target.host(), "app", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
}

/// Holds the first request for a blob.
async fn first_blob(registry: &FakeRegistry) -> Held {
    let mut number = 1;
    let mut next = registry.after_requests(number);
    loop {
        let held = next.await;
        if registry.count(&Method::GET, Endpoint::Blob) > 0 {
            return held;
        }
        // Before this one goes on, so that no other slips through.
        number += 1;
        next = registry.after_requests(number);
    }
}
