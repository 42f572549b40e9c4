//! Credentials that change while the program runs: what is refused is read again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regferry::registry::{Credentials, Password, Settings};
use regferry::transfer::Engine;
use testkit::{Effect, FakeRegistry, Fault, Image};

use crate::support::{copy, engine_with, engine_with_docker_config, failures, host, location, rule, run};

/// Registries with this password, one for each way of logging in.
async fn registries(password: &str) -> [FakeRegistry; 2] {
    let builder = FakeRegistry::builder;
    [builder().basic_auth("u", password).start().await, builder().token_auth("u", password).start().await]
}

/// Copies from the registry while its password changes, which `write` tells.
async fn assert_survives_a_change(source: &FakeRegistry, engine: &Arc<Engine>, write: impl Fn(&str)) {
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1_000).layer(2, 1_000).build());
    let change = async {
        // Challenge, and what follows until the first document is asked for with what is good.
        let held = source.after_requests(4).await;
        write("after");
        source.change_password("after");
        source.revoke_tokens();
        drop(held);
    };
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));

    let (report, ()) = tokio::join!(copy(engine, &from, &to), change);

    assert_eq!(report.error, None);
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    let refused = source.requests().iter().filter(|request| request.status == Some(401)).count();
    assert!(refused >= 2, "the first request, and one with what was good before: {}", source.summary());
}

#[tokio::test]
async fn a_password_file_is_read_again_when_its_password_is_refused() {
    for source in registries("before").await {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before\n").unwrap();
        let (host, password) = (host(source.host()), Password::File(file.path().to_owned()));
        let credentials = Credentials::User { username: "u".to_owned(), password };
        let settings = Settings { credentials: Some(credentials), ..Settings::for_host(&host) };
        let engine = engine_with(HashMap::from([(host, settings)]), Arc::new(()));

        assert_survives_a_change(&source, &engine, |password| std::fs::write(file.path(), password).unwrap()).await;
    }
}

#[tokio::test]
async fn a_docker_config_is_read_again_when_its_password_is_refused() {
    for source in registries("before").await {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |password: &str| write_config(file.path(), &[(source.host(), "u", password)]);
        write("before");

        assert_survives_a_change(&source, &engine_with_docker_config(file.path()), write).await;
    }
}

fn write_config(file: &Path, logins: &[(&str, &str, &str)]) {
    let auths = logins.iter().map(|(key, user, password)| format!(r#""{key}":{{"auth":"{}"}}"#, pair(user, password)));
    std::fs::write(file, format!(r#"{{"auths":{{{}}}}}"#, auths.collect::<Vec<_>>().join(","))).unwrap();
}

fn pair(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

#[tokio::test]
async fn every_repository_of_a_registry_has_its_own_login() {
    for with_tokens in [false, true] {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let tokens = FakeRegistry::builder().anonymous_tokens().start().await;
        let challenge = match with_tokens {
            true => format!("Bearer realm=\"http://{}/token\"", tokens.host()),
            false => "Basic realm=\"r\"".to_owned(),
        };
        source.fault(Fault::any().times(1), Effect::status_with(401, &[("WWW-Authenticate", &challenge)]));
        let file = tempfile::NamedTempFile::new().unwrap();
        let keys = ["a", "b"].map(|repository| format!("{}/{repository}", source.host()));
        write_config(file.path(), &[(&keys[0], "ann", "1"), (&keys[1], "bob", "2")]);
        let engine = engine_with_docker_config(file.path());
        for (seed, repository) in (0..).zip(["a", "b"]) {
            source.seed(repository, "v1", &Image::oci("linux/amd64").layer(seed, 10).build());
        }
        let rules =
            ["a", "b"].map(|name| rule(name, location(source.host(), name), location(target.host(), name), &["v1"]));

        let (first, second) = tokio::join!(run(&engine, &rules[0]), run(&engine, &rules[1]));

        assert_eq!((failures(&first), failures(&second)), (Vec::new(), Vec::new()));
        let server = if with_tokens { &tokens } else { &source };
        for request in server.requests() {
            let repository = match with_tokens {
                true => request.parameter("scope").unwrap().split(':').nth(1).unwrap().to_owned(),
                false => request.repository.clone().unwrap(),
            };
            let expected = if repository == "a" { pair("ann", "1") } else { pair("bob", "2") };
            let sent = request.header("authorization").map(str::to_owned);
            // Before the challenge nothing is sent at all.
            assert!(sent.is_none() && !with_tokens || sent == Some(format!("Basic {expected}")), "{request:#?}");
        }
        let logins = server.requests().iter().filter(|request| request.header("authorization").is_some()).count();
        assert!(logins >= 2, "{}", server.summary());
    }
}
