//! Where a registry may send us for tokens, and what goes along.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use regferry::registry::{Credentials, Password, Settings, Tls};
use regferry::transfer::Engine;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Front, Method};

use crate::support::{copy, engine_with, host, https};

/// `u:s3cret` of a Basic login.
const LOGIN: &str = "Basic dTpzM2NyZXQ=";

/// A registry with `app:v1` that wants a token, the server that its challenge names, and a registry to copy to.
struct Realm {
    source: FakeRegistry,
    tokens: FakeRegistry,
    target: FakeRegistry,
}

impl Realm {
    /// The challenge has this realm; `PORT` in it stands for that of the token server.
    async fn named(realm: &str) -> Self {
        let (source, tokens) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &hello_world());
        let realm = realm.replace("PORT", port(&tokens));
        let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
        let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
        source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), refusal);
        tokens.fault(Fault::on(Method::GET, Endpoint::Token), token());
        Self { source, tokens, target: FakeRegistry::start().await }
    }

    /// Copies from the source under this name of its host.
    async fn copy(&self, name: &str, change: impl Fn(Settings) -> Settings) -> Result<(), String> {
        let name = format!("{name}:{}", port(&self.source));
        self.copy_with(&engine(&name, |settings| change(Settings { tls: Tls::Http, ..settings })), &name).await
    }

    async fn copy_with(&self, engine: &Arc<Engine>, source: &str) -> Result<(), String> {
        let report = copy(engine, &format!("{source}/app:v1"), &format!("{}/app:v1", self.target.host())).await;
        report.error.map_or(Ok(()), Err)
    }

    /// What the token server was asked with: an `Authorization` a request.
    fn asked_with(&self) -> Vec<Option<String>> {
        let requests = self.tokens.requests();
        requests.iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
    }
}

fn token() -> Effect {
    Effect::Body { content_type: "application/json".to_owned(), bytes: Bytes::from_static(br#"{"token":"t"}"#) }
}

fn port(registry: &FakeRegistry) -> &str {
    registry.host().rsplit_once(':').unwrap().1
}

fn engine(registry: &str, change: impl Fn(Settings) -> Settings) -> Arc<Engine> {
    let host = host(registry);
    let settings = change(Settings::for_host(&host));
    engine_with(HashMap::from([(host, settings)]), Arc::new(()))
}

fn with_login(settings: Settings) -> Settings {
    let credentials = Credentials::User { username: "u".to_owned(), password: Password::Literal("s3cret".into()) };
    Settings { credentials: Some(credentials), ..settings }
}

fn trusting(realm: &str) -> impl Fn(Settings) -> Settings {
    let realm = host(realm);
    move |settings| Settings { trusted_realms: vec![realm.clone()], ..with_login(settings) }
}

#[tokio::test]
async fn the_registrys_own_host_gets_the_login_at_any_port() {
    for (registry, realm) in [
        ("127.0.0.1", "http://127.0.0.1:PORT/token"),
        ("localhost", "http://localhost:PORT/token"),
        ("0.0.0.0", "http://0.0.0.0:PORT/token"),
    ] {
        let challenged = Realm::named(realm).await;

        challenged.copy(registry, with_login).await.unwrap_or_else(|error| panic!("{registry}: {error}"));

        assert_eq!(challenged.asked_with(), [Some(LOGIN.to_owned())], "{registry}");
    }
}

#[tokio::test]
async fn all_names_of_this_machine_are_one_host() {
    for (registry, realm) in
        [("localhost", "http://127.0.0.1:PORT/token"), ("127.0.0.1", "http://localhost:PORT/token")]
    {
        let challenged = Realm::named(realm).await;

        challenged.copy(registry, with_login).await.unwrap_or_else(|error| panic!("{registry}: {error}"));

        assert_eq!(challenged.asked_with(), [Some(LOGIN.to_owned())], "{registry}");
    }
}

#[tokio::test]
async fn a_private_address_that_the_registry_does_not_have_is_not_asked() {
    for realm in ["http://127.0.0.1:PORT/token", "http://localhost:PORT/token", "http://[::ffff:127.0.0.1]:PORT/token"]
    {
        for change in [with_login, |settings| settings] {
            let challenged = Realm::named(realm).await;

            let error = challenged.copy("0.0.0.0", change).await.unwrap_err();

            assert!(error.contains("nothing was sent there") && error.contains("trusted_realms"), "{realm}: {error}");
            assert_eq!(challenged.tokens.summary(), "no requests", "{realm}");
        }
    }
}

#[tokio::test]
async fn a_private_address_that_the_user_trusts_gets_the_login() {
    for name in ["127.0.0.1", "localhost"] {
        let challenged = Realm::named(&format!("http://{name}:PORT/token")).await;

        challenged.copy("0.0.0.0", trusting(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));

        assert_eq!(challenged.asked_with(), [Some(LOGIN.to_owned())], "{name}");
    }
}

#[tokio::test]
async fn a_realm_that_is_trusted_at_one_port_gets_the_login_there() {
    let challenged = Realm::named("http://127.0.0.1:PORT/token").await;

    challenged.copy("0.0.0.0", trusting(challenged.tokens.host())).await.unwrap();

    assert_eq!(challenged.asked_with(), [Some(LOGIN.to_owned())]);
}

#[tokio::test]
async fn a_realm_without_tls_of_a_registry_with_it_gets_nothing() {
    let change = [with_login, |settings| settings];
    for change in change {
        let registry = FakeRegistry::builder().token_auth("u", "s3cret").start().await;
        registry.seed("app", "v1", &hello_world());
        let front = Front::before(registry.host()).start().await;
        let (host, settings) = https(&front);
        // The registry itself is asked, and names its own realm, which is plain.
        let engine = engine_with(HashMap::from([(host, change(settings))]), Arc::new(()));

        let from = format!("{}/app:v1", front.host());
        let error = copy(&engine, &from, &format!("{}/copy:v1", front.host())).await.error.unwrap();

        assert!(error.contains("not HTTPS") && error.contains("nothing was sent there"), "{error}");
        assert_eq!(registry.count(&Method::GET, Endpoint::Token), 0, "{}", registry.summary());
        assert!(registry.requests().iter().all(|request| request.header("authorization").is_none()));
    }
}

#[tokio::test]
async fn a_token_servers_redirect_is_not_followed() {
    for change in [with_login, |settings| settings] {
        for code in [301, 302, 303, 307, 308] {
            let (challenged, stranger) =
                (Realm::named("http://127.0.0.1:PORT/token").await, FakeRegistry::start().await);
            challenged.tokens.clear_faults();
            let location = format!("http://{}/token", stranger.host());
            let redirect = Effect::status_with(code, &[("Location", &location)]);
            challenged.tokens.fault(Fault::on(Method::GET, Endpoint::Token), redirect);
            stranger.fault(Fault::on(Method::GET, Endpoint::Token), token());

            let error = challenged.copy("127.0.0.1", change).await.unwrap_err();

            assert!(error.contains("(logging in)") && error.contains(&code.to_string()), "{error}");
            assert_eq!(stranger.summary(), "no requests", "{code}");
        }
    }
}

#[tokio::test]
async fn a_login_in_the_realms_url_is_not_used() {
    let challenged = Realm::named("http://evil:evil@127.0.0.1:PORT/token").await;
    challenged.copy("127.0.0.1", |settings| settings).await.unwrap();
    assert_eq!(challenged.asked_with(), [None]);

    let challenged = Realm::named("http://evil:evil@127.0.0.1:PORT/token").await;
    challenged.copy("127.0.0.1", with_login).await.unwrap();
    assert_eq!(challenged.asked_with(), [Some(LOGIN.to_owned())]);
}

#[tokio::test]
async fn the_realms_own_certificate_is_not_forgiven_for_the_registrys() {
    let challenged = Realm::named("http://127.0.0.1:PORT/token").await;
    let tokens = Front::before(challenged.tokens.host()).start().await;
    let trusted = tokens.host().replace("127.0.0.1", "localhost");
    let challenge = format!(r#"Bearer realm="https://{trusted}/token""#);
    let relative = FakeRegistry::start().await;
    let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
    relative.fault(Fault::on(Method::HEAD, Endpoint::Manifest), refusal);
    let front = Front::before(relative.host()).start().await;
    let name = front.host().replace("127.0.0.1", "0.0.0.0");
    // A realm of another host, which the user trusts with the login, not with its certificate.
    let engine = engine(&name, |settings| trusting("localhost")(Settings { tls: Tls::Insecure, ..settings }));

    let error = challenged.copy_with(&engine, &name).await.unwrap_err();

    assert!(error.contains("the certificate is not trusted"), "{error}");
    assert_eq!(challenged.tokens.summary(), "no requests");
}
