//! A registry that counts pulls, as Docker Hub does: none is wasted, and who has to wait holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use regferry::events::{ImageOutcome, RuleReport, RunOutcome};
use regferry::transfer::Rule;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::gauge::{LIMIT, gauged, settings};
use crate::support::{copy, engine, failures, location, rule, run};

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(2);

/// A registry with so many pulls in a window, and so many images `v0`, `v1`, … of one document each.
async fn hub(pulls: usize, window: Duration, images: u64) -> FakeRegistry {
    let hub = FakeRegistry::builder().pulls(pulls, window).start().await;
    (0..images).for_each(|n| drop(hub.seed("app", &format!("v{n}"), &image(n))));
    hub
}

fn image(n: u64) -> Image {
    Image::oci("linux/amd64").layer(n, 1_000).build()
}

/// Mirrors so many images of `app`, by their names.
fn mirror(hub: &FakeRegistry, target: &FakeRegistry, images: u64, timeout: Option<Duration>) -> Arc<Rule> {
    let tags: Vec<String> = (0..images).map(|n| format!("v{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let rule = rule("app", location(hub.host(), "app"), location(target.host(), "app"), &tags);
    Arc::new(Rule { timeout, ..(*rule).clone() })
}

fn outcomes(report: &RuleReport, outcome: ImageOutcome) -> usize {
    report.images.iter().filter(|image| image.outcome == outcome).count()
}

fn pulls(hub: &FakeRegistry) -> usize {
    hub.count(&Method::GET, Endpoint::Manifest)
}

fn refused(registry: &FakeRegistry) -> usize {
    registry.requests().iter().filter(|request| request.status == Some(429)).count()
}

#[tokio::test]
async fn what_is_left_is_read_from_every_answer() {
    let (hub, target) = (hub(10, MINUTE, 1).await, FakeRegistry::start().await);
    target.seed("app", "v0", &image(0));
    let (engine, gauge) = gauged([]);
    run(&engine, &mirror(&hub, &target, 1, None)).await;
    assert_eq!((gauge.pulls_left(&hub), pulls(&hub)), (vec![10], 0), "a HEAD tells, and is no pull");

    let other = FakeRegistry::start().await;
    hub.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::header("ratelimit-remaining", "7;w=60"));
    run(&engine, &mirror(&hub, &other, 1, None)).await;
    assert_eq!(gauge.pulls_left(&hub), [10, 10, 9, 7, 7]);
}

#[tokio::test]
async fn pulls_stop_before_the_reserve_and_what_needs_none_goes_on() {
    let (hub, target) = (hub(10, MINUTE, 8).await, FakeRegistry::start().await);
    // Two are in place.
    [2, 5].into_iter().for_each(|n| drop(target.seed("app", &format!("v{n}"), &image(n))));
    let (engine, _) = gauged([settings(&hub, |s| s.limits.pull_reserve = 7)]);

    let report = run(&engine, &mirror(&hub, &target, 8, Some(Duration::from_secs(1)))).await;

    assert_eq!((pulls(&hub), refused(&hub)), (3, 0));
    assert_eq!(report.outcome, RunOutcome::Timeout);
    let [copied, unchanged, skipped] =
        [ImageOutcome::Copied, ImageOutcome::Unchanged, ImageOutcome::Skipped].map(|o| outcomes(&report, o));
    assert_eq!((copied, unchanged, skipped), (3, 2, 3));
    assert_eq!((target.tags("app").len(), target.incomplete_tags()), (5, vec![]));
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert!(warning.contains(hub.host()) && warning.contains("images that wait: 3"), "{warning}");
    assert!(warning.contains("again by 20"), "{warning}");
    let skipped = report.images.iter().find(|image| image.outcome == ImageOutcome::Skipped).unwrap();
    assert!(skipped.error.as_deref().unwrap().contains("waited for pulls"), "{:?}", skipped.error);
}

#[tokio::test]
async fn a_run_goes_on_when_pulls_are_left_again() {
    let (hub, target) = (hub(2, SHORT, 4).await, FakeRegistry::start().await);

    let report = tokio::time::timeout(LIMIT, run(&engine(), &mirror(&hub, &target, 4, None))).await.unwrap();

    assert_eq!((report.outcome, outcomes(&report, ImageOutcome::Copied)), (RunOutcome::Success, 4));
    assert_eq!((pulls(&hub), refused(&hub)), (4, 0), "none twice, none in vain");
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
}

#[tokio::test]
async fn what_was_pulled_before_the_wait_is_not_pulled_again() {
    let (hub, target) = (hub(2, SHORT, 0).await, FakeRegistry::start().await);
    hub.seed("app", "v0", &hello_world());

    let report = tokio::time::timeout(LIMIT, run(&engine(), &mirror(&hub, &target, 1, None))).await.unwrap();

    assert_eq!(report.outcome, RunOutcome::Success, "{:?}", failures(&report));
    assert_eq!((pulls(&hub), refused(&hub)), (4, 0), "the list and its three images");
}

#[tokio::test]
async fn a_listed_tag_that_was_pulled_by_name_is_not_pulled_again() {
    let (hub, target) = (hub(2, SHORT, 0).await, FakeRegistry::start().await);
    hub.seed("app", "v0", &hello_world());
    let rule = rule("app", location(hub.host(), "app"), location(target.host(), "app"), &["v*"]);

    let report = tokio::time::timeout(LIMIT, run(&engine(), &rule)).await.unwrap();

    assert_eq!(report.outcome, RunOutcome::Success, "{:?}", failures(&report));
    assert_eq!(pulls(&hub), 4 + refused(&hub), "the list and its three images");
}

#[tokio::test]
async fn a_quota_that_others_used_up_is_not_hammered() {
    let (hub, target) = (Arc::new(hub(1, MINUTE, 5).await), FakeRegistry::start().await);
    // All five are looked up; then somebody else takes what they were told of.
    let (other, used_up) = (Arc::downgrade(&hub), hub.after_requests(6));
    let spend = tokio::spawn(async move {
        let held = used_up.await;
        other.upgrade().unwrap().spend_pull();
        drop(held);
    });

    let report = run(&engine(), &mirror(&hub, &target, 5, Some(Duration::from_secs(1)))).await;

    spend.await.unwrap();
    assert_eq!(report.outcome, RunOutcome::Timeout);
    assert_eq!((outcomes(&report, ImageOutcome::Skipped), target.tags("app").len()), (5, 0));
    assert_eq!((pulls(&hub), refused(&hub)), (1, 1), "{}", hub.summary());
}

#[tokio::test]
async fn a_run_does_not_wait_for_pulls_that_never_come() {
    let (hub, target) = (hub(3, MINUTE, 3).await, FakeRegistry::start().await);
    let (engine, _) = gauged([settings(&hub, |s| s.limits.pull_reserve = 3)]);

    let report = tokio::time::timeout(LIMIT, run(&engine, &mirror(&hub, &target, 3, None))).await.unwrap();

    assert_eq!((report.outcome, outcomes(&report, ImageOutcome::Failed)), (RunOutcome::Failure, 3));
    assert!(failures(&report).iter().all(|error| error.contains("pull_reserve")), "{:?}", failures(&report));
}

#[tokio::test]
async fn others_go_on_while_a_run_waits_for_pulls() {
    let (hub, target, other) = (hub(1, MINUTE, 3).await, FakeRegistry::start().await, FakeRegistry::start().await);
    hub.spend_pull();
    other.seed("other", "v1", &image(9));
    let engine = engine();
    let waiting = mirror(&hub, &target, 3, None);
    let to = |registry: &FakeRegistry| format!("{}/other:v1", registry.host());
    let (from, to_target, to_hub) = (to(&other), to(&target), to(&hub));
    let others = async {
        while hub.count(&Method::HEAD, Endpoint::Manifest) < 3 {
            tokio::task::yield_now().await;
        }
        [copy(&engine, &from, &to_target).await.error, copy(&engine, &from, &to_hub).await.error]
    };

    tokio::select! {
        report = run(&engine, &waiting) => panic!("there are no pulls: {report:?}"),
        errors = tokio::time::timeout(LIMIT, others) => assert_eq!(errors, Ok([None, None])),
    }

    assert_eq!(pulls(&hub), 0);
}

#[tokio::test]
async fn the_rule_that_has_waited_longest_for_a_success_comes_first() {
    let (hub, target) = (hub(2, SHORT, 3).await, FakeRegistry::start().await);
    hub.seed("starved", "v0", &image(7));
    let engine = engine();
    assert_eq!(run(&engine, &mirror(&hub, &target, 2, None)).await.outcome, RunOutcome::Success);
    hub.clear_requests();
    let fed = mirror(&hub, &target, 3, None);
    let starved = rule("starved", location(hub.host(), "starved"), location(target.host(), "starved"), &["v0"]);

    let both = async { tokio::join!(run(&engine, &fed), run(&engine, &starved)) };
    let (fed, starved) = tokio::time::timeout(LIMIT, both).await.unwrap();

    assert_eq!((fed.outcome, starved.outcome), (RunOutcome::Success, RunOutcome::Success));
    let pulled = hub.requests().into_iter().filter(|r| r.endpoint == Endpoint::Manifest && r.method == Method::GET);
    let repositories: Vec<_> = pulled.filter_map(|request| request.repository).collect();
    assert_eq!(repositories, ["starved", "app"]);
}

#[tokio::test]
async fn an_import_without_pulls_fails_at_once_and_says_so() {
    let (hub, target) = (hub(0, MINUTE, 1).await, FakeRegistry::start().await);

    let report = copy(&engine(), &format!("{}/app:v0", hub.host()), &format!("{}/app:v0", target.host())).await;

    let error = report.error.unwrap();
    assert!(error.contains("pulls"), "{error}");
    assert!(error.contains(hub.host()), "{error}");
    assert_eq!((pulls(&hub), target.repositories()), (0, vec![]));
}
