//! The names of a registry's repositories, and what is said where it does not tell them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regferry::content::{Cause, Error};
use regferry::oci::Host;
use regferry::registry::{DockerConfigFiles, Registries};
use testkit::registry::Builder;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Method, client};
use tokio_util::sync::CancellationToken;

use crate::support::{host, login, registries};

async fn with(builder: Builder, repositories: &[&str]) -> FakeRegistry {
    let registry = builder.start().await;
    let image = Image::oci("linux/amd64").build();
    repositories.iter().for_each(|repository| drop(registry.seed(repository, "1", &image)));
    registry
}

async fn listed_by(registries: &Registries, registry: &str) -> Result<Vec<String>, Error> {
    let (requests, cancel) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let listed = registries.catalog(&host(registry), &requests, &cancel).await?;
    Ok(listed.iter().map(ToString::to_string).collect())
}

async fn listed(registry: &str) -> Result<Vec<String>, Error> {
    listed_by(&registries(), registry).await
}

fn asked() -> Fault {
    Fault::on(Method::GET, Endpoint::Catalog)
}

fn page(body: &str, link: Option<&str>) -> Effect {
    let headers = link.iter().map(|link| ("Link".to_owned(), (*link).to_owned())).collect();
    Effect::Status { code: 200, headers, body: body.to_owned() }
}

#[tokio::test]
async fn all_repositories_are_listed_page_by_page() {
    let registry = with(FakeRegistry::builder().page_size(2), &["a", "b/c", "b/c/d", "e", "f"]).await;
    let requests = Arc::new(AtomicU64::new(0));

    let found = registries().catalog(&host(registry.host()), &requests, &CancellationToken::new()).await.unwrap();

    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b/c", "b/c/d", "e", "f"]);
    assert_eq!(requests.load(Ordering::Relaxed), 3);
    assert_eq!(registry.requests()[0].parameter("n").as_deref(), Some("1000"));
}

#[tokio::test]
async fn a_real_registrys_catalog_is_read_to_its_end() {
    let server = DistributionServer::start();
    let image = Image::oci("linux/amd64").build();
    for repository in ["a", "b/c", "d"] {
        client::push(server.host(), repository, "1", &image).await;
    }
    assert_eq!(listed(server.host()).await.unwrap(), ["a", "b/c", "d"]);
}

#[tokio::test]
async fn names_that_are_none_are_passed_over_and_null_is_an_empty_catalog() {
    let registry = with(FakeRegistry::builder(), &[]).await;
    registry.fault(asked().times(1), page(r#"{"repositories":["a","B","../c","d//e",""]}"#, None));
    assert_eq!(listed(registry.host()).await.unwrap(), ["a"]);
    registry.fault(asked(), page(r#"{"repositories":null}"#, None));
    assert!(listed(registry.host()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_catalog_is_never_followed_to_another_origin() {
    let registry = with(FakeRegistry::builder(), &["a"]).await;
    let link = format!(r#"<http://{}/v2/_catalog?last=a>; rel="next""#, registry.other_host());
    registry.fault(asked(), page(r#"{"repositories":["a"]}"#, Some(&link)));

    let error = listed(registry.host()).await.unwrap_err().to_string();

    assert!(error.contains("goes on at another host"), "{error}");
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_token_for_the_catalog_is_asked_for() {
    let registry = with(FakeRegistry::builder().anonymous_tokens(), &["a"]).await;
    assert_eq!(listed(registry.host()).await.unwrap(), ["a"]);
    let requests = registry.requests();
    let scopes: Vec<_> = requests.iter().filter_map(|request| request.parameter("scope")).collect();
    assert_eq!(scopes, ["registry:catalog:*"]);
}

#[tokio::test]
async fn a_login_of_the_docker_config_is_used_for_the_catalog() {
    let registry = with(FakeRegistry::builder().basic_auth("u", "p"), &["a"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, registry.host())).unwrap();
    let files = DockerConfigFiles::new(vec![file.path().to_owned()]);
    let registries = Registries::new(HashMap::new(), files, Arc::new(()));
    assert_eq!(listed_by(&registries, registry.host()).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_registry_without_a_catalog_is_told_with_the_way_out() {
    let faults = [(400, "UNSUPPORTED"), (401, "UNAUTHORIZED"), (403, "DENIED"), (404, "NAME_UNKNOWN"), (405, "X")];
    for (code, error) in faults {
        let registry = with(FakeRegistry::builder(), &["a"]).await;
        let body = format!(r#"{{"errors":[{{"code":"{error}","message":"no"}}]}}"#);
        registry.fault(asked(), Effect::Status { code, headers: Vec::new(), body });
        assert_no_catalog(&registry, &format!("({code} {error}: no)")).await;
    }
    for builder in [FakeRegistry::builder().without_catalog(), FakeRegistry::builder().secret_catalog()] {
        assert_no_catalog(&with(builder, &["a"]).await, "(40").await;
    }
    let web = with(FakeRegistry::builder(), &["a"]).await;
    web.fault(asked(), Effect::Body { content_type: "text/html".into(), bytes: "<html>".into() });
    assert_no_catalog(&web, "of its repositories").await;
}

#[tokio::test]
async fn a_token_for_the_catalog_that_nobody_gets_means_that_there_is_none() {
    for code in [400, 401, 403, 404] {
        let registry = with(FakeRegistry::builder().anonymous_tokens(), &["a"]).await;
        registry.fault(Fault::on(Method::GET, Endpoint::Token), Effect::status(code));
        assert_no_catalog(&registry, &format!("({code} ")).await;
    }
}

async fn assert_no_catalog(registry: &FakeRegistry, said: &str) {
    let error = listed(registry.host()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NoCatalog { .. }), "{error}");
    let (told, host) = (error.with_advice(), registry.host());
    assert!(told.starts_with(&format!("listing the repositories of {host}: the registry gives no catalog")), "{told}");
    assert!(told.contains(&format!(r#"source = ["{host}/a", "{host}/b"]"#)) && told.contains(said), "{told}");
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let registry = with(FakeRegistry::builder().token_auth("u", "p"), &["a"]).await;
    let settings = HashMap::from([login(registry.host(), "u", "wrong")]);
    let registries = Registries::new(settings, DockerConfigFiles::default(), Arc::new(()));
    let error = listed_by(&registries, registry.host()).await.unwrap_err().with_advice();
    assert!(error.contains("was refused: check its user name"), "{error}");
}

#[tokio::test]
async fn docker_hub_is_not_even_asked() {
    let (requests, cancel) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let error = registries().catalog(&Host::docker_hub(), &requests, &cancel).await.unwrap_err().with_advice();
    assert!(error.ends_with(r#"name its repositories instead, source = ["docker.io/a", "docker.io/b"]"#), "{error}");
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_waited_out_and_a_stop_ends_the_waiting() {
    let registry = with(FakeRegistry::builder(), &["a"]).await;
    registry.fault(asked().times(2), Effect::status(503));
    assert_eq!(listed(registry.host()).await.unwrap(), ["a"]);

    registry.fault(asked(), Effect::status(503));
    let (requests, cancel) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let (stop, registries, host) = (cancel.clone(), registries(), host(registry.host()));
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    };
    let (error, ()) = tokio::join!(registries.catalog(&host, &requests, &cancel), stopping);
    assert!(error.unwrap_err().is_cancelled());
}
