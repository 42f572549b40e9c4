//! The way out through a forward proxy. A registry named `0.0.0.0` is on loopback, which Linux takes connections to it
//! to, but is not named so; hence the proxy of the environment is meant for it.

use std::path::Path;

use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::server::Tinyproxy;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::support::Ferry;

/// A registry with `app:v1` that is reached through a proxy, and one on loopback.
struct Office {
    proxy: Tinyproxy,
    near: FakeRegistry,
    far: DistributionServer,
    image: Image,
}

impl Office {
    async fn new(far: DistributionServer) -> Self {
        Self::behind(Tinyproxy::start(), far).await
    }

    async fn behind(proxy: Tinyproxy, far: DistributionServer) -> Self {
        let near = FakeRegistry::start().await;
        let image = Image::oci("linux/amd64").layer(1, 1 << 20).layer(2, 1_000).build();
        near.seed("app", "v1", &image);
        Self { proxy, near, far, image }
    }

    /// The name of the far registry.
    fn far(&self) -> String {
        self.far.host().replace("127.0.0.1", "0.0.0.0")
    }

    /// Copies the image out, under another name there, and back.
    async fn copy_out_and_back(&self, prepare: impl Fn(Ferry) -> Ferry) {
        let [here, there, digest] = [self.near.host(), &self.far(), &self.image.digest()];
        for (from, to) in [
            (format!("{here}/app:v1"), format!("{there}/app:v1")),
            (format!("{there}/app:v1"), format!("{there}/again:v1")),
            (format!("{there}/again:v1"), format!("{here}/back:v1")),
        ] {
            let ended = prepare(Ferry::new(&["copy", &from, &to])).run().await;
            assert_eq!((ended.code, ended.text()), (Some(0), format!("{to} {digest}\n")), "{}", ended.stderr);
            // Tinyproxy closes every connection without having said so.
            assert!(!ended.stderr.contains("trying again"), "{}", ended.stderr);
        }
        assert_eq!(self.near.check_whole("back", "v1"), Ok(()));
        assert_eq!(self.near.manifest("back", "v1").as_ref(), Some(&self.image.root));
    }

    async fn assert_needs_no_proxy(&self, exceptions: &str) {
        let config = self.plain();
        let prepare = |ferry: Ferry| {
            let ferry = ferry.config(&config).env("HTTP_PROXY", &self.proxy.url());
            ferry.env("NO_PROXY", exceptions)
        };
        self.copy_out_and_back(prepare).await;
        assert_eq!(self.proxy.requests(), Vec::<String>::new(), "{exceptions}");
    }

    /// The program's configuration of the far registry.
    fn plain(&self) -> String {
        format!("[registries.'{}']\ntls = 'http'\n", self.far())
    }

    fn https(&self, authority: &Path) -> String {
        format!("[registries.'{}']\nca_file = '{}'\n", self.far(), authority.display())
    }
}

#[tokio::test]
async fn a_registry_without_tls_is_reached_through_http_proxy() {
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let office = Office::new(DistributionServer::start()).await;

        office.copy_out_and_back(|ferry| ferry.config(&office.plain()).env(name, &office.proxy.url())).await;

        let requests = office.proxy.requests();
        let beginning = format!("PUT http://{}/v2/app/blobs/uploads/", office.far());
        assert!(requests.iter().any(|request| request.starts_with(&beginning)), "{name}: {requests:#?}");
        let own = |request: &String| request.contains(office.near.host());
        assert!(!requests.iter().any(own), "{name}: loopback needs no proxy: {requests:#?}");
    }
}

#[tokio::test]
async fn a_registry_with_tls_is_reached_through_a_tunnel() {
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let office = Office::new(DistributionServer::builder().with_tls().start()).await;
        let config = office.https(office.far.ca_file().expect("it speaks TLS"));

        office.copy_out_and_back(|ferry| ferry.config(&config).env(name, &office.proxy.url())).await;

        let requests = office.proxy.requests();
        let tunnel = format!("CONNECT {} ", office.far());
        assert!(!requests.is_empty(), "{name}");
        assert!(requests.iter().all(|request| request.starts_with(&tunnel)), "{name}: {requests:#?}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_gets_that_of_its_url() {
    for far in [DistributionServer::start(), DistributionServer::builder().with_tls().start()] {
        let office = Office::behind(Tinyproxy::start_with("BasicAuth clerk pr0xy"), far).await;
        let config = office.far.ca_file().map_or_else(|| office.plain(), |authority| office.https(authority));
        let url = format!("http://clerk:pr0xy@{}", office.proxy.host());

        office.copy_out_and_back(|ferry| ferry.config(&config).env("ALL_PROXY", &url)).await;

        assert!(!office.proxy.requests().is_empty());
    }
}

#[tokio::test]
async fn a_proxys_password_is_never_told() {
    let office = Office::behind(Tinyproxy::start_with("BasicAuth clerk pr0xy"), DistributionServer::start()).await;
    let url = format!("http://clerk:gue55ed@{}", office.proxy.host());

    let inspect = Ferry::new(&["-vv", "inspect", &format!("{}/app:v1", office.far())]).config(&office.plain());
    let ended = inspect.env("ALL_PROXY", &url).run().await;

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(!ended.stderr.contains("gue55ed"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_is_told() {
    let office = Office::behind(Tinyproxy::start_with("BasicAuth clerk pr0xy"), DistributionServer::start()).await;

    let inspect = Ferry::new(&["inspect", &format!("{}/app:v1", office.far())]).config(&office.plain());
    let error = inspect.env("HTTP_PROXY", &office.proxy.url()).run().await.failure(1);

    assert!(error.contains("407 Proxy Authentication Required"), "{error}");
}

#[tokio::test]
async fn a_tunnel_that_the_proxy_refuses_is_told_at_once() {
    let far = DistributionServer::builder().with_tls().start();
    let office = Office::behind(Tinyproxy::start_with("BasicAuth clerk pr0xy"), far).await;
    let config = office.https(office.far.ca_file().expect("it speaks TLS"));

    let inspect = Ferry::new(&["inspect", &format!("{}/app:v1", office.far())]).config(&config);
    let ended = inspect.env("HTTPS_PROXY", &office.proxy.url()).run().await;

    assert!(!ended.stderr.contains("trying again"), "{}", ended.stderr);
    assert!(ended.failure(1).contains("wants a login"), "{}", ended.stderr);
}

#[tokio::test]
async fn no_proxy_names_what_needs_none() {
    let office = Office::new(DistributionServer::start()).await;
    for exceptions in ["0.0.0.0", "internal.example, 0.0.0.0", "0.0.0.0/8"] {
        office.assert_needs_no_proxy(exceptions).await;
    }
}

#[tokio::test]
async fn no_proxy_may_name_all() {
    Office::new(DistributionServer::start()).await.assert_needs_no_proxy("*").await;
}

#[tokio::test]
async fn registries_on_loopback_never_need_a_proxy() {
    let (source, target, proxy) = (DistributionServer::start(), DistributionServer::start(), Tinyproxy::start());
    client::push(source.host(), "app", "v1", &hello_world()).await;
    let named = target.host().replace("127.0.0.1", "localhost");
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{named}/app:v1"));

    let copy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .into_iter()
        .fold(Ferry::new(&["copy", &from, &to]), |copy, name| copy.env(name, &proxy.url()));
    copy.run().await.success();

    assert_eq!(proxy.requests(), Vec::<String>::new());
    let (there, here) = (Place::new(source.host(), "app", "v1"), Place::new(target.host(), "app", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told() {
    let office = Office::new(DistributionServer::start()).await;
    let url = office.proxy.url();
    let (far, config) = (office.far(), office.plain());
    drop(office.proxy);

    let inspect = Ferry::new(&["inspect", &format!("{far}/app:v1")]).config(&config).env("HTTP_PROXY", &url);
    let error = inspect.run().await.failure(1);

    assert!(error.contains(&url), "{error}");
}
