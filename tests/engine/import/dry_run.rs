//! A dry run says what would be done, and changes nothing.

use std::sync::Arc;

use regferry::events::ImageOutcome;
use regferry::transfer::{Import, Mode, Platforms, Referrers, Rule};
use testkit::content::hello_world;
use testkit::{FakeRegistry, Image, Method};
use tokio_util::sync::CancellationToken;

use super::{done, of, only, pair, run};
use crate::support::{engine, location, rule_for_image};

fn dry(import: Import) -> Import {
    Import { dry_run: true, ..import }
}

fn assert_untouched(registry: &FakeRegistry) {
    let reads = |method: &Method| *method == Method::GET || *method == Method::HEAD;
    assert!(registry.requests().iter().all(|request| reads(&request.method)), "{}", registry.summary());
}

#[tokio::test]
async fn each_target_is_told_what_it_would_cost() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    target.seed("c", "v1", &hello_world());

    let planned = done(&engine(), &dry(of(&source, &target, &["a:v1", "b:v1", "c:v1", "a:v2"]))).await;

    let bytes: usize = hello_world().blobs().map(|blob| blob.bytes.len()).sum();
    let [a, b, c, again] = planned.images.as_slice() else { panic!("{planned:?}") };
    assert_eq!((a.outcome, a.blobs.copied, a.bytes), (ImageOutcome::Copied, 7, bytes as u64));
    assert_eq!((b.outcome, b.blobs.mounted, b.bytes), (ImageOutcome::Copied, 7, 0));
    assert_eq!(c.outcome, ImageOutcome::Unchanged);
    assert_eq!((again.outcome, again.bytes), (ImageOutcome::Copied, 0));
    assert_untouched(&target);
    assert_eq!(target.repositories(), ["c"]);
}

#[tokio::test]
async fn a_conflict_is_the_error_that_it_would_be() {
    let (source, target) = pair().await;
    source.seed("app", "v1", &hello_world());
    target.seed("app", "v1", &Image::oci("linux/amd64").layer(9, 10).build());
    let import = of(&source, &target, &["app:v1"]);

    let real = run(&engine(), &import).await.unwrap_err().to_string();
    let rehearsed = run(&engine(), &dry(import)).await.unwrap_err().to_string();

    assert_eq!(rehearsed, real);
}

#[tokio::test]
async fn it_asks_no_more_than_the_dry_run_of_a_rule() {
    for (wanted, referrers) in [
        (&[][..], false),
        (&[][..], true),
        (&["linux/amd64", "linux/arm64"][..], false),
        (&["linux/amd64", "linux/arm64"], true),
    ] {
        let (source, target) = pair().await;
        source.seed("app", "v1", &hello_world());
        target.seed("app", "old", &hello_world().children[0]);
        let referrers = if referrers { Referrers::All } else { Referrers::None };
        let asked = || {
            let asked = source.requests().len() + target.requests().len();
            source.clear_requests();
            target.clear_requests();
            asked
        };

        let rule = rule_for_image("app", &format!("{}/app:v1", source.host()), location(target.host(), "app"), None);
        let platforms = (!wanted.is_empty()).then(|| {
            let wanted = wanted.iter().map(|text| text.parse().unwrap()).collect();
            Platforms::new(wanted, regferry::transfer::PlatformMode::Rewrite).unwrap()
        });
        let rule = Arc::new(Rule { platforms, referrers: referrers.clone(), ..(*rule).clone() });
        engine().run(&rule, Mode::Plan, &CancellationToken::new()).await;
        let by_rule = asked();
        done(&engine(), &Import { referrers, ..only(dry(of(&source, &target, &["app:v1"])), wanted) }).await;

        let by_import = asked();
        assert!(by_import <= by_rule, "{wanted:?}: {by_import}, and a rule {by_rule}");
        assert_untouched(&target);
    }
}

#[tokio::test]
async fn referrers_that_would_come_are_counted() {
    let source = FakeRegistry::builder().with_referrers().start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    source.seed_untagged("app", &Image::artifact("text/sig").layer(1, 40).subject(&hello_world()).build());

    let planned =
        done(&engine(), &Import { referrers: Referrers::All, ..dry(of(&source, &target, &["app:v1"])) }).await;

    assert_eq!(planned.images[0].referrers, 1);
    assert_untouched(&target);
}
