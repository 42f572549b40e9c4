//! Whether a registry is there and knows us, asked with one GET and no rights.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use regferry::content::Error;
use regferry::registry::{DockerConfigFiles, Reached, Registries};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::support::{host, login, registries};

fn logged_in(user: &str) -> Reached {
    Reached::LoggedIn { user: user.to_owned() }
}

async fn reach(registry: &FakeRegistry) -> Result<Reached, Error> {
    registries().reach(&host(registry.host())).await
}

async fn reach_as(registry: &FakeRegistry, user: &str, password: &str) -> Result<Reached, Error> {
    let settings = HashMap::from([login(registry.host(), user, password)]);
    let registries = Registries::new(settings, DockerConfigFiles::default(), Arc::new(()));
    registries.reach(&host(registry.host())).await
}

#[tokio::test]
async fn a_registry_that_asks_for_no_login_is_reached_by_one_request() {
    let open = FakeRegistry::start().await;

    assert_eq!(reach_as(&open, "ann", "s3cret").await.unwrap(), Reached::Anonymously);

    assert_eq!(open.summary(), "GET base 1");
}

#[tokio::test]
async fn a_login_is_tried_whichever_way_the_registry_wants_it_and_no_rights_are_asked_for() {
    let basic = FakeRegistry::builder().basic_auth("ann", "s3cret").start().await;
    assert_eq!(reach_as(&basic, "ann", "s3cret").await.unwrap(), logged_in("ann"));

    let tokens = FakeRegistry::builder().token_auth("ann", "s3cret").start().await;
    assert_eq!(reach_as(&tokens, "ann", "s3cret").await.unwrap(), logged_in("ann"));
    let asked = tokens.requests().into_iter().find(|request| request.endpoint == Endpoint::Token).unwrap();
    assert!(!asked.query.contains("scope"), "{}", asked.query);

    let identity = FakeRegistry::builder().identity_auth("ann", "1d").start().await;
    let mut config = tempfile::NamedTempFile::new().unwrap();
    write!(config, r#"{{"auths":{{"{}":{{"auth":"YW5uOg==","identitytoken":"1d"}}}}}}"#, identity.host()).unwrap();
    let files = DockerConfigFiles::new(vec![config.path().to_owned()]);
    let registries = Registries::new(HashMap::new(), files, Arc::new(()));
    assert_eq!(registries.reach(&host(identity.host())).await.unwrap(), logged_in("ann"));
    let asked = identity.requests().into_iter().find(|request| request.endpoint == Endpoint::Token).unwrap();
    assert!(asked.method == Method::POST && asked.form.iter().all(|(key, _)| key != "scope"), "{:?}", asked.form);
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_error_that_says_so() {
    for registry in [
        FakeRegistry::builder().basic_auth("ann", "s3cret").start().await,
        FakeRegistry::builder().token_auth("ann", "s3cret").start().await,
    ] {
        let error = reach_as(&registry, "ann", "wr0ng").await.unwrap_err().with_advice();
        assert!(error.contains("401") && error.contains("was refused") && !error.contains("wr0ng"), "{error}");
    }
}

#[tokio::test]
async fn without_a_login_a_registry_that_wants_one_is_reached_all_the_same() {
    let basic = FakeRegistry::builder().basic_auth("ann", "s3cret").start().await;
    assert_eq!(reach(&basic).await.unwrap(), Reached::Anonymously);

    let public = FakeRegistry::builder().token_auth("ann", "s3cret").anonymous_tokens().start().await;
    assert_eq!(reach(&public).await.unwrap(), Reached::Anonymously);

    for status in [400, 401, 403] {
        let tokens = FakeRegistry::builder().token_auth("ann", "s3cret").start().await;
        tokens.fault(Fault::on(Method::GET, Endpoint::Token), Effect::status(status));
        assert_eq!(reach(&tokens).await.unwrap(), Reached::Anonymously, "{status}");
    }
}

#[tokio::test]
async fn whatever_else_is_no_registry_is_an_error() {
    for status in [403, 404, 405] {
        let other = FakeRegistry::start().await;
        other.fault(Fault::any(), Effect::status(status));
        assert!(reach(&other).await.is_err(), "{status}");
    }
}
