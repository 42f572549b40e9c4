//! What a registry takes at once, in a while and in one body; and uploads that keep what came.

use std::time::Duration;

use testkit::content::{digest, media_type};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::wire::{ask, send, try_send};

const ACCEPT: &[(&str, &str)] = &[("accept", media_type::DOCKER_LIST)];
const WINDOW: Duration = Duration::from_secs(60);

async fn status(registry: &FakeRegistry, line: &str) -> u16 {
    ask(registry.host(), line, &[]).await.status
}

/// Opens an upload in `app`; its path and query.
async fn open(registry: &FakeRegistry) -> String {
    let opened = ask(registry.host(), "POST /v2/app/blobs/uploads/", &[]).await;
    let location = opened.header("location").expect("an upload has a Location");
    location.strip_prefix(&format!("http://{}", registry.host())).expect("a whole URL").to_owned()
}

#[tokio::test]
async fn requests_in_flight_are_counted_and_too_many_are_refused() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::any().busier_than(1), Effect::status(429));
    assert_eq!((status(&registry, "GET /v2/").await, registry.most_in_flight()), (200, 1));

    let second = registry.after_requests(2);
    let host = registry.host().to_owned();
    let held = tokio::spawn(async move { ask(&host, "GET /v2/", &[]).await.status });
    let release = second.await;
    assert_eq!(status(&registry, "GET /v2/").await, 429);
    drop(release);

    assert_eq!((held.await.expect("it goes on"), registry.most_in_flight()), (200, 2));
}

#[tokio::test]
async fn a_body_that_is_not_fetched_is_in_flight() {
    let registry = FakeRegistry::start().await;
    // More than the sockets' buffers hold.
    let blob = registry.put_blob("app", vec![0; 64 << 20]);
    let head = format!("GET /v2/app/blobs/{blob} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut socket = tokio::net::TcpStream::connect(registry.host()).await.expect("it goes on");
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes()).await.expect("it goes on");
    socket.readable().await.expect("it goes on");

    assert_eq!(status(&registry, "GET /v2/").await, 200);

    assert_eq!(registry.most_in_flight(), 2);
}

#[tokio::test]
async fn requests_that_come_too_fast_are_refused() {
    let registry = FakeRegistry::start().await;
    let reading = Fault::on(Method::GET, Endpoint::Base).faster_than(2, WINDOW);
    registry.fault(reading, Effect::status(429));

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(status(&registry, "GET /v2/").await);
    }

    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(status(&registry, "GET /v2/_catalog").await, 200, "other requests are not counted");
    assert!(registry.requests().is_sorted_by_key(|request| request.arrived));
}

#[tokio::test]
async fn bodies_that_are_too_large_are_struck_alone() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::on(Method::PUT, Endpoint::Upload).larger_than(3), Effect::Drop);
    for (bytes, taken) in [("abc", true), ("abcd", false)] {
        let line = format!("PUT {}&digest={}", open(&registry).await, digest(bytes.as_bytes()));
        let reply = try_send(registry.host(), &line, &[], bytes.as_bytes()).await;
        assert_eq!(reply.map(|reply| reply.status), taken.then_some(201));
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_keeps_what_came_and_goes_on_there() {
    for method in [Method::PATCH, Method::PUT] {
        let registry = FakeRegistry::start().await;
        let (location, all) = (open(&registry).await, digest(b"abcdef"));
        let fault = Fault::on(method.clone(), Endpoint::Upload).times(1);
        registry.fault(fault, Effect::CutRequest { after_bytes: 2 });

        let line = format!("{method} {location}&digest={all}");
        assert!(try_send(registry.host(), &line, &[], b"abcdef").await.is_none());

        let kept = ask(registry.host(), &format!("GET {location}"), &[]).await;
        assert_eq!((kept.status, kept.header("range")), (204, Some("0-1")));
        let line = format!("PATCH {location}");
        let patched = send(registry.host(), &line, &[("content-range", "2-5")], b"cdef").await;
        assert_eq!((patched.status, patched.header("range")), (202, Some("0-5")));
    }
}

#[tokio::test]
async fn a_body_that_is_no_longer_than_where_it_is_cut_arrives() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::CutRequest { after_bytes: 6 });
    let line = format!("PUT {}&digest={}", open(&registry).await, digest(b"abcdef"));

    assert_eq!(send(registry.host(), &line, &[], b"abcdef").await.status, 201);
}

#[tokio::test]
async fn a_byte_that_arrives_wrong_makes_another_digest() {
    let registry = FakeRegistry::start().await;
    registry.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::CorruptRequest { at: 5 });
    let line = format!("PUT {}&digest={}", open(&registry).await, digest(b"abcdef"));

    let reply = send(registry.host(), &line, &[], b"abcdef").await;

    assert!(reply.status == 400 && reply.text().contains("DIGEST_INVALID"), "{}", reply.text());
}

#[tokio::test]
async fn pulls_are_counted_announced_and_refused_when_none_is_left() {
    let registry = FakeRegistry::builder().pulls(2, WINDOW).start().await;
    registry.seed("app", "v1", &testkit::content::hello_world());
    let pull = async |method: &str| {
        let reply = ask(registry.host(), &format!("{method} /v2/app/manifests/v1"), ACCEPT).await;
        assert_eq!(reply.header("ratelimit-limit"), Some("2;w=60"));
        (reply.status, reply.header("ratelimit-remaining").expect("it goes on").to_owned())
    };
    let told = |status: u16, left: &str| (status, left.to_owned());

    assert_eq!(pull("HEAD").await, told(200, "2;w=60"));
    assert_eq!(pull("GET").await, told(200, "1;w=60"));
    registry.spend_pull();
    assert_eq!(pull("GET").await, told(429, "0;w=60"));
    assert_eq!(pull("HEAD").await, told(200, "0;w=60"));
}

#[tokio::test(start_paused = true)]
async fn pulls_come_back_when_their_window_has_passed() {
    let registry = FakeRegistry::builder().pulls(1, WINDOW).start().await;
    registry.seed("app", "v1", &testkit::content::hello_world());
    let line = "GET /v2/app/manifests/v1";
    let pull = async || ask(registry.host(), line, ACCEPT).await.status;

    assert_eq!((pull().await, pull().await), (200, 429));
    tokio::time::advance(WINDOW).await;
    assert_eq!(pull().await, 200);
}
