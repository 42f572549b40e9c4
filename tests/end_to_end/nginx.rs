//! Registries behind an nginx, as most are: it ends TLS, limits bodies, and limits requests.

use testkit::client::{self, Place};
use testkit::content::every_kind;
use testkit::server::{Nginx, skopeo};
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::support::Ferry;

#[tokio::test]
async fn where_nginx_ends_tls_every_kind_of_image_goes_in_and_comes_out() {
    let (open, registry) = (FakeRegistry::start().await, DistributionServer::start());
    let nginx = Nginx::before(registry.host()).with_tls().start();
    let config = https(&nginx);

    for (kind, image) in every_kind() {
        open.seed(kind, "v1", &image);
        let within = format!("{}/{kind}:v1", nginx.host());
        for (from, to) in [
            (format!("{}/{kind}:v1", open.host()), within.clone()),
            (within, format!("{}/back/{kind}:v1", open.host())),
        ] {
            Ferry::new(&["copy", &from, &to]).config(&config).run().await.success();
        }
        assert_eq!(open.check_whole(&format!("back/{kind}"), "v1"), Ok(()), "{kind}");
        assert_eq!(client::fetch_manifest(registry.host(), kind, "v1").await, Some(image.root), "{kind}");
    }
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused_where_one_is_wanted() {
    let (open, registry) = (with_app(&small()).await, DistributionServer::start());
    let nginx = Nginx::before(registry.host()).with_client_certificates().start();
    let (from, to) = (format!("{}/app:v1", open.host()), format!("{}/app:v1", nginx.host()));

    let error = Ferry::new(&["copy", &from, &to]).config(&https(&nginx)).run().await.failure(1);

    assert!(error.contains(nginx.host()) && error.contains("400 Bad Request"), "{error}");
}

#[tokio::test]
async fn who_shows_the_certificate_that_is_wanted_is_let_in() {
    let (open, registry) = (with_app(&small()).await, DistributionServer::start());
    let nginx = Nginx::before(registry.host()).with_client_certificates().start();
    let (from, to) = (format!("{}/app:v1", open.host()), format!("{}/app:v1", nginx.host()));
    let client = nginx.client_certificate().expect("it speaks TLS");
    let (certificate, key) = (client.certificate.display(), client.key.display());
    let config = https(&nginx) + &format!("client_cert_file = '{certificate}'\nclient_key_file = '{key}'\n");

    Ferry::new(&["copy", &from, &to]).config(&config).run().await.success();

    let (there, here) = (Place::new(open.host(), "app", "v1"), Place::new(registry.host(), "app", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
}

#[tokio::test]
async fn a_layer_that_is_too_large_for_one_body_arrives_in_chunks() {
    let (image, registry) = (Image::oci("linux/amd64").layer(1, 20 << 20).build(), DistributionServer::start());
    let open = with_app(&image).await;
    let nginx = Nginx::before(registry.host()).with_max_body("5m").start();
    let (from, to) = (format!("{}/app:v1", open.host()), format!("{}/app:v1", nginx.host()));

    let ended = Ferry::new(&["copy", &from, &to]).run().await;

    assert_eq!((ended.code, ended.text()), (Some(0), format!("{to} {}\n", image.digest())), "{}", ended.stderr);
    let chunks = nginx.requests().iter().filter(|request| is_chunk(request)).count();
    assert_eq!(chunks, 5, "20 MiB in chunks of 4 MiB: {:#?}", nginx.requests());
    let (there, here) = (Place::new(open.host(), "app", "v1"), Place::new(registry.host(), "app", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
    skopeo_reads(&to).await;
}

/// Lets skopeo fetch an image, which checks every digest.
async fn skopeo_reads(reference: &str) {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let (from, to) = (format!("docker://{reference}"), format!("dir:{}", folder.path().display()));
    skopeo(&["copy", "--src-tls-verify=false", &from, &to]).await;
}

fn is_chunk(request: &str) -> bool {
    request.starts_with("PATCH ") && request.ends_with(" 202")
}

#[tokio::test]
async fn a_rule_of_many_images_arrives_whole_where_requests_are_limited() {
    let (open, registry) = (FakeRegistry::start().await, DistributionServer::start());
    let tags: Vec<_> = (0..20).map(|number| format!("v{number}")).collect();
    for (seed, tag) in (0..).zip(&tags) {
        open.seed("app", tag, &Image::oci("linux/amd64").layer(seed, 1_000).build());
    }
    let nginx = Nginx::before(registry.host()).with_rate(50, 5).start();
    let config = format!("[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = '{}/app'\n", open.host(), nginx.host());

    let ended = Ferry::new(&["sync", "--output", "json"]).config(&config).run().await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let totals = &ended.json()["totals"];
    assert_eq!((&totals["copied"], &totals["failed"]), (&20.into(), &0.into()), "{totals:#}");
    assert!(nginx.requests().iter().any(|request| request.ends_with(" 429")), "{:#?}", nginx.requests());
    for tag in &tags {
        let (there, here) = (Place::new(open.host(), "app", tag), Place::new(registry.host(), "app", tag));
        assert_eq!(client::same_tree(there, here).await, Ok(()), "{tag}");
    }
}

/// A configuration that trusts the nginx's authority, and has room for more about it.
fn https(nginx: &Nginx) -> String {
    let authority = nginx.ca_file().expect("it speaks TLS").display();
    format!("[registries.'{}']\ntls = 'https'\nca_file = '{authority}'\n", nginx.host())
}

fn small() -> Image {
    Image::oci("linux/amd64").layer(1, 1_000).build()
}

async fn with_app(image: &Image) -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", image);
    registry
}
