//! Rules over many repositories: globs over the catalog, lists, folders as targets.

use regferry::events::{ImageOutcome, RunOutcome};
use regferry::transfer::{Appends, RepositoryPattern, Rule, Source, Target};
use std::sync::Arc;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{engine, failures, host, location, rule_of, run, to};

fn image(seed: u64) -> Image {
    Image::oci("linux/amd64").layer(seed, 200).build()
}

fn over(registry: &FakeRegistry, pattern: &str) -> Source {
    Source::Repositories(host(registry.host()), RepositoryPattern::new(pattern).unwrap())
}

fn below(registry: &FakeRegistry, folder: &str) -> Target {
    Target::Below { host: host(registry.host()), folder: Some(folder.parse().unwrap()), appends: Appends::Name }
}

fn mirror(source: Source, target: Target) -> Arc<Rule> {
    rule_of("many", vec![source], vec![target], &["v*"])
}

#[tokio::test]
async fn a_glob_is_found_in_all_pages_of_the_catalog_and_its_part_is_appended() {
    let (source, target) = (FakeRegistry::builder().page_size(2).start().await, FakeRegistry::start().await);
    for (seed, name) in ["team/a", "team/b", "team/deep/c", "team2/d", "z"].into_iter().enumerate() {
        source.seed(name, "v1", &image(seed as u64));
    }

    let one = run(&engine(), &mirror(over(&source, "team/*"), below(&target, "m"))).await;
    assert_eq!(failures(&one), Vec::<String>::new());
    assert_eq!(target.repositories(), ["m/a", "m/b"]);

    let all = run(&engine(), &mirror(over(&source, "team/**"), below(&target, "n"))).await;
    assert_eq!(all.images.len(), 3);
    assert_eq!(target.repositories(), ["m/a", "m/b", "n/a", "n/b", "n/deep/c"]);
}

#[tokio::test]
async fn a_glob_that_matches_nothing_is_a_warning() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("other", "v1", &image(1));
    let report = run(&engine(), &mirror(over(&source, "team/*"), below(&target, "m"))).await;
    assert_eq!(report.outcome, RunOutcome::Success);
    assert!(report.warnings[0].contains("\"team/*\" matches no repository of"), "{:?}", report.warnings);
}

#[tokio::test]
async fn a_registry_without_catalog_is_an_error_that_says_what_to_write() {
    let (source, target) = (FakeRegistry::builder().without_catalog().start().await, FakeRegistry::start().await);
    let report = run(&engine(), &mirror(over(&source, "team/*"), below(&target, "m"))).await;
    assert_eq!(report.outcome, RunOutcome::Failure);
    assert!(report.error.as_deref().unwrap().contains("source = ["), "{:?}", report.error);
}

#[tokio::test]
async fn one_repositorys_failure_is_its_own() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("team/a", "v1", &image(1));
    source.seed("team/b", "v1", &image(2));
    source.fault(Fault::on(Method::GET, Endpoint::Tags).repository("team/a"), Effect::status(403));
    let report = run(&engine(), &mirror(over(&source, "team/*"), below(&target, "m"))).await;
    assert_eq!(report.outcome, RunOutcome::Failure);
    assert!(report.error.as_deref().unwrap().contains("team/a"), "{:?}", report.error);
    assert_eq!(target.repositories(), ["m/b"]);
}

#[tokio::test]
async fn a_mirror_inside_one_registry_does_not_mirror_itself() {
    let registry = FakeRegistry::start().await;
    registry.seed("team/a", "v1", &image(1));
    let rule = mirror(over(&registry, "**"), below(&registry, "mirror"));
    let engine = engine();
    run(&engine, &rule).await;
    run(&engine, &rule).await;
    assert_eq!(registry.repositories(), ["mirror/a", "team/a"].map(|name| name.replace("mirror/a", "mirror/team/a")));
}

#[tokio::test]
async fn a_list_of_repositories_goes_where_each_name_says() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("library/alpine", "v1", &image(1));
    source.seed("library/nginx", "v1", &image(2));
    let sources = ["library/alpine", "library/nginx"].map(|name| Source::Repository(location(source.host(), name)));
    let report = run(&engine(), &rule_of("list", sources.into(), vec![below(&target, "m")], &["v1"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.repositories(), ["m/alpine", "m/nginx"]);
}

#[tokio::test]
async fn two_rules_that_write_one_tag_are_told_when_that_shows() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("a", "v1", &image(1));
    source.seed("b", "v1", &image(2));
    let engine = engine();
    let together = engine.knowledge();
    let rule = |name: &str, from: &str| {
        rule_of(
            name,
            vec![Source::Repository(location(source.host(), from))],
            vec![to(location(target.host(), "x"))],
            &["v*"],
        )
    };
    let first = run(&engine, &rule("first", "a")).await;
    let second = run(&engine, &rule("second", "b")).await;
    assert!(first.warnings.is_empty(), "{:?}", first.warnings);
    assert!(second.warnings[0].contains("written by the rule \"first\" too"), "{:?}", second.warnings);
    drop(together);
}

#[tokio::test]
async fn without_overwriting_a_tag_that_moved_upstream_is_left_alone_and_told() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("a", "v1", &image(1));
    target.seed("a", "v1", &image(2));
    source.seed("a", "v2", &image(3));
    let rule = rule_of(
        "keep",
        vec![Source::Repository(location(source.host(), "a"))],
        vec![to(location(target.host(), "a"))],
        &["v*"],
    );
    let report = run(&engine(), &Arc::new(Rule { overwrite: false, ..(*rule).clone() })).await;
    assert_eq!(report.outcome, RunOutcome::Success);
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped);
    assert!(report.images[0].error.as_deref().unwrap().contains("does not overwrite"));
    assert_eq!(target.manifest("a", "v1").unwrap().digest(), image(2).digest());
    assert_eq!(target.tags("a"), ["v1", "v2"]);
}

#[tokio::test]
async fn a_tag_that_the_registry_does_not_let_go_is_skipped() {
    for kind in [testkit::Immutability::LikeEcr, testkit::Immutability::LikeHarbor] {
        let (source, target) =
            (FakeRegistry::start().await, FakeRegistry::builder().immutable_tags(kind).start().await);
        source.seed("a", "v1", &image(1));
        target.seed("a", "v1", &image(2));
        let rule = mirror(Source::Repository(location(source.host(), "a")), to(location(target.host(), "a")));
        let report = run(&engine(), &rule).await;
        assert_eq!(report.outcome, RunOutcome::Success, "{report:?}");
        assert_eq!(report.images[0].outcome, ImageOutcome::Skipped);
        assert!(report.images[0].error.as_deref().unwrap().contains("immutable"), "{:?}", report.images[0].error);
    }
}

#[tokio::test]
async fn without_overwriting_a_tag_that_appeared_after_the_listing_is_left_alone() {
    let (source, target) = (FakeRegistry::start().await, Arc::new(FakeRegistry::start().await));
    source.seed("a", "v1", &image(1));
    target.seed("a", "other", &image(2));
    let rule = mirror(Source::Repository(location(source.host(), "a")), to(location(target.host(), "a")));
    // The tags, the document, and then a blob.
    let other = Arc::clone(&target);
    source.on_request(3, move || drop(other.seed("a", "v1", &image(3))));

    let report = run(&engine(), &Arc::new(Rule { overwrite: false, ..(*rule).clone() })).await;

    assert_eq!(target.manifest("a", "v1").unwrap().digest(), image(3).digest());
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped, "{report:?}");
    assert!(report.images[0].error.as_deref().unwrap().contains("does not overwrite"), "{report:?}");
}

#[tokio::test]
async fn of_two_sources_of_one_tag_the_first_stays_without_overwriting() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("a/app", "v1", &image(1));
    source.seed("b/app", "v1", &image(2));
    let sources = ["a/app", "b/app"].map(|name| Source::Repository(location(source.host(), name)));
    let rule = rule_of("both", sources.into(), vec![to(location(target.host(), "app"))], &["v*"]);

    let report = run(&engine(), &Arc::new(Rule { overwrite: false, ..(*rule).clone() })).await;

    let mut outcomes: Vec<ImageOutcome> = report.images.iter().map(|image| image.outcome).collect();
    outcomes.sort_by_key(|outcome| *outcome == ImageOutcome::Skipped);
    assert_eq!(outcomes, [ImageOutcome::Copied, ImageOutcome::Skipped], "{report:?}");
    let puts =
        target.requests().into_iter().filter(|r| r.method == Method::PUT && r.reference.as_deref() == Some("v1"));
    assert_eq!(puts.count(), 1, "{}", target.summary());
}
