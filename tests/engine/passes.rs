//! Rules of one pass: what several of them read is read once.

use std::sync::Arc;

use futures_util::future::join_all;
use regferry::events::{RuleReport, RunOutcome};
use regferry::transfer::{Appends, Engine, RepositoryPattern, Rule, Source, Target};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{engine, failures, host, location, rule, rule_of, run};

const TAGS: [&str; 4] = ["1.0", "1.0-alpine", "nightly", "2.0"];
const PATTERNS: [&str; 4] = ["/1\\.\\d/", "*-alpine", "night*", "2.*"];

async fn with_tags() -> FakeRegistry {
    let source = FakeRegistry::start().await;
    for (seed, tag) in TAGS.into_iter().enumerate() {
        source.seed("app", tag, &Image::oci("linux/amd64").layer(seed as u64, 100).build());
    }
    source
}

/// A rule for each pattern, all over the same two repositories.
fn rules(source: &FakeRegistry, target: &FakeRegistry) -> Vec<Arc<Rule>> {
    let rule =
        |pattern: &&str| rule(pattern, location(source.host(), "app"), location(target.host(), "app"), &[pattern]);
    PATTERNS.iter().map(rule).collect()
}

async fn side_by_side(engine: &Arc<Engine>, rules: &[Arc<Rule>]) -> Vec<RuleReport> {
    join_all(rules.iter().map(|rule| run(engine, rule))).await
}

fn listings(registry: &FakeRegistry) -> usize {
    registry.count(&Method::GET, Endpoint::Tags)
}

#[tokio::test]
async fn rules_over_the_same_repositories_list_each_of_them_once() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());
    let rules = rules(&source, &target);

    let pass = engine.begin_pass();
    let reports = side_by_side(&engine, &rules).await;
    drop(pass);

    for (report, tag) in reports.iter().zip(TAGS) {
        assert_eq!((report.outcome, report.images.len()), (RunOutcome::Success, 1), "{:?}", failures(report));
        assert_eq!(target.check_whole("app", tag), Ok(()));
    }
    assert_eq!((listings(&source), listings(&target)), (1, 1), "{}", target.summary());
}

#[tokio::test]
async fn also_those_that_begin_when_the_others_are_done() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());

    let _pass = engine.begin_pass();
    for rule in rules(&source, &target) {
        assert_eq!(run(&engine, &rule).await.outcome, RunOutcome::Success);
    }

    // What the first has written is not in the listing that the others go by: that costs requests, and nothing else.
    assert_eq!((listings(&source), listings(&target)), (1, 1));
    assert!(TAGS.iter().all(|tag| target.check_whole("app", tag).is_ok()));
}

#[tokio::test]
async fn the_next_pass_sees_what_was_pushed_since() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());
    let rules = rules(&source, &target);
    let first = engine.begin_pass();
    side_by_side(&engine, &rules).await;

    source.seed("app", "2.1", &Image::oci("linux/amd64").layer(9, 100).build());
    // The one before may still be held: by a run that does not end, say.
    let second = engine.begin_pass();
    let reports = side_by_side(&engine, &rules).await;
    drop((first, second));

    assert_eq!(reports[3].images.len(), 2);
    assert_eq!(target.check_whole("app", "2.1"), Ok(()));
    assert_eq!((listings(&source), listings(&target)), (2, 2));
}

#[tokio::test]
async fn a_run_outside_of_a_pass_reads_its_own_listings() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());

    side_by_side(&engine, &rules(&source, &target)).await;

    assert_eq!((listings(&source), listings(&target)), (4, 4));
}

#[tokio::test]
async fn a_listing_that_is_refused_is_asked_for_once_and_told_by_every_rule() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());
    let refused = Effect::Status { code: 403, headers: Vec::new(), body: String::new() };
    source.fault(Fault::on(Method::GET, Endpoint::Tags), refused);

    let _pass = engine.begin_pass();
    let reports = side_by_side(&engine, &rules(&source, &target)).await;

    for report in reports {
        let error = report.error.unwrap_or_default();
        assert!(report.outcome == RunOutcome::Failure && error.contains("403"), "{error}");
    }
    assert_eq!(listings(&source), 1);
}

#[tokio::test]
async fn globs_over_one_registry_read_its_catalog_once() {
    let (source, target, engine) = (with_tags().await, FakeRegistry::start().await, engine());
    let rules = ["a*", "*p", "?pp"].map(|pattern| {
        let folder = format!("m{}", pattern.len());
        let from = Source::Repositories(host(source.host()), RepositoryPattern::new(pattern).unwrap());
        let to =
            Target::Below { host: host(target.host()), folder: Some(folder.parse().unwrap()), appends: Appends::Name };
        rule_of(pattern, vec![from], vec![to], &["2.0"])
    });

    let _pass = engine.begin_pass();
    let reports = side_by_side(&engine, &rules).await;

    assert!(reports.iter().all(|report| report.outcome == RunOutcome::Success));
    assert_eq!(source.count(&Method::GET, Endpoint::Catalog), 1);
}
