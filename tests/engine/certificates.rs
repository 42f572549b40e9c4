//! Folders of certificates, as Docker and podman have them.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use regferry::registry::{CertificateFolders, DockerConfigFiles, Registries};
use regferry::transfer::{Engine, Limits};
use testkit::content::hello_world;
use testkit::{FakeRegistry, Front};

use crate::support::{copy, https};

#[tokio::test]
async fn a_registrys_folder_gives_its_authority_and_our_certificate() {
    let (registry, open) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let front = Front::before(registry.host()).start().await;
    registry.seed("app", "v1", &hello_world());
    // Another name of it has no folder.
    let named = front.host().replace("127.0.0.1", "localhost");
    let folders = tempfile::tempdir().unwrap();
    let folder = folders.path().join(front.host());
    fs::create_dir(&folder).unwrap();
    let client = front.client_certificate();
    for (from, name) in [(front.ca_file(), "ca.crt"), (&client.certificate, "client.cert"), (&client.key, "client.key")]
    {
        fs::copy(from, folder.join(name)).unwrap();
    }
    let (host, settings) = https(&front);
    let settings = regferry::registry::Settings { ca_files: Vec::new(), ..settings };
    let settings = HashMap::from([(host, settings.clone()), (named.parse().unwrap(), settings)]);
    let registries = Registries::new(settings, DockerConfigFiles::default(), Arc::new(()));
    let registries = registries.with_certificates(CertificateFolders::new(vec![folders.path().to_owned()]));
    let engine = Arc::new(Engine::new(registries, Limits::default(), Arc::new(())));

    let to = format!("{}/app:v1", open.host());
    let report = copy(&engine, &format!("{}/app:v1", front.host()), &to).await;

    assert_eq!((report.error, open.check_whole("app", "v1")), (None, Ok(())));
    assert!(front.requests().iter().all(|request| request.certificate));
    let error = copy(&engine, &format!("{named}/app:v1"), &to).await.error.unwrap();
    assert!(error.contains("the certificate is not trusted"), "{error}");
}
