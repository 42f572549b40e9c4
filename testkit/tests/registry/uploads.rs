//! Uploads: in one piece, in several, broken off, mounted, too large to keep.

use testkit::content::{Repeated, digest};
use testkit::{FakeRegistry, client};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::wire::{ask, send};

/// The path and query of a `Location`.
fn target<'a>(host: &str, location: Option<&'a str>) -> &'a str {
    let location = location.expect("an upload has a Location");
    location.strip_prefix(&format!("http://{host}")).unwrap_or(location)
}

async fn open(registry: &FakeRegistry) -> String {
    let opened = ask(registry.host(), "POST /v2/app/blobs/uploads/", &[]).await;
    assert_eq!(opened.status, 202);
    target(registry.host(), opened.header("location")).to_owned()
}

#[tokio::test]
async fn a_blob_is_sent_in_chunks_along_the_newest_location() {
    let registry = FakeRegistry::start().await;
    let first = open(&registry).await;

    let patched = send(registry.host(), &format!("PATCH {first}"), &[("content-range", "0-2")], b"abc").await;
    assert_eq!((patched.status, patched.header("range")), (202, Some("0-2")));
    let second = target(registry.host(), patched.header("location"));

    let stale = send(registry.host(), &format!("PATCH {first}"), &[], b"def").await;
    assert_eq!(stale.status, 404, "a Location that was replaced leads nowhere");
    let gap = send(registry.host(), &format!("PATCH {second}"), &[("content-range", "9-11")], b"def").await;
    assert_eq!(gap.status, 416);

    let all = digest(b"abcdef");
    let closed = send(registry.host(), &format!("PUT {second}&digest={all}"), &[], b"def").await;
    assert_eq!((closed.status, closed.header("docker-content-digest")), (201, Some(all.as_str())));
    assert_eq!(registry.blob_bytes("app", &all).as_deref(), Some(&b"abcdef"[..]));
    assert_eq!(registry.open_sessions(), 0);
}

#[tokio::test]
async fn the_wrong_bytes_are_refused_and_the_session_is_gone() {
    let registry = FakeRegistry::start().await;
    let location = open(&registry).await;
    let expected = digest(b"right");

    let reply = send(registry.host(), &format!("PUT {location}&digest={expected}"), &[], b"wrong").await;

    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("DIGEST_INVALID"), "{}", reply.text());
    assert!(!registry.has_blob("app", &expected));
    assert_eq!(registry.open_sessions(), 0);
}

#[tokio::test]
async fn a_sha512_digest_is_as_good() {
    let registry = FakeRegistry::start().await;
    let location = open(&registry).await;
    let nothing = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                   47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    let reply = send(registry.host(), &format!("PUT {location}&digest={nothing}"), &[], b"").await;

    assert_eq!(reply.status, 201);
    assert!(registry.has_blob("app", nothing));
}

#[tokio::test]
async fn the_status_tells_how_much_a_broken_upload_brought() {
    let registry = FakeRegistry::start().await;
    let location = open(&registry).await;
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabcd");

    let mut socket = TcpStream::connect(registry.host()).await.expect("the registry listens");
    socket.write_all(head.as_bytes()).await.expect("the registry reads");
    drop(socket);
    while registry.requests().last().expect("the PATCH is there").bytes_in < 4 {
        tokio::task::yield_now().await;
    }

    let status = ask(registry.host(), &format!("GET {location}"), &[]).await;
    assert_eq!((status.status, status.header("range")), (204, Some("0-3")));
    assert_eq!(ask(registry.host(), &format!("DELETE {location}"), &[]).await.status, 204);
    assert_eq!(registry.open_sessions(), 0);
}

#[tokio::test]
async fn a_blob_is_mounted_from_the_repository_that_has_it_and_from_no_other() {
    let registry = FakeRegistry::start().await;
    let blob = registry.put_blob("base", "shared");
    assert!(!registry.has_blob("app", &blob), "another repository's blob is not visible");

    let line = format!("POST /v2/app/blobs/uploads/?mount={blob}&from=nowhere");
    assert_eq!(ask(registry.host(), &line, &[]).await.status, 202);
    let line = format!("POST /v2/app/blobs/uploads/?mount={blob}&from=base");
    assert_eq!(ask(registry.host(), &line, &[]).await.status, 201);

    assert!(client::blob_exists(registry.host(), "app", &blob).await);
    assert_eq!(registry.requests().iter().filter(|request| request.is_mount()).count(), 1);
    assert_eq!(registry.open_sessions(), 1, "the refused mount left a session");
}

#[tokio::test]
async fn mounting_can_be_turned_off_and_locations_can_be_relative() {
    let registry = FakeRegistry::builder().without_mount().relative_locations().start().await;
    let blob = registry.put_blob("base", "shared");

    let line = format!("POST /v2/app/blobs/uploads/?mount={blob}&from=base");
    let reply = ask(registry.host(), &line, &[]).await;

    assert_eq!(reply.status, 202);
    assert!(reply.header("location").expect("a session").starts_with("/v2/app/blobs/uploads/"));
}

#[tokio::test]
async fn an_upload_may_go_on_at_a_query_alone_and_what_it_signs_has_to_come_back() {
    let registry = FakeRegistry::builder().query_locations().location_query("sig=a%2Fb").start().await;
    let query = open(&registry).await;
    assert_eq!(query, "?_state=upload-1.0&sig=a%2Fb");
    let all = digest(b"abcdef");
    let put = |query: &str| format!("PUT /v2/app/blobs/uploads/{query}&digest={all}");

    let unsigned = send(registry.host(), &put("?_state=upload-1.0"), &[], b"abcdef").await;
    assert_eq!(unsigned.status, 404);
    let signed = send(registry.host(), &put(&query), &[], b"abcdef").await;
    assert_eq!(signed.status, 201);
    assert_eq!(registry.open_sessions(), 0);
}

#[tokio::test]
async fn an_upload_may_go_on_at_another_port() {
    let registry = FakeRegistry::builder().uploads_elsewhere().start().await;
    let opened = ask(registry.host(), "POST /v2/app/blobs/uploads/", &[]).await;
    let path = target(registry.other_host(), opened.header("location"));
    assert!(path.starts_with("/v2/app/blobs/uploads/"), "{path}");

    let line = format!("PUT {path}&digest={}", digest(b"abc"));
    assert_eq!(send(registry.other_host(), &line, &[], b"abc").await.status, 201);

    assert!(registry.has_blob("app", &digest(b"abc")));
    assert_eq!(registry.requests()[1].header("host"), Some(registry.other_host()));
}

#[tokio::test]
async fn a_large_upload_is_checked_but_not_kept() {
    let registry = FakeRegistry::builder().discard_large_uploads(1000).start().await;
    let small = vec![1; 1000];
    let large = vec![2; 1001];
    for bytes in [&small, &large] {
        let line = format!("PUT {}&digest={}", open(&registry).await, digest(bytes));
        assert_eq!(send(registry.host(), &line, &[], bytes).await.status, 201);
    }

    assert!(registry.blob_bytes("app", &digest(&small)).is_some());
    assert!(registry.blob_bytes("app", &digest(&large)).is_none());
    let line = format!("/v2/app/blobs/{}", digest(&large));
    let head = ask(registry.host(), &format!("HEAD {line}"), &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("1001")));
    assert_eq!(ask(registry.host(), &format!("GET {line}"), &[]).await.status, 500);
}

#[tokio::test]
async fn a_generated_blob_has_the_digest_it_claims() {
    let registry = FakeRegistry::start().await;
    let size = 5 * (1 << 20) + 17;

    let descriptor = registry.seed_generated_blob("app", size, 3);

    let reply = ask(registry.host(), &format!("GET /v2/app/blobs/{}", descriptor.digest), &[]).await;
    assert_eq!(reply.body.len() as u64, size);
    assert_eq!(digest(&reply.body), descriptor.digest);
    assert_eq!(Repeated::new(3, size).digest(), descriptor.digest);
    let range = [("range", "bytes=1048570-1048579")];
    let part = ask(registry.host(), &format!("GET /v2/app/blobs/{}", descriptor.digest), &range).await;
    assert_eq!(part.body, reply.body[1_048_570..1_048_580]);
}
