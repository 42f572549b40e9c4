//! `max_connections`: never more requests in flight than that, bodies counted; and nobody waits for another for ever.

use std::time::Duration;

use proptest::prelude::*;
use regferry::events::ImageOutcome;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio::task::JoinSet;

use crate::gauge::{LIMIT, gauged, settings};
use crate::support::{copy, failures, location, rule, run};

/// More than the sockets' buffers hold of a body that nobody takes.
const LARGE: u64 = 12 << 20;

/// Seeds `app` with images of one large layer each.
fn seed_large(source: &FakeRegistry, count: u64) {
    for n in 0..count {
        let layer = source.seed_generated_blob("app", LARGE, n);
        let image = Image::oci("linux/amd64").layer_elsewhere(layer).build();
        source.seed("app", &format!("v{n}"), &image);
    }
}

/// Mirrors some large blobs to a target that takes its time; the most requests at once at source and target.
async fn most_in_flight(max_connections: usize) -> (usize, usize) {
    let (source, target) =
        (FakeRegistry::start().await, FakeRegistry::builder().discard_large_uploads(1 << 20).start().await);
    seed_large(&source, 6);
    target.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::Delay(Duration::from_millis(50)));
    let limited = |registry| settings(registry, |s| s.limits.max_connections = Some(max_connections));
    let (engine, _) = gauged([limited(&source), limited(&target)]);
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);

    let report = tokio::time::timeout(LIMIT, run(&engine, &rule)).await.unwrap();

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(report.images.len(), 6);
    (source.most_in_flight(), target.most_in_flight())
}

#[tokio::test]
async fn no_more_requests_than_one_are_in_flight() {
    assert_eq!(most_in_flight(1).await, (1, 1));
}

#[tokio::test]
async fn no_more_requests_than_two_are_in_flight() {
    assert_eq!(most_in_flight(2).await, (2, 2));
}

#[tokio::test]
async fn no_more_requests_than_five_are_in_flight() {
    let (source, target) = most_in_flight(5).await;
    assert!((2..=5).contains(&source) && (2..=5).contains(&target), "{source} and {target}");
}

#[tokio::test]
async fn what_goes_there_back_and_within_one_registry_goes_at_once() {
    let (a, b) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for n in 0..8 {
        a.seed("from-a", &format!("v{n}"), &Image::oci("linux/amd64").layer(n, 300_000).build());
        b.seed("from-b", &format!("v{n}"), &Image::oci("linux/arm64").layer(100 + n, 300_000).build());
    }
    let limited = |registry| settings(registry, |s| s.limits.max_connections = Some(1));
    let (engine, _) = gauged([limited(&a), limited(&b)]);
    let mut runs = JoinSet::new();
    for (from, repository, to) in [(&a, "from-a", &b), (&b, "from-b", &a), (&a, "from-a", &a), (&b, "from-b", &b)] {
        let name = format!("{}-{}", from.host(), to.host());
        let rule = rule(&name, location(from.host(), repository), location(to.host(), "copies"), &["v*"]);
        let engine = engine.clone();
        runs.spawn(async move { run(&engine, &rule).await });
    }

    let reports = tokio::time::timeout(LIMIT, runs.join_all()).await.expect("none waits for another in a circle");

    for report in reports {
        assert_eq!((failures(&report), report.images.len()), (vec![], 8));
    }
    // A copy inside one registry may use two.
    assert!(a.most_in_flight() <= 2 && b.most_in_flight() <= 2, "{} and {}", a.most_in_flight(), b.most_in_flight());
}

#[tokio::test]
async fn a_copy_inside_one_registry_does_not_stand_behind_those_that_wait_for_it() {
    let registry = FakeRegistry::start().await;
    let other = FakeRegistry::start().await;
    let layers = (0..20).fold(Image::oci("linux/amd64"), |image, n| image.layer(n, 20_000)).build();
    registry.seed("app", "v1", &layers);
    let others = (0..20).fold(Image::oci("linux/amd64"), |image, n| image.layer(100 + n, 20_000)).build();
    other.seed("app", "v1", &others);
    let limited = |registry| settings(registry, |s| s.limits.max_connections = Some(1));
    let (engine, _) = gauged([limited(&registry), limited(&other)]);
    let image = |registry: &FakeRegistry, repository: &str| format!("{}/{repository}:v1", registry.host());
    let (from, within, to) = (image(&registry, "app"), image(&registry, "copy"), image(&registry, "other"));
    let from_other = image(&other, "app");

    let both = async { tokio::join!(copy(&engine, &from, &within), copy(&engine, &from_other, &to)) };
    let (within, across) = tokio::time::timeout(LIMIT, both).await.expect("both come to an end");

    assert_eq!((within.outcome, across.outcome), (ImageOutcome::Copied, ImageOutcome::Copied));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn copies_between_three_registries_all_come_to_an_end(
        connections in prop::array::uniform3(1usize..4),
        copies in prop::collection::vec((0usize..3, 0usize..3), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let registries = [FakeRegistry::start().await, FakeRegistry::start().await, FakeRegistry::start().await];
            let limited =
                |n: usize| settings(&registries[n], |s| s.limits.max_connections = Some(connections[n]));
            let (engine, _) = gauged([limited(0), limited(1), limited(2)]);
            let mut tasks = JoinSet::new();
            for (n, (from, to)) in copies.iter().enumerate() {
                let layer = |k: usize| (n * 3 + k) as u64;
                let image = Image::oci("linux/amd64").layer(layer(0), 5_000).layer(layer(1), 70_000).build();
                registries[*from].seed(&format!("from-{n}"), "v1", &image);
                let source = format!("{}/from-{n}:v1", registries[*from].host());
                let target = format!("{}/to-{n}:v1", registries[*to].host());
                let engine = engine.clone();
                tasks.spawn(async move { copy(&engine, &source, &target).await.error });
            }
            let errors = tokio::time::timeout(LIMIT, tasks.join_all()).await;
            prop_assert_eq!(errors.map(|errors| errors.into_iter().flatten().collect()), Ok(Vec::<String>::new()));
            for (n, registry) in registries.iter().enumerate() {
                prop_assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
                let is_inside = copies.iter().any(|(from, to)| from == to && *from == n);
                let most = connections[n] + usize::from(is_inside && connections[n] == 1);
                prop_assert!(registry.most_in_flight() <= most, "{} of {most}", registry.most_in_flight());
            }
            Ok(())
        })?;
    }
}
