//! The kit against a real registry: what the fake claims to be, this is.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use testkit::client::{self, Place};
use testkit::content::{self, media_type};
use testkit::server::skopeo;
use testkit::{DistributionServer, FakeRegistry, Image};

#[tokio::test]
async fn every_kind_of_image_is_the_same_on_both() {
    let server = DistributionServer::start();
    let fake = FakeRegistry::start().await;
    for (name, image) in content::every_kind() {
        client::push(server.host(), "kinds", name, &image).await;
        client::push(fake.host(), "kinds", name, &image).await;

        let here = Place::new(fake.host(), "kinds", name);
        let there = Place::new(server.host(), "kinds", name);
        assert_eq!(client::same_tree(here, there).await, Ok(()), "{name}");
    }
    assert_eq!(fake.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn skopeo_sees_the_very_bytes() {
    let server = DistributionServer::start();
    for (name, image) in content::every_kind() {
        client::push(server.host(), "kinds", name, &image).await;
        let reference = format!("docker://{}/kinds:{name}", server.host());
        let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &reference]).await;
        assert_eq!(raw, image.root.bytes, "{name}");
    }
}

#[tokio::test]
async fn skopeo_copies_between_the_fake_and_the_real_registry_and_keeps_every_digest() {
    let server = DistributionServer::start();
    let fake = FakeRegistry::start().await;
    for (name, image) in content::every_kind().into_iter().filter(|(name, _)| skopeo_can_copy(name)) {
        fake.seed("kinds", name, &image);
        let source = format!("docker://{}/kinds:{name}", fake.host());
        let middle = format!("docker://{}/kinds:{name}", server.host());
        let target = format!("docker://{}/back:{name}", fake.host());
        skopeo_copy(&source, &middle).await;
        skopeo_copy(&middle, &target).await;
        assert_eq!(fake.check_whole("back", name), Ok(()));
        assert_eq!(fake.manifest("back", name), Some(image.root), "{name}");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_port_and_the_images() {
    let mut server = DistributionServer::start();
    let host = server.host().to_owned();
    let image = content::hello_world();
    client::push(&host, "app", "1", &image).await;

    server.stop();
    assert!(std::net::TcpStream::connect(&host).is_err(), "nobody listens");
    server.restart();

    assert_eq!(server.host(), host);
    assert_eq!(client::fetch_manifest(&host, "app", "1").await, Some(image.root));
    assert!(server.storage().join("docker/registry/v2/repositories/app").is_dir());
    assert!(server.log().contains("listening on"));
}

#[tokio::test]
async fn damage_on_the_disk_is_told() {
    let server = DistributionServer::start();
    let image = content::hello_world();
    client::push(server.host(), "a/b", "1", &image).await;
    assert_eq!(server.damage(), Vec::<String>::new());

    let root = server.storage().join("docker/registry/v2");
    let layer = image.children[0].blobs[1].digest();
    let hex = layer.trim_start_matches("sha256:");
    fs::write(root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data"), "other").expect("the disk is writable");
    let child = image.children[1].digest();
    let hex = child.trim_start_matches("sha256:");
    fs::remove_dir_all(root.join("repositories/a/b/_manifests/revisions/sha256").join(hex)).expect("it is there");

    let damage = server.damage();
    assert_eq!(damage.len(), 2, "{damage:?}");
    assert_eq!(damage[0], format!("the bytes of {layer} are others"));
    assert!(damage[1].ends_with(&format!("a/b: {} lacks {child}", image.digest())), "{damage:?}");
}

#[tokio::test]
async fn an_upload_is_open_until_it_is_ended_or_given_up() {
    let server = DistributionServer::start();
    client::push(server.host(), "a/b", "1", &content::hello_world()).await;
    assert_eq!(server.open_uploads(), 0, "all were ended");

    let mut socket = std::net::TcpStream::connect(server.host()).expect("it listens");
    write!(socket, "POST /v2/a/b/blobs/uploads/ HTTP/1.0\r\nHost: {}\r\n\r\n", server.host()).expect("it reads");
    let answer = std::io::read_to_string(socket).expect("it answers");

    assert!(answer.contains(" 202 "), "{answer}");
    assert_eq!((server.open_uploads(), server.empty_uploads()), (1, 1));
}

#[tokio::test]
async fn an_upload_whose_body_broke_off_has_bytes_and_cannot_be_ended() {
    let server = DistributionServer::start();
    let host = server.host();
    let ask = |request: String, body: &[u8]| {
        let mut socket = std::net::TcpStream::connect(host).expect("it listens");
        socket.write_all(request.as_bytes()).and_then(|()| socket.write_all(body)).expect("it reads");
        socket
    };
    let answer = |socket| std::io::read_to_string(socket).expect("it answers");
    let opened = answer(ask(format!("POST /v2/a/b/blobs/uploads/ HTTP/1.0\r\nHost: {host}\r\n\r\n"), b""));
    let session = opened.lines().find_map(|line| line.strip_prefix("Location: http://")?.strip_prefix(host));
    let session = session.unwrap_or_else(|| panic!("it says where: {opened}"));

    drop(ask(format!("PATCH {session} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n"), &[0; 100]));
    let has_come = async {
        while server.empty_uploads() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), has_come).await.expect("the bytes are on the disk");

    let ended = answer(ask(format!("DELETE {session} HTTP/1.0\r\nHost: {host}\r\n\r\n"), b""));
    assert!(ended.contains(" 404 "), "{ended}");
    assert_eq!(server.open_uploads(), 1);
}

#[tokio::test]
#[should_panic(expected = "unknown error")]
async fn foreign_layers_are_refused_unless_they_are_allowed() {
    let server = DistributionServer::builder().without_foreign_layers().start();
    let image = Image::docker("windows/amd64").foreign_layer("https://layers.example/base", 9).build();
    client::push(server.host(), "app", "1", &image).await;
}

#[tokio::test]
async fn the_first_difference_is_told() {
    let (left, right) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = content::hello_world();
    left.seed("app", "1", &image);
    let here = Place::new(left.host(), "app", "1");
    let there = Place::new(right.host(), "app", "1");

    let missing = client::same_tree(here, there).await.expect_err("nothing is there");
    assert!(missing.ends_with("is missing"), "{missing}");

    right.seed("app", "1", &Image::oci("linux/amd64").build());
    let other = client::same_tree(here, there).await.expect_err("another image is there");
    assert!(other.contains(media_type::OCI_MANIFEST), "{other}");

    right.seed("app", "1", &image);
    let layer = image.children[0].blobs[1].digest();
    assert!(right.remove_blob("app", &layer));
    let incomplete = client::same_tree(here, there).await.expect_err("a layer is missing");
    assert!(incomplete.contains(&layer), "{incomplete}");
}

// This skopeo does not follow an index into an index, and has no business with layers that stand
// elsewhere.
fn skopeo_can_copy(kind: &str) -> bool {
    !matches!(kind, "nested-index" | "foreign")
}

async fn skopeo_copy(source: &str, target: &str) {
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&["copy", "--all", "--preserve-digests", plain[0], plain[1], source, target]).await;
}
