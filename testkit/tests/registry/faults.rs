//! Every fault does what it says, and only where it says.

use std::time::Duration;

use testkit::content::media_type;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio::time::{Instant, timeout};

use crate::wire::{ask, send, try_send};

const BLOB: &[u8] = b"0123456789";

/// A registry whose every GET of a blob suffers `effect`, and the request line for the blob it has.
async fn struck_by(effect: Effect) -> (FakeRegistry, String) {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("app", BLOB);
    registry.fault(Fault::on(Method::GET, Endpoint::Blob), effect);
    (registry, format!("GET /v2/app/blobs/{digest}"))
}

#[tokio::test]
async fn a_fault_skips_strikes_and_is_over() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("app", BLOB);
    let fault = Fault::on(Method::GET, Endpoint::Blob).skip(1).times(2);
    registry.fault(fault, Effect::status_with(429, &[("retry-after", "7")]));

    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = ask(registry.host(), &format!("GET /v2/app/blobs/{digest}"), &[]).await;
        assert_eq!(reply.header("retry-after").is_some(), reply.status == 429);
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 429, 429, 200]);
}

#[tokio::test]
async fn a_fault_strikes_only_what_it_names() {
    let registry = FakeRegistry::start().await;
    let one = registry.put_blob("app", "one");
    let two = registry.put_blob("app", "two");
    registry.put_blob("other", "one");
    let fault = Fault::on(Method::GET, Endpoint::Blob).repository("app").reference(&one);
    registry.fault(fault, Effect::status(503));

    let status = async |line: String| ask(registry.host(), &line, &[]).await.status;
    assert_eq!(status(format!("GET /v2/app/blobs/{one}")).await, 503);
    assert_eq!(status(format!("HEAD /v2/app/blobs/{one}")).await, 200);
    assert_eq!(status(format!("GET /v2/app/blobs/{two}")).await, 200);
    assert_eq!(status(format!("GET /v2/other/blobs/{one}")).await, 200);
    registry.clear_faults();
    assert_eq!(status(format!("GET /v2/app/blobs/{one}")).await, 200);
}

#[tokio::test]
async fn of_two_faults_the_first_strikes_until_it_is_over() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::any().times(1), Effect::status(500));
    registry.fault(Fault::any().times(1), Effect::status(502));

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(registry.host(), "GET /v2/", &[]).await.status);
    }
    assert_eq!(statuses, [500, 502, 200]);
}

#[tokio::test]
async fn a_cut_body_ends_after_exactly_so_many_bytes() {
    for after_bytes in [0, 1, 4, 9] {
        let (registry, line) = struck_by(Effect::CutBody { after_bytes }).await;
        let reply = ask(registry.host(), &line, &[]).await;
        assert_eq!((reply.status, reply.header("content-length")), (200, Some("10")));
        assert_eq!(reply.body.len() as u64, after_bytes);
    }
}

#[tokio::test]
async fn a_large_body_is_cut_as_exactly_as_a_small_one() {
    let registry = FakeRegistry::start().await;
    let blob = registry.seed_generated_blob("app", 64 << 20, 1);
    let after_bytes = 40_000_001;
    registry.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::CutBody { after_bytes });

    let reply = ask(registry.host(), &format!("GET /v2/app/blobs/{}", blob.digest), &[]).await;

    assert_eq!(reply.body.len() as u64, after_bytes);
    assert_eq!(registry.requests()[0].bytes_out, after_bytes);
}

#[tokio::test]
async fn a_cut_beyond_the_end_cuts_nothing() {
    let (registry, line) = struck_by(Effect::CutBody { after_bytes: 10 }).await;
    assert_eq!(ask(registry.host(), &line, &[]).await.body, BLOB);
}

#[tokio::test]
async fn a_short_body_is_well_formed() {
    let (registry, line) = struck_by(Effect::ShortBody { by: 3 }).await;
    let reply = ask(registry.host(), &line, &[]).await;
    assert_eq!((reply.header("content-length"), reply.body.as_slice()), (Some("7"), &BLOB[..7]));
}

#[tokio::test]
async fn a_corrupt_byte_is_one_byte() {
    let (registry, line) = struck_by(Effect::CorruptByte { at: 2 }).await;
    let reply = ask(registry.host(), &line, &[("range", "bytes=4-")]).await;
    let wrong: Vec<_> = (0..6).filter(|&at| reply.body[at] != BLOB[4 + at]).collect();
    assert_eq!(wrong, [2], "the position is that in the body which is sent");
}

#[tokio::test]
async fn headers_are_replaced_and_removed() {
    let (registry, line) = struck_by(Effect::header("Docker-Content-Digest", "sha256:00")).await;
    let reply = ask(registry.host(), &line, &[]).await;
    assert_eq!((reply.header("docker-content-digest"), reply.body.as_slice()), (Some("sha256:00"), BLOB));

    let (registry, line) = struck_by(Effect::RemoveHeader("Content-Type".to_owned())).await;
    assert_eq!(ask(registry.host(), &line, &[]).await.header("content-type"), None);
}

#[tokio::test]
async fn without_a_length_the_body_comes_in_chunks() {
    let (registry, line) = struck_by(Effect::RemoveHeader("content-length".to_owned())).await;
    let reply = ask(registry.host(), &line, &[]).await;
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.text(), "A\r\n0123456789\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_web_page_comes_instead_of_a_manifest() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "1", &Image::oci("linux/amd64").build());
    registry.fault(Fault::on(Method::GET, Endpoint::Manifest).reference("1"), Effect::html());

    let accept = [("accept", media_type::OCI_MANIFEST)];
    let reply = ask(registry.host(), "GET /v2/app/manifests/1", &accept).await;

    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(reply.text().contains("<html>"));
}

#[tokio::test]
async fn a_dropped_request_does_nothing_and_a_lost_answer_does_all() {
    let image = Image::oci("linux/amd64").build();
    for (effect, done) in [(Effect::Drop, false), (Effect::LoseAnswer, true)] {
        let registry = FakeRegistry::start().await;
        registry.seed_untagged("app", &image);
        registry.fault(Fault::on(Method::PUT, Endpoint::Manifest), effect);

        let typed = [("content-type", media_type::OCI_MANIFEST)];
        let reply = try_send(registry.host(), "PUT /v2/app/manifests/1", &typed, &image.root.bytes).await;

        assert!(reply.is_none());
        assert_eq!(registry.manifest("app", "1").is_some(), done);
        assert_eq!(registry.requests()[0].status, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_answer_is_the_usual_one() {
    let (registry, line) = struck_by(Effect::Delay(Duration::from_secs(30))).await;
    let start = Instant::now();
    assert_eq!(ask(registry.host(), &line, &[]).await.body, BLOB);
    assert!(start.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_is_never_answered() {
    let (registry, line) = struck_by(Effect::Hang).await;
    let waited = timeout(Duration::from_secs(3600), ask(registry.host(), &line, &[])).await;
    assert!(waited.is_err());
}

#[tokio::test]
async fn an_upload_is_struck_by_its_digest_before_its_body_is_read() {
    let registry = FakeRegistry::start().await;
    let digest = testkit::content::digest(BLOB);
    let fault = Fault::on(Method::PUT, Endpoint::Upload).reference(&digest).times(1);
    registry.fault(fault, Effect::status(413));

    let opened = ask(registry.host(), "POST /v2/app/blobs/uploads/", &[]).await;
    let location = opened.header("location").expect("a session").split_once("/v2").expect("an absolute URL").1;
    let line = format!("PUT /v2{location}&digest={digest}");

    assert_eq!(send(registry.host(), &line, &[], BLOB).await.status, 413);
    assert_eq!(registry.requests()[1].bytes_in, 0);
    assert_eq!(send(registry.host(), &line, &[], BLOB).await.status, 201, "the session is still good");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::status(413));
    let large = vec![b' '; 32 << 20];

    let reply = send(registry.host(), "PUT /v2/app/manifests/1", &[], &large).await;

    assert_eq!(reply.status, 413);
    assert_eq!(registry.requests()[0].bytes_in, 0, "what is thrown away does not count");
}
