//! Challenges in every shape, and tokens: what they are for, and how long they last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use regferry::events::ImageOutcome;
use regferry::transfer::Engine;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{Retries, copy, engine, engine_with, failures, location, login, rule, run};

/// A source that challenges its first request, and the server of its tokens.
struct Challenged {
    source: FakeRegistry,
    tokens: FakeRegistry,
    target: FakeRegistry,
}

impl Challenged {
    /// Each challenge is a header; `REALM` in it stands for the URL of the token server.
    async fn with(challenges: &[&str]) -> Self {
        let tokens = FakeRegistry::builder().anonymous_tokens().start().await;
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &hello_world());
        let realm = format!("http://{}/token", tokens.host());
        let challenges: Vec<_> = challenges.iter().map(|challenge| challenge.replace("REALM", &realm)).collect();
        let headers: Vec<_> = challenges.iter().map(|challenge| ("WWW-Authenticate", challenge.as_str())).collect();
        source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), Effect::status_with(401, &headers));
        Self { source, tokens, target }
    }

    async fn copy(&self, engine: &Arc<Engine>) -> Result<(), String> {
        let (from, to) = (format!("{}/app:v1", self.source.host()), format!("{}/app:v1", self.target.host()));
        copy(engine, &from, &to).await.error.map_or(Ok(()), Err)
    }

    /// What the challenged request carried when it was made again.
    fn answered_with(&self) -> Option<String> {
        self.source.requests().get(1)?.header("authorization").map(str::to_owned)
    }
}

const BEARER: &str = r#"Bearer realm="REALM",service="s",scope="repository:app:pull""#;

#[tokio::test]
async fn a_bearer_challenge_is_found_among_others_in_one_header_or_in_many() {
    let cases: [&[&str]; 5] = [
        &["Negotiate", BEARER],
        &[BEARER, "Negotiate", r#"Basic realm="r""#],
        &[&format!("Negotiate, {BEARER}")],
        &[&format!(r#"{BEARER}, Basic realm="a, \"b\"", Negotiate"#)],
        &[&format!(r#"NTLM, Digest realm="x, Basic", nonce="a,b=", {BEARER}"#)],
    ];
    for challenges in cases {
        let challenged = Challenged::with(challenges).await;

        challenged.copy(&engine()).await.unwrap_or_else(|error| panic!("{challenges:?}: {error}"));

        assert_eq!(challenged.answered_with().as_deref(), Some("Bearer token-1"), "{challenges:?}");
        assert_eq!(challenged.tokens.requests()[0].parameter("service").as_deref(), Some("s"), "{challenges:?}");
    }
}

#[tokio::test]
async fn without_a_login_a_token_is_asked_for_also_where_basic_is_offered_first() {
    for challenges in [&[r#"Basic realm="r""#, BEARER][..], &[&format!(r#"Basic realm="r", {BEARER}"#)]] {
        let challenged = Challenged::with(challenges).await;

        challenged.copy(&engine()).await.unwrap_or_else(|error| panic!("{challenges:?}: {error}"));

        assert_eq!(challenged.answered_with().as_deref(), Some("Bearer token-1"), "{challenges:?}");
    }
}

#[tokio::test]
async fn basic_is_answered_where_it_is_all_that_is_understood() {
    for challenges in
        [&["Negotiate", r#"Basic realm="a, b""#][..], &[r#"Negotiate, basic realm="a, b", charset="UTF-8""#]]
    {
        let challenged = Challenged::with(challenges).await;
        let engine = engine_with(HashMap::from([login(challenged.source.host(), "u", "p")]), Arc::new(()));

        challenged.copy(&engine).await.unwrap_or_else(|error| panic!("{challenges:?}: {error}"));

        assert_eq!(challenged.answered_with().as_deref(), Some("Basic dTpw"), "{challenges:?}");
    }
}

#[tokio::test]
async fn a_comma_in_quotes_separates_nothing() {
    let challenged = Challenged::with(&[r#"Bearer service="a, Basic \"b\"", realm="REALM""#]).await;

    challenged.copy(&engine()).await.unwrap();

    let asked = challenged.tokens.requests();
    assert_eq!(asked[0].parameter("service").as_deref(), Some(r#"a, Basic "b""#));
}

#[tokio::test]
async fn a_challenge_that_nobody_understands_is_told_as_a_refusal() {
    let challenged = Challenged::with(&["Negotiate"]).await;

    let error = challenged.copy(&engine()).await.unwrap_err();

    assert!(error.contains("401") && error.contains("log in"), "{error}");
    assert_eq!(challenged.answered_with(), None);
}

#[tokio::test]
async fn a_token_goes_by_either_name() {
    for (body, token) in [
        (r#"{"access_token":"a"}"#, "Bearer a"),
        (r#"{"token":"t","expires_in":300,"issued_at":"2024-01-01T00:00:00Z"}"#, "Bearer t"),
        (r#"{"token":"t","access_token":"a"}"#, "Bearer t"),
        (r#"{"token":"","access_token":"a"}"#, "Bearer a"),
    ] {
        let challenged = Challenged::with(&[BEARER]).await;
        challenged.tokens.fault(Fault::on(Method::GET, Endpoint::Token), json(body));

        challenged.copy(&engine()).await.unwrap();

        assert_eq!(challenged.answered_with().as_deref(), Some(token), "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_an_error_of_the_login() {
    for body in ["{}", "[]", "", "<html>", r#"{"token":7}"#, r#"{"token":"a\nb"}"#] {
        let challenged = Challenged::with(&[BEARER]).await;
        challenged.tokens.fault(Fault::on(Method::GET, Endpoint::Token), json(body));

        let error = challenged.copy(&engine()).await.unwrap_err();

        assert!(error.contains("(logging in)") && error.contains("holds no token"), "{body}: {error}");
        assert!(challenged.target.repositories().is_empty());
    }
}

#[tokio::test]
async fn a_token_is_replaced_before_it_runs_out_and_not_earlier() {
    let source = FakeRegistry::builder().anonymous_tokens().token_lifetime(Duration::from_secs(300)).start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v1"]);
    let engine = engine();

    for (passed, tokens) in [(0, 1), (150, 1), (145, 2)] {
        pass(Duration::from_secs(passed)).await;
        assert_eq!(failures(&run(&engine, &rule).await), Vec::<String>::new());
        assert_eq!(source.count(&Method::GET, Endpoint::Token), tokens, "{}", source.summary());
    }
    let refused = source.requests().iter().filter(|request| request.status == Some(401)).count();
    assert_eq!(refused, 1, "the first request of all");
}

#[tokio::test]
async fn a_token_of_no_or_of_a_short_lifetime_is_good_for_a_minute() {
    for body in [r#"{"token":"t"}"#, r#"{"token":"t","expires_in":0}"#, r#"{"token":"t","expires_in":5}"#] {
        let challenged = Challenged::with(&[BEARER]).await;
        challenged.tokens.fault(Fault::on(Method::GET, Endpoint::Token), json(body));
        let engine = engine();

        for (passed, tokens) in [(0, 1), (40, 1), (21, 2)] {
            pass(Duration::from_secs(passed)).await;
            challenged.copy(&engine).await.unwrap();
            assert_eq!(challenged.tokens.count(&Method::GET, Endpoint::Token), tokens, "{body}");
        }
    }
}

#[tokio::test]
async fn every_repository_has_a_token_of_its_own() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    let target = FakeRegistry::builder().token_auth("u", "p").start().await;
    let engine = engine_with(HashMap::from([login(target.host(), "u", "p")]), Arc::new(()));
    for repository in ["a", "b", "c"] {
        source.seed(repository, "v1", &Image::oci("linux/amd64").layer(repository.len() as u64, 10).build());
        let (from, to) = (format!("{}/{repository}:v1", source.host()), format!("{}/{repository}:v1", target.host()));
        assert_eq!(copy(&engine, &from, &to).await.outcome, ImageOutcome::Copied);
    }

    for (registry, actions) in [(&source, "pull"), (&target, "pull,push")] {
        let asked = registry.requests();
        let asked = asked.iter().filter(|request| request.endpoint == Endpoint::Token);
        let scopes: Vec<_> = asked.map(|request| request.parameter("scope").unwrap()).collect();
        assert_eq!(scopes, ["a", "b", "c"].map(|name| format!("repository:{name}:{actions}")));
        assert!(registry.requests().iter().all(|request| request.query.matches("scope=").count() <= 1));
    }
}

#[tokio::test]
async fn a_token_of_too_small_a_scope_is_replaced_once() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let realm = format!("http://{}/token", source.host());
    let challenge =
        format!(r#"Bearer realm="{realm}",service="testkit",scope="repository:app:pull",error="insufficient_scope""#);
    let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
    source.fault(Fault::on(Method::GET, Endpoint::Manifest).times(1), refusal);
    let retries = Arc::new(Retries::default());
    let engine = engine_with(HashMap::new(), Arc::clone(&retries) as _);

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.error, None);
    assert_eq!(source.count(&Method::GET, Endpoint::Token), 2, "{}", source.summary());
    assert_eq!(retries.reasons(), ["auth"]);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_as_well_is_the_end() {
    let source = FakeRegistry::builder().anonymous_tokens().start().await;
    source.seed("app", "v1", &hello_world());
    let challenge = format!(r#"Bearer realm="http://{}/token",error="insufficient_scope""#, source.host());
    let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
    source.fault(Fault::on(Method::GET, Endpoint::Manifest), refusal);

    let report = copy(&engine(), &format!("{}/app:v1", source.host()), &format!("{}/copy:v1", source.host())).await;

    assert!(report.error.unwrap().contains("401"));
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 2, "{}", source.summary());
}

/// Lets time pass for both sides, which do not wait meanwhile.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn json(body: &str) -> Effect {
    Effect::Body { content_type: "application/json".to_owned(), bytes: Bytes::copy_from_slice(body.as_bytes()) }
}
