//! Who gets in, and what the others are told.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::wire::{Reply, ask, send};

async fn ask_as(registry: &FakeRegistry, line: &str, authorization: &str) -> Reply {
    ask(registry.host(), line, &[("authorization", authorization)]).await
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Fetches a token for the scopes of this query.
async fn bearer(registry: &FakeRegistry, query: &str) -> String {
    let reply = ask(registry.host(), &format!("GET /token?service=testkit&{query}"), &[]).await;
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    format!("Bearer {}", body["token"].as_str().expect("a token"))
}

#[tokio::test]
async fn basic_wants_the_right_password() {
    let registry = FakeRegistry::builder().basic_auth("ann", "s3cret").start().await;

    let stranger = ask(registry.host(), "GET /v2/", &[]).await;
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some(r#"Basic realm="testkit""#)));
    assert_eq!(ask_as(&registry, "GET /v2/", &basic("ann", "guess")).await.status, 401);
    assert_eq!(ask_as(&registry, "GET /v2/", &basic("ann", "s3cret")).await.status, 200);
}

#[tokio::test]
async fn the_challenge_names_the_scope_and_the_token_opens_it() {
    let registry = FakeRegistry::builder().anonymous_tokens().start().await;
    let blob = registry.put_blob("library/app", "x");
    let line = format!("GET /v2/library/app/blobs/{blob}");

    let challenge = ask(registry.host(), &line, &[]).await;
    let expected = format!(
        r#"Bearer realm="http://{}/token",service="testkit",scope="repository:library/app:pull""#,
        registry.host()
    );
    assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, Some(expected.as_str())));

    let token = bearer(&registry, "scope=repository:library/app:pull").await;
    assert_eq!(ask_as(&registry, &line, &token).await.status, 200);
    assert_eq!(registry.count(&Method::GET, Endpoint::Token), 1, "{}", registry.summary());
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_alone() {
    let registry = FakeRegistry::builder().anonymous_tokens().start().await;
    let token = bearer(&registry, "scope=repository:app:pull").await;

    let other = ask_as(&registry, "GET /v2/other/tags/list", &token).await;
    assert!(other.header("www-authenticate").expect("a challenge").ends_with(r#"error="insufficient_scope""#));
    let push = ask_as(&registry, "POST /v2/app/blobs/uploads/", &token).await;
    assert!(push.header("www-authenticate").expect("a challenge").contains("repository:app:pull,push"));
    assert_eq!(ask_as(&registry, "GET /v2/", &token).await.status, 200, "any token opens the base");
}

#[tokio::test]
async fn a_mount_wants_to_read_where_the_blob_comes_from() {
    let registry = FakeRegistry::builder().anonymous_tokens().start().await;
    let blob = registry.put_blob("base", "x");
    let line = format!("POST /v2/app/blobs/uploads/?mount={blob}&from=base");

    let narrow = bearer(&registry, "scope=repository:app:pull,push").await;
    let refused = ask_as(&registry, &line, &narrow).await;
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains(r#"scope="repository:app:pull,push repository:base:pull""#), "{challenge}");

    let two = bearer(&registry, "scope=repository:app:pull,push&scope=repository:base:pull").await;
    assert_eq!(ask_as(&registry, &line, &two).await.status, 201);
}

#[tokio::test]
async fn tokens_for_a_user_want_the_password() {
    let registry = FakeRegistry::builder().token_auth("ann", "s3cret").start().await;
    assert_eq!(ask(registry.host(), "GET /token", &[]).await.status, 401);
    assert_eq!(ask_as(&registry, "GET /token", &basic("ann", "guess")).await.status, 401);
    assert_eq!(ask_as(&registry, "GET /token", &basic("ann", "s3cret")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn tokens_run_out() {
    let lifetime = Duration::from_secs(60);
    let registry = FakeRegistry::builder().anonymous_tokens().token_lifetime(lifetime).start().await;
    let token = bearer(&registry, "").await;
    assert_eq!(ask_as(&registry, "GET /v2/", &token).await.status, 200);

    tokio::time::advance(lifetime).await;

    let late = ask_as(&registry, "GET /v2/", &token).await;
    assert!(late.header("www-authenticate").expect("a challenge").ends_with(r#"error="invalid_token""#));
}

#[tokio::test]
async fn tokens_can_be_revoked() {
    let registry = FakeRegistry::builder().anonymous_tokens().start().await;
    let token = bearer(&registry, "").await;
    registry.revoke_tokens();
    assert_eq!(ask_as(&registry, "GET /v2/", &token).await.status, 401);
}

#[tokio::test]
async fn who_is_turned_away_uses_up_no_fault() {
    let registry = FakeRegistry::builder().anonymous_tokens().start().await;
    registry.fault(Fault::on(Method::GET, Endpoint::Base).times(1), Effect::status(503));

    assert_eq!(ask(registry.host(), "GET /v2/", &[]).await.status, 401);
    let token = bearer(&registry, "").await;
    assert_eq!(ask_as(&registry, "GET /v2/", &token).await.status, 503);
}

/// Posts a form to the token service.
async fn post(registry: &FakeRegistry, path: &str, form: &str) -> Reply {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    send(registry.host(), &format!("POST {path}"), &headers, form.as_bytes()).await
}

#[tokio::test]
async fn an_identity_token_opens_by_post_and_by_get() {
    let registry = FakeRegistry::builder().identity_auth("", "1d+t").start().await;

    let form = "grant_type=refresh_token&refresh_token=1d%2Bt&scope=repository:app:pull";
    assert_eq!(post(&registry, "/token", form).await.status, 200);
    assert_eq!(post(&registry, "/token", "grant_type=refresh_token&refresh_token=guess").await.status, 401);
    assert_eq!(ask_as(&registry, "GET /token", &basic("", "1d+t")).await.status, 200);

    assert_eq!(registry.requests()[0].field("refresh_token"), Some("1d+t"), "the form is recorded");
}

#[tokio::test]
async fn azures_access_token_gives_a_refresh_token_and_that_a_token() {
    let registry = FakeRegistry::builder().azure_auth("refresh", "access").start().await;

    let challenge = ask(registry.host(), "GET /v2/", &[]).await;
    let realm = format!(r#"Bearer realm="http://{}/oauth2/token""#, registry.host());
    assert!(challenge.header("www-authenticate").expect("a challenge").starts_with(&realm));
    let exchanged = post(&registry, "/oauth2/exchange", "grant_type=access_token&access_token=access").await;
    assert_eq!((exchanged.status, exchanged.text()), (200, r#"{"refresh_token":"refresh"}"#.to_owned()));
    assert_eq!(post(&registry, "/oauth2/exchange", "grant_type=access_token&access_token=guess").await.status, 401);
    let form = "grant_type=refresh_token&refresh_token=refresh";
    assert_eq!(post(&registry, "/oauth2/token", form).await.status, 200);
    assert_eq!(ask(registry.host(), "GET /oauth2/token", &[]).await.status, 404, "by POST alone");
}

#[tokio::test]
async fn a_password_can_be_changed() {
    let registry = FakeRegistry::builder().basic_auth("ann", "before").start().await;

    registry.change_password("after");

    assert_eq!(ask_as(&registry, "GET /v2/", &basic("ann", "before")).await.status, 401);
    assert_eq!(ask_as(&registry, "GET /v2/", &basic("ann", "after")).await.status, 200);
}
