//! HTTPS, against a real registry with a certificate of a private authority.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use regferry::events::ImageOutcome;
use regferry::registry::{Settings, Tls};
use testkit::content::hello_world;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::support::{copy, engine_with, host};

fn https(server: &DistributionServer, ca_file: Option<&Path>, tls: Tls) -> HashMap<regferry::oci::Host, Settings> {
    let host = host(server.host());
    let settings =
        Settings { tls, ca_files: ca_file.map(Path::to_owned).into_iter().collect(), ..Settings::for_host(&host) };
    HashMap::from([(host, settings)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let (source, target) = (FakeRegistry::start().await, DistributionServer::builder().with_tls().start());
    source.seed("app", "v1", &hello_world());
    source.seed("app", "big", &Image::oci("linux/amd64").layer(1, 8 << 20).build());
    let engine = engine_with(https(&target, target.ca_file(), Tls::Https), Arc::new(()));

    for tag in ["v1", "big"] {
        let to = format!("{}/app:{tag}", target.host());
        let report = copy(&engine, &format!("{}/app:{tag}", source.host()), &to).await;
        assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
        // And from there back.
        let back = copy(&engine, &to, &format!("{}/back:{tag}", source.host())).await;
        assert_eq!(back.outcome, ImageOutcome::Copied, "{:?}", back.error);
        assert_eq!(source.check_whole("back", tag), Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused_at_once_unless_that_is_wanted() {
    let (source, target) = (FakeRegistry::start().await, DistributionServer::builder().with_tls().start());
    source.seed("app", "v1", &hello_world());
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));

    let refused = copy(&engine_with(https(&target, None, Tls::Https), Arc::new(())), &from, &to).await;
    let error = refused.error.unwrap();
    assert!(error.contains("the certificate is not trusted"), "{error}");

    let taken = copy(&engine_with(https(&target, None, Tls::Insecure), Arc::new(())), &from, &to).await;
    assert_eq!(taken.outcome, ImageOutcome::Copied, "{:?}", taken.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_file_that_is_none_is_an_error_and_not_a_default_client() {
    let target = DistributionServer::builder().with_tls().start();
    let empty = tempfile::NamedTempFile::new().unwrap();
    for (file, reason) in [(empty.path(), "holds no PEM certificate"), (Path::new("/no/such/file"), "No such file")] {
        let engine = engine_with(https(&target, Some(file), Tls::Https), Arc::new(()));
        let from = format!("{}/app:v1", target.host());
        let report = copy(&engine, &from, &from).await;
        let error = report.error.unwrap();
        assert!(error.contains(reason) && error.contains("ca_file"), "{error}");
    }
}

#[tokio::test]
async fn a_registry_without_tls_is_told_from_one_with() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let host = host(source.host());
    let settings = Settings { tls: Tls::Https, ..Settings::for_host(&host) };
    let engine = engine_with(HashMap::from([(host, settings)]), Arc::new(()));

    let to = format!("{}/app:v1", target.host());
    let report = copy(&engine, &format!("{}/app:v1", source.host()), &to).await;

    let error = report.error.unwrap();
    assert!(error.contains("does not speak TLS") && error.contains("=http"), "{error}");
}
