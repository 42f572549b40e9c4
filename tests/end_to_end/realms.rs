//! Logins and the names of token servers. One registry in memory plays all hosts: it is the proxy of the environment,
//! and what a request says in `Host` tells whom it was meant for.

use bytes::Bytes;
use testkit::content::hello_world;
use testkit::registry::Request;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::login::{FILE, RIGHT, docker_config};
use crate::support::{Ferry, Finished};

const REGISTRY: &str = "registry.corp.example";

/// All hosts, the registry among them, whose challenge names a token server of this host.
async fn world(realm: &str) -> FakeRegistry {
    let world = FakeRegistry::start().await;
    world.seed("app", "v1", &hello_world());
    let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"s\"");
    let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
    world.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), refusal.clone());
    world.fault(Fault::on(Method::GET, Endpoint::Manifest).times(1), refusal);
    let token =
        Effect::Body { content_type: "application/json".to_owned(), bytes: Bytes::from_static(br#"{"token":"t"}"#) };
    world.fault(Fault::on(Method::GET, Endpoint::Token), token);
    world
}

async fn inspect(world: &FakeRegistry, settings: &str, logins: &[(&str, &str)]) -> Finished {
    let config = format!("[registries.'{REGISTRY}']\ntls = 'http'\n{settings}\n");
    let inspect = Ferry::new(&["inspect", &format!("{REGISTRY}/app:v1")]).config(&config);
    let inspect = inspect.file(FILE, &docker_config(logins)).env("HTTP_PROXY", &format!("http://{}", world.host()));
    inspect.run().await
}

/// What token servers were asked: the host, and the login.
fn asked(world: &FakeRegistry) -> Vec<(String, Option<String>)> {
    let text = |request: &Request, name: &str| request.header(name).map(str::to_owned);
    let requests = world.requests();
    let requests = requests.iter().filter(|request| request.endpoint == Endpoint::Token);
    requests.map(|request| (text(request, "host").expect("a host"), text(request, "authorization"))).collect()
}

fn basic() -> Option<String> {
    Some(format!("Basic {RIGHT}"))
}

#[tokio::test]
async fn a_token_server_of_the_registrys_own_domain_gets_its_login() {
    for realm in ["auth.corp.example", "corp.example", "registry.corp.example:8080", "a.b.corp.example"] {
        let world = world(realm).await;

        let ended = inspect(&world, "", &[(REGISTRY, RIGHT)]).await;

        assert_eq!(ended.code, Some(0), "{realm}: {}", ended.stderr);
        assert_eq!(asked(&world), [(realm.to_owned(), basic())]);
    }
}

#[tokio::test]
async fn a_stranger_gets_no_login_and_the_error_says_how_to_trust_it() {
    for realm in ["auth.other.example", "registry.corp.example.evil.example", "evilcorp.example"] {
        let world = world(realm).await;

        let error = inspect(&world, "", &[(REGISTRY, RIGHT)]).await.failure(1);

        assert!(error.contains("trusted_realms") && error.contains(realm), "{error}");
        assert_eq!(asked(&world), []);
    }
}

#[tokio::test]
async fn a_stranger_whom_the_user_trusts_gets_the_login() {
    for (realm, trusted) in [
        ("auth.other.example", "auth.other.example"),
        ("auth.other.example:8080", "auth.other.example"),
        ("auth.other.example:8080", "auth.other.example:8080"),
    ] {
        let world = world(realm).await;

        let ended = inspect(&world, &format!("trusted_realms = ['{trusted}']"), &[(REGISTRY, RIGHT)]).await;

        assert_eq!(ended.code, Some(0), "{realm}: {}", ended.stderr);
        assert_eq!(asked(&world), [(realm.to_owned(), basic())]);
    }
}

#[tokio::test]
async fn a_stranger_at_another_port_than_the_trusted_one_gets_no_login() {
    let world = world("auth.other.example:8080").await;

    inspect(&world, "trusted_realms = ['auth.other.example:8081']", &[(REGISTRY, RIGHT)]).await.failure(1);

    assert_eq!(asked(&world), []);
}

#[tokio::test]
async fn a_stranger_is_asked_for_a_token_without_a_login() {
    let world = world("auth.other.example").await;

    let ended = inspect(&world, "", &[("auth.other.example", RIGHT)]).await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(asked(&world), [("auth.other.example".to_owned(), None)]);
}
