//! Certificates where podman looks for them: nothing of them is configured.

use std::fs;

use testkit::client;
use testkit::content::hello_world;
use testkit::server::Nginx;
use testkit::{DistributionServer, FakeRegistry};

use crate::support::Ferry;

#[tokio::test]
async fn the_users_folder_gives_a_registrys_authority_and_our_certificate() {
    let (open, registry) = (FakeRegistry::start().await, DistributionServer::start());
    let nginx = Nginx::before(registry.host()).with_client_certificates().start();
    open.seed("app", "v1", &hello_world());
    let (from, to) = (format!("{}/app:v1", open.host()), format!("{}/app:v1", nginx.host()));
    let client = nginx.client_certificate().expect("it speaks TLS");
    let authority = nginx.ca_file().expect("it speaks TLS");
    let config = format!("[registries.'{}']\ntls = 'https'\n", nginx.host());

    for (folder, home) in [(".config", None), ("configurations", Some("configurations"))] {
        let files = [(authority, "ca.crt"), (&client.certificate, "our.cert"), (&client.key, "our.key")];
        let copy = Ferry::new(&["copy", &from, &to]).config(&config);
        let copy = files.into_iter().fold(copy, |copy, (file, name)| {
            let text = fs::read_to_string(file).expect("it is a file of the server's");
            copy.file(&format!("{folder}/containers/certs.d/{}/{name}", nginx.host()), &text)
        });
        let copy = home.into_iter().fold(copy, |copy, home| copy.env("XDG_CONFIG_HOME", home));
        copy.run().await.success();
    }

    let arrived = client::fetch_manifest(registry.host(), "app", "v1").await;
    assert_eq!(arrived, Some(hello_world().root));
}
