//! How many requests a registry takes at once is found out, by class.

use std::time::Duration;

use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::gauge::{LIMIT, gauged, settings};
use crate::support::{failures, location, rule, run};

fn refused(registry: &FakeRegistry, from: usize) -> (usize, usize) {
    let requests = registry.requests();
    let later = &requests[from.min(requests.len())..];
    (later.iter().filter(|request| request.status == Some(429)).count(), later.len())
}

#[tokio::test]
async fn a_registry_that_takes_few_requests_at_once_is_soon_asked_no_more() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for n in 0..60 {
        source.seed("app", &format!("v{n}"), &Image::oci("linux/amd64").layer(n, 1_000).build());
    }
    for registry in [&source, &target] {
        registry.fault(Fault::any().busier_than(3), Effect::status(429));
        registry.fault(Fault::any(), Effect::Delay(Duration::from_millis(5)));
    }
    let (engine, _) = gauged([settings(&source, |_| ()), settings(&target, |_| ())]);
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);

    let report = tokio::time::timeout(LIMIT, run(&engine, &rule)).await.unwrap();

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!((target.tags("app").len(), target.incomplete_tags()), (60, vec![]));
    for registry in [&source, &target] {
        let (refused, asked) = refused(registry, 60);
        assert!(self::refused(registry, 0).0 > 0, "it was found out by asking: {}", registry.summary());
        assert!(refused * 2 < asked, "{refused} of {asked}: {}", registry.summary());
    }
}

#[tokio::test]
async fn uploads_that_are_throttled_leave_reads_alone() {
    for status in [429, 503] {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let unchanged = Image::oci("linux/amd64").layer(1_000, 1_000).build();
        for n in 0..100 {
            source.seed("other", &format!("v{n}"), &unchanged);
            target.seed("other", &format!("v{n}"), &unchanged);
            source.seed("app", &format!("v{n}"), &Image::oci("linux/amd64").layer(n, 1_000).build());
        }
        target.fault(Fault::on(Method::POST, Endpoint::Upload), Effect::status(status));
        let (engine, _) = gauged([settings(&target, |_| ())]);
        let to_target = |name: &str| rule(name, location(source.host(), name), location(target.host(), name), &["v*"]);
        let (app, other) = (to_target("app"), to_target("other"));
        let uploads = async {
            while target.count(&Method::POST, Endpoint::Upload) < 10 {
                tokio::task::yield_now().await;
            }
            // At the pace of the uploads this would take minutes.
            run(&engine, &other).await
        };

        let report = tokio::select! {
            report = run(&engine, &app) => panic!("nothing could be uploaded: {report:?}"),
            report = tokio::time::timeout(LIMIT, uploads) => report.expect("reads are not in the way of uploads"),
        };

        assert_eq!((failures(&report), report.images.len()), (vec![], 100), "{status}");
    }
}
