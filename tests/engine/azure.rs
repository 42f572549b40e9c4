//! Azure's registries, where a token stands in the place of the password.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use testkit::content::hello_world;
use testkit::registry::Request;
use testkit::{Endpoint, FakeRegistry, Method};

use crate::support::{copy, engine_with, login};

/// The user that says that the password is a token.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn jwt(claims: &str) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
}

fn refresh_token() -> String {
    jwt(r#"{"grant_type":"refresh_token","iss":"Azure Container Registry"}"#)
}

fn access_token() -> String {
    jwt(r#"{"aud":"https://containerregistry.azure.net"}"#)
}

/// Copies from such a registry with this password; what its token service was asked.
async fn copy_with(password: &str) -> (Option<String>, Vec<Request>) {
    let source = FakeRegistry::builder().azure_auth(&refresh_token(), &access_token()).start().await;
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let engine = engine_with(HashMap::from([login(source.host(), NOBODY, password)]), Arc::new(()));
    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;
    let mut asked = source.requests();
    asked.retain(|request| matches!(request.endpoint, Endpoint::Token | Endpoint::Exchange));
    (report.error, asked)
}

fn assert_refreshes(request: &Request) {
    assert_eq!((&request.method, &*request.path), (&Method::POST, "/oauth2/token"));
    let field = |name| request.field(name).map(str::to_owned);
    assert_eq!(field("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(
        (field("service").as_deref(), field("scope").as_deref()),
        (Some("testkit"), Some("repository:app:pull"))
    );
    assert_eq!(field("refresh_token"), Some(refresh_token()));
    assert_eq!(request.header("authorization"), None, "the token stands in the form alone");
}

#[tokio::test]
async fn a_refresh_token_is_posted_for_a_token() {
    let (error, asked) = copy_with(&refresh_token()).await;

    assert_eq!((error, asked.len()), (None, 1), "{asked:#?}");
    assert_refreshes(&asked[0]);
}

#[tokio::test]
async fn an_access_token_is_exchanged_for_a_refresh_token_first() {
    let (error, asked) = copy_with(&access_token()).await;

    assert_eq!((error, asked.len()), (None, 2), "{asked:#?}");
    let exchange = &asked[0];
    assert_eq!((&exchange.method, &*exchange.path, &*exchange.query), (&Method::POST, "/oauth2/exchange", ""));
    assert_eq!(exchange.field("grant_type"), Some("access_token"));
    assert_eq!(exchange.field("service"), Some("testkit"));
    assert_eq!(exchange.field("access_token"), Some(&*access_token()));
    assert_eq!(exchange.header("authorization"), None, "the token stands in the form alone");
    assert_refreshes(&asked[1]);
}

#[tokio::test]
async fn an_access_token_that_is_refused_is_told_and_not_shown() {
    let foreign = jwt(r#"{"aud":"another"}"#);

    let (error, _) = copy_with(&foreign).await;

    let error = error.unwrap();
    assert!(error.contains("401") && error.contains("(logging in)") && !error.contains(&foreign), "{error}");
}
