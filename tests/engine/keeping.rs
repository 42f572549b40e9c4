//! Lists that a rule keeps composed: when they follow their sources, when they wait, and what that costs.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome};
use regferry::transfer::{Depth, Engine, Kept, Mode, Neighbour, Prune, Rule, Scope, Source, Target};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, engine_with, location, reference, rule, rule_of};

const REVISION: &str = "org.opencontainers.image.revision";

fn build(architecture: &str, seed: u64, revision: &str) -> Image {
    let image = Image::oci(format!("linux/{architecture}").as_str()).layer(seed, 2_000).layer(9, 500);
    image.annotation(REVISION, revision).build()
}

/// Builds that push their tags into one registry, and a list of them in another.
struct Builds {
    source: FakeRegistry,
    target: FakeRegistry,
    engine: Arc<Engine>,
    rule: Arc<Rule>,
}

impl Builds {
    async fn new() -> Self {
        let builds = Self::without_images().await;
        builds.push("amd64", 1, "r1");
        builds.push("arm64", 2, "r1");
        builds
    }

    async fn without_images() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let sources = ["amd64", "arm64"].map(|tag| Source::Image(reference(&format!("{}/app:{tag}", source.host()))));
        let to = Target::Repository { location: location(target.host(), "app"), tag: Some("latest".parse().unwrap()) };
        let rule = rule_of("app", sources.to_vec(), vec![to], &[]);
        let rule = Arc::new(Rule { kept: Some(Kept { same_revision: true }), ..(*rule).clone() });
        Self { source, target, engine: engine(), rule }
    }

    fn push(&self, architecture: &str, seed: u64, revision: &str) -> String {
        self.source.seed("app", architecture, &build(architecture, seed, revision))
    }

    async fn run(&self, mode: Mode) -> RuleReport {
        self.source.clear_requests();
        self.target.clear_requests();
        self.engine.run(&self.rule, mode, &CancellationToken::new()).await
    }

    async fn image(&self, mode: Mode) -> ImageReport {
        self.run(mode).await.images.remove(0)
    }

    fn list(&self) -> Option<String> {
        self.target.manifest("app", "latest").map(|list| list.digest())
    }

    /// GET and HEAD of manifests at both sides.
    fn asked(&self) -> [[usize; 2]; 2] {
        [&self.source, &self.target]
            .map(|registry| [Method::GET, Method::HEAD].map(|method| registry.count(&method, Endpoint::Manifest)))
    }
}

#[tokio::test]
async fn a_list_follows_its_sources_and_unchanged_costs_a_head_for_each_and_one_at_the_target() {
    let mut builds = Builds::new().await;

    let first = builds.run(Mode::Execute).await;

    assert_eq!(first.outcome, RunOutcome::Success, "{first:?}");
    assert_eq!(first.images[0].outcome, ImageOutcome::Copied);
    assert_eq!(first.images[0].sources.len(), 2);
    assert_eq!(first.images[0].digest.as_ref().map(ToString::to_string), builds.list());
    builds.target.check_whole("app", "latest").unwrap();
    assert_eq!(builds.asked()[0], [2, 2], "each looked for, and read once: {}", builds.source.summary());

    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Unchanged);
    assert_eq!(builds.asked(), [[0, 2], [0, 1]]);
    assert_eq!(builds.source.requests().len() + builds.target.requests().len(), 3);

    assert_eq!(builds.image(Mode::Follow).await.outcome, ImageOutcome::Unchanged);
    assert_eq!(builds.asked(), [[0, 2], [0, 0]], "what was in place is not asked for");

    builds.engine = engine();
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Unchanged);
    assert_eq!(builds.asked(), [[0, 2], [1, 0]], "another process: the list itself says what it was made of");

    let before = builds.list();
    builds.push("amd64", 3, "r1");
    assert_eq!(builds.image(Mode::Follow).await.outcome, ImageOutcome::Copied);
    assert_ne!(builds.list(), before);
    builds.target.check_whole("app", "latest").unwrap();
}

#[tokio::test]
async fn it_waits_until_every_architecture_is_there() {
    let builds = Builds::without_images().await;
    builds.push("amd64", 1, "r1");

    let report = builds.run(Mode::Execute).await;

    assert_eq!(report.outcome, RunOutcome::Success, "nobody is to be woken");
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped);
    let reason = report.images[0].error.clone().unwrap();
    assert_eq!(reason, format!("waiting for {}/app:arm64", builds.source.host()));
    assert_eq!((builds.list(), builds.target.requests().len()), (None, 0));
    builds.push("arm64", 2, "r1");
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
}

#[tokio::test]
async fn it_waits_until_all_are_of_one_revision_and_does_not_read_them_again_meanwhile() {
    let builds = Builds::new().await;
    builds.run(Mode::Execute).await;
    let before = builds.list();
    builds.push("arm64", 3, "r2");

    let waiting = builds.image(Mode::Execute).await;

    assert_eq!(waiting.outcome, ImageOutcome::Skipped);
    let reason = waiting.error.unwrap();
    assert!(reason.starts_with("waiting for one revision of all: "), "{reason}");
    assert!(reason.contains("app:amd64 is of r1") && reason.contains("app:arm64 is of r2"), "{reason}");
    assert_eq!(builds.list(), before, "it is left as it was");
    assert_eq!(builds.image(Mode::Execute).await.error, Some(reason));
    assert_eq!(builds.asked()[0], [0, 2], "what was read once is remembered");

    builds.push("amd64", 4, "r2");
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
    assert_ne!(builds.list(), before);
}

#[tokio::test]
async fn a_list_for_one_architecture_has_the_revision_of_its_images() {
    let builds = Builds::new().await;
    let image = build("amd64", 5, "r1");
    builds.source.seed("app", "amd64", &Image::oci_index([image.clone()]));

    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
    let list = builds.target.manifest("app", "latest").unwrap();
    assert!(
        list.parts().unwrap().manifests.iter().any(|child| child.digest == image.digest()),
        "its entries are taken"
    );

    builds.source.seed("app", "amd64", &Image::oci_index([build("amd64", 6, "r2")]));
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Skipped);
    let none = Image::oci("linux/amd64").layer(7, 10).build();
    builds.source.seed("app", "amd64", &none);
    let reason = builds.image(Mode::Execute).await.error.unwrap();
    assert!(reason.ends_with(&format!("app:amd64 names no {REVISION}")), "{reason}");
}

#[tokio::test]
async fn without_same_revision_any_builds_are_composed() {
    let mut builds = Builds::new().await;
    builds.rule = Arc::new(Rule { kept: Some(Kept { same_revision: false }), ..(*builds.rule).clone() });
    builds.push("arm64", 3, "r2");
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
}

#[tokio::test]
async fn a_registry_that_fails_and_images_for_one_platform_are_failures() {
    let builds = Builds::new().await;
    builds.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).reference("arm64"), Effect::status(403));
    let report = builds.run(Mode::Execute).await;
    assert_eq!(report.outcome, RunOutcome::Failure);
    assert!(report.images[0].error.as_ref().unwrap().contains("403"));

    builds.source.clear_faults();
    builds.source.seed("app", "arm64", &build("amd64", 8, "r1"));
    let error = builds.image(Mode::Execute).await.error.unwrap();
    assert!(error.starts_with("composing ") && error.contains("two manifests are for linux/amd64"), "{error}");
    assert_eq!(builds.list(), None);
}

#[tokio::test]
async fn a_dry_run_and_a_verification_write_nothing_and_say_what_a_run_would_do() {
    let builds = Builds::new().await;

    let planned = builds.image(Mode::Plan).await;
    assert_eq!((planned.outcome, planned.error), (ImageOutcome::Copied, None));
    assert_eq!(planned.blobs.copied, 5, "two configs, three layers");
    let verified = builds.run(Mode::Verify(Depth::Shallow)).await;
    assert_eq!(verified.outcome, RunOutcome::Failure);
    assert!(verified.images[0].differences[0].starts_with("the tag is not there; its sources make sha256:"));
    assert_eq!(builds.target.repositories(), Vec::<String>::new());

    let done = builds.image(Mode::Execute).await;
    assert_eq!((done.digest, done.blobs.copied, done.bytes), (planned.digest, 5, planned.bytes));
    assert_eq!(builds.run(Mode::Verify(Depth::Deep)).await.outcome, RunOutcome::Success);
}

#[tokio::test]
async fn what_a_list_has_lost_is_found_and_brought_again() {
    let builds = Builds::new().await;
    builds.run(Mode::Execute).await;
    let arm64 = build("arm64", 2, "r1");
    for is_blob in [true, false] {
        let was_there = match is_blob {
            true => builds.target.remove_blob("app", &arm64.blobs[1].digest()),
            false => builds.target.remove_manifest("app", &arm64.digest()),
        };
        assert!(was_there);
        assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Unchanged, "the tag is in place");

        let verified = builds.image(Mode::Verify(Depth::Shallow)).await;
        assert!(verified.differences[0].contains("of linux/arm64 is not there"), "{verified:?}");
        let repaired = builds.image(Mode::Repair).await;

        assert_eq!((repaired.outcome, repaired.error), (ImageOutcome::Copied, None));
        builds.target.check_whole("app", "latest").unwrap();
        assert_eq!(builds.image(Mode::Repair).await.outcome, ImageOutcome::Unchanged);
    }
}

#[tokio::test]
async fn a_tag_that_is_not_to_be_moved_stays() {
    let mut builds = Builds::new().await;
    builds.rule = Arc::new(Rule { overwrite: false, ..(*builds.rule).clone() });
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
    let before = builds.list();
    builds.push("amd64", 3, "r1");

    let skipped = builds.image(Mode::Execute).await;

    assert_eq!((skipped.outcome, builds.list()), (ImageOutcome::Skipped, before));
    assert!(skipped.error.unwrap().ends_with("the rule does not overwrite"));
    assert_eq!(builds.asked()[0], [0, 2], "no pull is spent on it");
}

#[tokio::test]
async fn a_failure_leaves_the_list_as_it_was_and_the_next_run_goes_on() {
    let builds = Builds::new().await;
    builds.run(Mode::Execute).await;
    let before = builds.list();
    let newer = builds.push("arm64", 3, "r1");
    let fault = Fault::on(Method::PUT, Endpoint::Manifest).reference(&newer);
    builds.target.fault(fault.times(1), Effect::status(403));

    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Failed);
    assert_eq!(builds.list(), before);
    assert_eq!(builds.target.incomplete_tags(), Vec::<String>::new());
    assert_eq!(builds.image(Mode::Execute).await.outcome, ImageOutcome::Copied);
}

#[tokio::test]
async fn a_rule_that_prunes_the_repository_leaves_the_list_and_two_that_write_it_are_told() {
    let builds = Builds::new().await;
    builds.run(Mode::Execute).await;
    builds.target.seed("app", "old", &Image::oci("linux/amd64").layer(8, 10).build());
    let to = location(builds.target.host(), "app");
    let mirror = rule("mirror", location(builds.source.host(), "app"), to.clone(), &["a*64"]);
    let prune = Prune { keep: Vec::new(), max_delete: 20, others: vec![Neighbour::from(&*builds.rule)] };
    let mirror = Arc::new(Rule { prune: Some(prune), ..(*mirror).clone() });

    let report = builds.engine.run(&mirror, Mode::Execute, &CancellationToken::new()).await;

    assert_eq!(report.pruned, [reference(&format!("{to}:old"))], "{report:?}");
    assert_eq!(builds.target.tags("app"), ["amd64", "arm64", "latest"]);
    builds.target.check_whole("app", "latest").unwrap();

    let scope = Scope { sources: vec![builds.rule.scope.sources[0].clone()], ..(*builds.rule.scope).clone() };
    let other = Arc::new(Rule { name: "other".into(), scope: Arc::new(scope), kept: None, ..(*builds.rule).clone() });
    let engine = engine_with(HashMap::new(), Arc::new(()));
    let _knowledge = engine.knowledge();
    engine.run(&other, Mode::Execute, &CancellationToken::new()).await;
    let report = engine.run(&builds.rule, Mode::Execute, &CancellationToken::new()).await;
    assert!(report.warnings[0].contains(r#"is written by the rule "other" too"#), "{report:?}");
}
