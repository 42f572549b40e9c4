//! What a rule's run and an import report, and what they leave alone.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use regferry::events::{ImageOutcome, RunOutcome};
use regferry::transfer::{Import, ImportError, Mode, Rule, Scope, TagFilter};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, reference, rule, rule_for_image, run};

#[tokio::test]
async fn one_images_failure_is_its_own() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for tag in ["good", "bad"] {
        source.seed("app", tag, &Image::oci("linux/amd64").layer(tag.len() as u64, 100).build());
    }
    let bad = source.manifest("app", "bad").unwrap().digest();
    source.fault(Fault::on(Method::GET, Endpoint::Manifest).reference("bad"), Effect::html());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.outcome, RunOutcome::Failure);
    assert_eq!(failures(&report).len(), 1, "{bad}");
    assert_eq!(target.tags("app"), ["good"]);
}

#[tokio::test]
async fn a_tag_named_exactly_that_is_missing_fails_and_a_pattern_without_match_warns() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let at = || (location(source.host(), "app"), location(target.host(), "app"));

    let (from, to) = at();
    let exact = run(&engine(), &rule("exact", from, to, &["v1", "v2"])).await;
    assert_eq!(exact.outcome, RunOutcome::Failure);
    assert!(failures(&exact)[0].contains("manifest v2 of"), "{:?}", failures(&exact));

    let (from, to) = at();
    let listed = run(&engine(), &rule("listed", from, to, &["v*", "gone"])).await;
    assert!(failures(&listed)[0].contains("looking for gone in the tags of"), "{:?}", failures(&listed));

    let (from, to) = at();
    let pattern = run(&engine(), &rule("pattern", from, to, &["v1*", "x*"])).await;
    assert_eq!(pattern.outcome, RunOutcome::Success);
    assert!(pattern.warnings[0].contains("\"x*\" matches no tag"), "{:?}", pattern.warnings);
}

#[tokio::test]
async fn a_rule_mirrors_the_newest_of_a_range_and_warns_of_a_range_without_match() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for tag in ["1.9", "1.10", "1.11-rc1", "1.11", "2.0", "edge", "latest"] {
        source.seed("app", tag, &hello_world());
    }
    let with = |range: &str| {
        let include = ["*", "edge"].map(|pattern| pattern.parse().unwrap()).to_vec();
        let semver = Some(range.parse().unwrap());
        let tags = TagFilter { include, semver, latest: NonZeroUsize::new(2), ..TagFilter::default() };
        let rule = rule(range, location(source.host(), "app"), location(target.host(), "app"), &[]);
        let scope = Arc::new(Scope { tags, ..(*rule.scope).clone() });
        Arc::new(Rule { scope, ..(*rule).clone() })
    };

    let newest = run(&engine(), &with("<2")).await;
    assert_eq!((newest.outcome, newest.warnings.len()), (RunOutcome::Success, 0));
    assert_eq!(target.tags("app"), ["1.10", "1.11", "edge"]);

    let none = run(&engine(), &with(">=3")).await;
    let warning = format!("the range \">=3\" matches no tag of {}/app", source.host());
    assert_eq!((none.outcome, none.warnings, none.images.len()), (RunOutcome::Success, vec![warning], 1));
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_a_run_would_do() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);
    let engine = engine();

    let plan = engine.run(&rule, Mode::Plan, &CancellationToken::new()).await;
    assert!(target.repositories().is_empty());
    assert!(
        target.requests().iter().all(|request| request.method == Method::GET || request.method == Method::HEAD),
        "{}",
        target.summary()
    );

    let done = run(&engine, &rule).await;
    assert_eq!((plan.images[0].bytes, plan.images[0].blobs), (done.images[0].bytes, done.images[0].blobs));
}

#[tokio::test]
async fn a_plan_counts_what_images_share_once_as_a_run_does() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for tag in 1..=10 {
        let image = Image::oci("linux/amd64").layer(99, 50_000).layer(tag, 1_000).build();
        source.seed("app", &format!("v{tag}"), &image);
    }
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);
    let engine = engine();
    let bytes = |report: &regferry::events::RuleReport| report.images.iter().map(|image| image.bytes).sum::<u64>();

    let plan = engine.run(&rule, Mode::Plan, &CancellationToken::new()).await;
    let done = run(&engine, &rule).await;

    assert_eq!(bytes(&plan), bytes(&done));
    assert!(bytes(&done) < 2 * 50_000, "{}", bytes(&done));
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_timeout_is_stopped_and_reported() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::Hang);
    let (from, to) = (format!("{}/app:v1", source.host()), location(target.host(), "app"));
    let rule = rule_for_image("slow", &from, to, Some(Duration::from_millis(300)));

    let report = run(&engine(), &rule).await;

    assert_eq!(report.outcome, RunOutcome::Timeout);
    assert!(target.tags("app").is_empty());
}

fn import(source: &str, targets: &[String], force: bool) -> Import {
    let targets = targets.iter().map(|target| reference(target)).collect();
    Import { force, ..Import::new(reference(source), targets) }
}

#[tokio::test]
async fn a_conflict_at_the_third_of_three_targets_writes_nothing_at_all() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let new = source.seed("app", "v1", &hello_world());
    let old = target.seed("c", "v1", &Image::oci("linux/amd64").layer(9, 10).build());
    target.clear_requests();
    let targets = ["a", "b", "c"].map(|name| format!("{}/{name}:v1", target.host()));
    let import = import(&format!("{}/app:v1", source.host()), &targets, false);

    let error = engine().import(&import, &CancellationToken::new()).await.unwrap_err();

    assert!(matches!(error, ImportError::Conflict(_)));
    let text = error.to_string();
    assert!(
        text.contains(&targets[2]) && text.contains(&new) && text.contains(&old) && text.contains("--force"),
        "{text}"
    );
    assert_eq!(target.summary(), "HEAD manifest 3");
    assert_eq!(target.repositories(), ["c"]);
}

#[tokio::test]
async fn the_same_digest_is_success_and_force_moves_a_tag() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let digest = source.seed("app", "v1", &hello_world());
    target.seed("app", "v1", &Image::oci("linux/amd64").layer(9, 10).build());
    let targets = [format!("{}/app:v1", target.host())];
    let forced = import(&format!("{}/app:v1", source.host()), &targets, true);

    let moved = engine().import(&forced, &CancellationToken::new()).await.unwrap();
    assert_eq!(moved.images[0].outcome, ImageOutcome::Copied);
    assert_eq!(target.manifest("app", "v1").unwrap().digest(), digest);

    let again = engine().import(&Import { force: false, ..forced }, &CancellationToken::new()).await.unwrap();
    assert_eq!(again.images[0].outcome, ImageOutcome::Unchanged);
}

#[tokio::test]
async fn several_targets_read_the_source_once() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = hello_world();
    source.seed("app", "v1", &image);
    let targets = ["a:1", "a:2", "b:1"].map(|name| format!("{}/{name}", target.host()));

    let reports = engine()
        .import(&import(&format!("{}/app:v1", source.host()), &targets, false), &CancellationToken::new())
        .await
        .unwrap();

    assert!(reports.images.iter().all(|report| report.outcome == ImageOutcome::Copied));
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), image.documents().count(), "{}", source.summary());
    let blobs: std::collections::HashSet<String> = image.blobs().map(testkit::Blob::digest).collect();
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), blobs.len(), "{}", source.summary());
}

#[tokio::test]
async fn a_source_tag_that_moves_meanwhile_changes_nothing() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = hello_world();
    let digest = source.seed("app", "v1", &image);
    let other = source.seed_untagged("app", &Image::oci("linux/amd64").layer(9, 10).build());
    let import = import(&format!("{}/app:v1", source.host()), &[format!("{}/app:v1", target.host())], false);

    // Moved as soon as it has been resolved.
    let resolved = source.after_requests(2);
    let moving = async {
        let _held = resolved.await;
        source.retag("app", "v1", &other);
    };
    let engine = engine();
    let cancel = CancellationToken::new();
    let (reports, ()) = tokio::join!(engine.import(&import, &cancel), moving);

    assert_eq!(reports.unwrap().images[0].digest.as_ref().unwrap().to_string(), digest);
    assert_eq!(target.manifest("app", "v1").unwrap().digest(), digest);
}

#[tokio::test]
async fn a_digest_source_and_an_untagged_target_work() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let digest = source.seed("app", "v1", &hello_world());
    let mut untagged = reference(&format!("{}/audit:x", target.host()));
    untagged.tag = None;
    let import = Import::new(reference(&format!("{}/app@{digest}", source.host())), vec![untagged]);

    let reports = engine().import(&import, &CancellationToken::new()).await.unwrap();

    assert_eq!(reports.images[0].target.to_string(), format!("{}/audit@{digest}", target.host()));
    assert!(target.tags("audit").is_empty());
    assert_eq!(target.check_whole("audit", &digest), Ok(()));
}
