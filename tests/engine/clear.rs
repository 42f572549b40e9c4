//! Registries behind a proxy that ends TLS, and that do not know of it: they make `http` URLs of themselves. Nothing
//! private goes in clear for that.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::registry::{Credentials, Password, Settings};
use regferry::transfer::Engine;
use testkit::content::hello_world;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Front, Image, Method};

use crate::support::{copy, engine_with, failures, host, https, location, rule, run};

fn with_login(front: &Front, name: &str) -> Arc<Engine> {
    let credentials = Credentials::User { username: "u".to_owned(), password: Password::Literal("s3cret".into()) };
    let settings = Settings { credentials: Some(credentials), ..https(front).1 };
    engine_with(HashMap::from([(host(name), settings)]), Arc::new(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_of_an_uploads_location_is_repaired() {
    // Its Locations are made of `http://` and the Host of the request.
    let (source, registry) = (FakeRegistry::start().await, DistributionServer::start());
    let front = Front::before(registry.host()).start().await;
    source.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 1 << 20).build());
    let to = format!("{}/app:v1", front.host());

    let report = copy(&with_login(&front, front.host()), &format!("{}/app:v1", source.host()), &to).await;

    assert_eq!(report.error, None);
    let requests = front.requests();
    assert_eq!(requests.iter().filter(|request| request.method == Method::PUT).count(), 3, "{requests:#?}");
    let back = copy(&with_login(&front, front.host()), &to, &format!("{}/back:v1", source.host())).await;
    assert_eq!((back.error, source.check_whole("back", "v1")), (None, Ok(())));
}

#[tokio::test]
async fn the_scheme_of_a_next_page_is_repaired() {
    let (registry, target) = (FakeRegistry::builder().page_size(1).start().await, FakeRegistry::start().await);
    let front = Front::before(registry.host()).start().await;
    ["v1", "v2"].into_iter().for_each(|tag| drop(registry.seed("app", tag, &hello_world())));
    let link = format!("<http://{}/v2/app/tags/list?last=v1&n=1>; rel=\"next\"", front.host());
    registry.fault(Fault::on(Method::GET, Endpoint::Tags).times(1), Effect::header("Link", &link));
    let rule = rule("app", location(front.host(), "app"), location(target.host(), "app"), &["*"]);

    let report = run(&with_login(&front, front.host()), &rule).await;

    assert_eq!((report.error.clone(), failures(&report)), (None, Vec::new()));
    assert_eq!(target.tags("app"), ["v1", "v2"]);
}

#[tokio::test]
async fn an_upload_that_would_go_on_in_clear_at_another_host_goes_nowhere() {
    let source = FakeRegistry::start().await;
    // Its Locations begin with `http://127.0.0.1:`.
    let registry = FakeRegistry::builder().basic_auth("u", "s3cret").start().await;
    let front = Front::before(registry.host()).start().await;
    source.seed("app", "v1", &hello_world());
    let name = front.host().replace("127.0.0.1", "localhost");

    let engine = with_login(&front, &name);
    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{name}/app:v1")).await;

    assert!(report.error.unwrap().contains("Location"));
    let requests = registry.requests();
    let (secure, clear): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.header("host") == Some(&name));
    assert!(secure.iter().any(|request| request.header("authorization").is_some()));
    assert!(clear.is_empty(), "{clear:#?}");
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_not_followed() {
    let (registry, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let storage = FakeRegistry::start().await;
    let front = Front::before(registry.host()).start().await;
    let image = Image::oci("linux/amd64").layer(1, 1_000).build();
    for registry in [&registry, &storage] {
        registry.seed("app", "v1", &image);
    }
    let engine = with_login(&front, front.host());
    let (from, to) = (format!("{}/app:v1", front.host()), format!("{}/app:v1", target.host()));
    for endpoint in [Endpoint::Blob, Endpoint::Manifest] {
        let location = format!("http://{}/v2/app/manifests/v1", storage.host());
        registry.fault(Fault::on(Method::GET, endpoint), Effect::status_with(307, &[("Location", &location)]));

        let error = copy(&engine, &from, &to).await.error.unwrap();

        assert!(error.contains("from HTTPS to plain HTTP is not followed"), "{error}");
        assert_eq!(storage.summary(), "no requests");
    }
}
