//! What says who we are is bound to scheme, host and port. All servers here are on one host: another port is another
//! origin.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::oci::Host;
use regferry::registry::{Credentials, Identity, Password, Settings};
use testkit::front::Request;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Front, Image, Method};

use crate::ferry::layer;
use crate::support::{copy, engine_with, failures, https, location, login, rule, run};

/// The headers that may go to strangers.
const HARMLESS: [&str; 7] =
    ["accept", "content-length", "content-range", "content-type", "host", "range", "user-agent"];

fn image() -> Image {
    Image::oci("linux/amd64").layer(1, 10_000).build()
}

/// A 307 to the same path of another origin.
fn to(origin: &str, path: &str) -> Effect {
    Effect::status_with(307, &[("Location", &format!("{origin}/v2/app/{path}"))])
}

/// What a server must not have been told.
fn private_headers(registry: &FakeRegistry) -> Vec<String> {
    let requests = registry.requests();
    let names = requests.iter().flat_map(|request| request.headers.keys());
    names.map(ToString::to_string).filter(|name| !HARMLESS.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn a_redirect_of_a_manifest_or_a_blob_takes_no_login_to_another_port() {
    for builder in
        [FakeRegistry::builder().basic_auth("u", "s3cret"), FakeRegistry::builder().token_auth("u", "s3cret")]
    {
        let (source, target, stranger) =
            (builder.start().await, FakeRegistry::start().await, FakeRegistry::start().await);
        let image = image();
        source.seed("app", "v1", &image);
        stranger.seed("app", "v1", &image);
        let elsewhere = format!("http://{}", stranger.host());
        for method in [Method::HEAD, Method::GET] {
            source.fault(Fault::on(method, Endpoint::Manifest), to(&elsewhere, "manifests/v1"));
        }
        for blob in image.blobs() {
            let path = format!("blobs/{}", blob.digest());
            source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&blob.digest()), to(&elsewhere, &path));
        }
        let engine = engine_with(HashMap::from([login(source.host(), "u", "s3cret")]), Arc::new(()));

        let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

        assert_eq!(report.error, None);
        assert_eq!(target.check_whole("app", "v1"), Ok(()));
        let own = source.requests();
        assert!(own.iter().any(|request| request.header("authorization").is_some()), "{}", source.summary());
        assert_eq!(stranger.count(&Method::GET, Endpoint::Blob), 2, "{}", stranger.summary());
        assert!(stranger.count(&Method::HEAD, Endpoint::Manifest) > 0, "{}", stranger.summary());
        assert_eq!(private_headers(&stranger), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_redirect_of_a_blobs_head_takes_no_login_to_another_port() {
    let (source, stranger) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let target = FakeRegistry::builder().token_auth("u", "s3cret").start().await;
    let image = image();
    source.seed("app", "v1", &image);
    let layer = layer(&image);
    for registry in [&target, &stranger] {
        image.blobs().for_each(|blob| drop(registry.put_blob("app", blob.bytes.clone())));
    }
    let elsewhere = format!("http://{}", stranger.host());
    target.fault(Fault::on(Method::HEAD, Endpoint::Blob).reference(&layer), to(&elsewhere, &format!("blobs/{layer}")));
    // A repository with a tag is asked blob by blob.
    target.seed("app", "old", &Image::oci("linux/amd64").layer(2, 10).build());
    let engine = engine_with(HashMap::from([login(target.host(), "u", "s3cret")]), Arc::new(()));

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.error, None);
    assert_eq!(stranger.summary(), "HEAD blob 1");
    assert_eq!(private_headers(&stranger), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_that_goes_on_at_another_port_takes_no_login_there() {
    for builder in
        [FakeRegistry::builder().basic_auth("u", "s3cret"), FakeRegistry::builder().token_auth("u", "s3cret")]
    {
        let (source, target, stranger) =
            (FakeRegistry::start().await, builder.start().await, FakeRegistry::start().await);
        let image = image();
        source.seed("app", "v1", &image);
        uploads_go_on_at(&target, &image, &format!("http://{}", stranger.host()));
        stranger.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::status(201));
        let engine = engine_with(HashMap::from([login(target.host(), "u", "s3cret")]), Arc::new(()));

        let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await;

        assert_eq!(report.error, None);
        assert_eq!(stranger.summary(), "PUT upload 2");
        assert_eq!(private_headers(&stranger), Vec::<String>::new());
    }
}

/// Lets the registry have the image's blobs, deny it, and send their uploads to another origin.
fn uploads_go_on_at(registry: &FakeRegistry, image: &Image, origin: &str) {
    image.blobs().for_each(|blob| drop(registry.put_blob("app", blob.bytes.clone())));
    registry.fault(Fault::on(Method::HEAD, Endpoint::Blob), Effect::status(404));
    let location = format!("{origin}/v2/app/blobs/uploads/1?_state=1");
    registry.fault(Fault::on(Method::POST, Endpoint::Upload), Effect::status_with(202, &[("Location", &location)]));
}

#[tokio::test]
async fn a_listing_that_goes_on_at_another_port_is_not_followed_there() {
    for builder in
        [FakeRegistry::builder().basic_auth("u", "s3cret"), FakeRegistry::builder().token_auth("u", "s3cret")]
    {
        let (source, target, stranger) =
            (builder.start().await, FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &image());
        let link = format!("<http://{}/v2/app/tags/list?last=v1>; rel=\"next\"", stranger.host());
        source.fault(Fault::on(Method::GET, Endpoint::Tags), Effect::header("Link", &link));
        let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);
        let engine = engine_with(HashMap::from([login(source.host(), "u", "s3cret")]), Arc::new(()));

        let report = run(&engine, &rule).await;

        let error = report.error.clone().unwrap_or_else(|| failures(&report).join(", "));
        assert!(error.contains("another host"), "{error}");
        assert_eq!(stranger.summary(), "no requests");
    }
}

/// A front with all that there is to be shown to it: a login, and a certificate.
fn with_all(front: &Front, others: &[&Front]) -> (Host, Settings) {
    let (host, settings) = https(front);
    let client = front.client_certificate();
    let identity = Identity { certificate: client.certificate.clone(), key: client.key.clone() };
    let credentials = Credentials::User { username: "u".to_owned(), password: Password::Literal("s3cret".into()) };
    let ca_files = [&[front], others].concat().iter().map(|front| front.ca_file().to_owned()).collect();
    (host, Settings { identity: Some(identity), credentials: Some(credentials), ca_files, ..settings })
}

/// Asserts that one server was shown the certificate and the login, and the other neither.
fn assert_shown_to_one_alone(own: &Front, stranger: &Front) {
    let (own, theirs) = (own.requests(), stranger.requests());
    let authorized = |request: &Request| request.header("authorization").is_some();
    assert!(own.iter().all(|request| request.certificate) && own.iter().any(authorized), "{own:#?}");
    assert!(!theirs.is_empty() && !theirs.iter().any(|r| r.certificate || authorized(r)), "{theirs:#?}");
}

#[tokio::test]
async fn a_redirect_shows_our_certificate_to_nobody_else() {
    let registry = FakeRegistry::builder().basic_auth("u", "s3cret").relative_locations().start().await;
    let (target, storage) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let (own, stranger) = (Front::before(registry.host()).start().await, Front::before(storage.host()).start().await);
    let image = image();
    registry.seed("app", "v1", &image);
    storage.seed("app", "v1", &image);
    let elsewhere = format!("https://{}", stranger.host());
    for method in [Method::HEAD, Method::GET] {
        registry.fault(Fault::on(method, Endpoint::Manifest), to(&elsewhere, "manifests/v1"));
    }
    let layer = layer(&image);
    registry.fault(Fault::any().reference(&layer), to(&elsewhere, &format!("blobs/{layer}")));
    let engine = engine_with(HashMap::from([with_all(&own, &[&stranger])]), Arc::new(()));

    let report = copy(&engine, &format!("{}/app:v1", own.host()), &format!("{}/app:v1", target.host())).await;

    assert_eq!(report.error, None);
    assert_eq!(storage.count(&Method::GET, Endpoint::Blob), 1, "{}", storage.summary());
    assert_shown_to_one_alone(&own, &stranger);
}

#[tokio::test]
async fn an_upload_shows_our_certificate_to_nobody_else() {
    let registry = FakeRegistry::builder().basic_auth("u", "s3cret").relative_locations().start().await;
    let (source, storage) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let (own, stranger) = (Front::before(registry.host()).start().await, Front::before(storage.host()).start().await);
    let image = image();
    source.seed("app", "v1", &image);
    uploads_go_on_at(&registry, &image, &format!("https://{}", stranger.host()));
    storage.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::status(201));
    let engine = engine_with(HashMap::from([with_all(&own, &[&stranger])]), Arc::new(()));

    let report = copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", own.host())).await;

    assert_eq!(report.error, None);
    assert_eq!(storage.summary(), "PUT upload 2");
    assert_shown_to_one_alone(&own, &stranger);
}
