//! Logging in: by the registry's challenge, one token a scope, refreshed when it is refused.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::events::{ImageOutcome, RunOutcome};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{Retries, copy, engine, engine_with, failures, location, login, rule, run};

#[tokio::test]
async fn basic_and_bearer_are_answered_by_the_challenge_without_a_ping() {
    let source = FakeRegistry::builder().basic_auth("reader", "r3ad").start().await;
    let target = FakeRegistry::builder().token_auth("writer", "wr1te").start().await;
    source.seed("app", "v1", &hello_world());
    let settings = HashMap::from([login(source.host(), "reader", "r3ad"), login(target.host(), "writer", "wr1te")]);
    let engine = engine_with(settings, Arc::new(Retries::default()));

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    for registry in [&source, &target] {
        assert_eq!(registry.count(&Method::GET, Endpoint::Base), 0);
        let refused = registry.requests().iter().filter(|request| request.status == Some(401)).count();
        assert_eq!(refused, 1, "only the first request of all was challenged: {}", registry.summary());
    }
}

#[tokio::test]
async fn one_token_serves_all_who_wait_for_it() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    let target = FakeRegistry::start().await;
    for tag in 0..20 {
        source.seed("app", &format!("v{tag}"), &Image::oci("linux/amd64").layer(tag, 100).build());
    }
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(source.count(&Method::GET, Endpoint::Token), 1, "{}", source.summary());
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_anew_once() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    let (engine, retries) = with_retries();
    run(&engine, &rule).await;

    source.revoke_tokens();
    let report = run(&engine, &rule).await;

    assert_eq!(report.outcome, RunOutcome::Success);
    assert_eq!(source.count(&Method::GET, Endpoint::Token), 2, "{}", source.summary());
    assert_eq!(retries.reasons(), ["auth"]);
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories() {
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().token_auth("u", "p").start().await;
    let image = Image::oci("linux/amd64").layer(1, 1_000).build();
    source.seed("a", "v1", &image);
    source.seed("b", "v1", &image);
    let engine = engine_with(HashMap::from([login(target.host(), "u", "p")]), Arc::new(Retries::default()));
    let _knowledge = engine.knowledge();
    copy(&engine, &format!("{}/a:v1", source.host()), &format!("{}/a:v1", target.host())).await;

    let report = copy(&engine, &format!("{}/b:v1", source.host()), &format!("{}/b:v1", target.host())).await;

    assert_eq!(report.blobs.mounted, 2, "{:?}", report.error);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    for builder in [FakeRegistry::builder().basic_auth("u", "right"), FakeRegistry::builder().token_auth("u", "right")]
    {
        let source = builder.start().await;
        source.seed("app", "v1", &hello_world());
        let engine = engine_with(HashMap::from([login(source.host(), "u", "wr0ng")]), Arc::new(Retries::default()));

        let report = copy(&engine, &format!("{}/app:v1", source.host()), "localhost:1/app:v1").await;

        let error = report.error.unwrap();
        assert!(error.contains("401") && error.contains("was refused") && !error.contains("wr0ng"), "{error}");
    }
}

fn with_retries() -> (Arc<regferry::transfer::Engine>, Arc<Retries>) {
    let retries = Arc::new(Retries::default());
    (engine_with(HashMap::new(), Arc::clone(&retries) as _), retries)
}

#[tokio::test]
async fn a_registry_that_wants_a_login_that_there_is_not_is_asked_once() {
    let source = FakeRegistry::builder().basic_auth("u", "p").start().await;
    source.seed("app", "v1", &hello_world());

    let report = copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/app:v2", source.host())).await;

    assert!(report.error.unwrap().contains("401"));
    assert!(source.requests().len() <= 2, "{}", source.summary());
}

#[tokio::test]
async fn a_registry_that_takes_no_token_is_not_stormed() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    let target = FakeRegistry::start().await;
    let image = Image::oci("linux/amd64").layer(1, 100).build();
    for tag in 0..40 {
        source.seed("app", &format!("v{tag}"), &image);
    }
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", source.host());
    source.fault(
        Fault::on(Method::HEAD, Endpoint::Manifest),
        Effect::status_with(401, &[("WWW-Authenticate", &challenge)]),
    );
    let tags: Vec<String> = (0..40).map(|tag| format!("v{tag}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &tags);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report).len(), 40);
    assert!(source.count(&Method::HEAD, Endpoint::Manifest) <= 80, "{}", source.summary());
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_by_everyone_who_waits() {
    let source = FakeRegistry::builder().token_auth("u", "right").start().await;
    let target = FakeRegistry::start().await;
    let tags: Vec<String> = (0..40).map(|tag| format!("v{tag}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &tags);
    let engine = engine_with(HashMap::from([login(source.host(), "u", "wrong")]), Arc::new(()));

    let report = run(&engine, &rule).await;

    assert_eq!(failures(&report).len(), 40);
    assert_eq!(source.count(&Method::GET, Endpoint::Token), 1, "too many of them lock an account");
}

#[tokio::test]
async fn another_hosts_challenge_is_not_answered() {
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().basic_auth("bot", "s3cret").start().await;
    let stranger = FakeRegistry::builder().token_auth("x", "y").start().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).build());
    let elsewhere = format!("http://{}/v2/app/blobs/uploads/1", stranger.host());
    target.fault(Fault::on(Method::POST, Endpoint::Upload), Effect::header("Location", &elsewhere));
    let engine = engine_with(HashMap::from([login(target.host(), "bot", "s3cret")]), Arc::new(()));

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert!(report.error.unwrap().contains("401"));
    assert!(stranger.count(&Method::PUT, Endpoint::Upload) > 0, "{}", stranger.summary());
    assert!(stranger.requests().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(stranger.count(&Method::GET, Endpoint::Token), 0);
}

#[tokio::test]
async fn a_401_without_a_challenge_is_answered_by_that_of_the_base() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let tokens = FakeRegistry::builder().anonymous_tokens().start().await;
    source.seed("app", "v1", &hello_world());
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", tokens.host());
    source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), Effect::status(401));
    source.fault(Fault::on(Method::GET, Endpoint::Base), Effect::status_with(401, &[("WWW-Authenticate", &challenge)]));

    let report = copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    assert_eq!(source.count(&Method::GET, Endpoint::Base), 1, "{}", source.summary());
    assert_eq!(tokens.count(&Method::GET, Endpoint::Token), 1, "{}", tokens.summary());
}
