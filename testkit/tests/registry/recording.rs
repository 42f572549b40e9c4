//! Every request is on record, and a test can act at any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use testkit::{Endpoint, FakeRegistry, Image, Method, client};
use tokio::time::timeout;

use crate::wire::ask;

#[tokio::test]
async fn a_request_is_recorded_with_its_outcome() {
    let registry = FakeRegistry::start().await;
    let blob = registry.put_blob("app", "0123456789");
    let line = format!("GET /v2/app/blobs/{blob}?x=a%20b");

    ask(registry.host(), &line, &[("range", "bytes=4-")]).await;

    let requests = registry.requests();
    let [request] = requests.as_slice() else { panic!("{}", registry.summary()) };
    assert_eq!((&request.method, request.endpoint), (&Method::GET, Endpoint::Blob));
    assert_eq!(request.repository.as_deref(), Some("app"));
    assert_eq!(request.reference.as_deref(), Some(blob.as_str()));
    assert_eq!(request.parameter("x").as_deref(), Some("a b"));
    assert_eq!(request.header("range"), Some("bytes=4-"));
    assert_eq!((request.status, request.bytes_in, request.bytes_out), (Some(206), 0, 6));
}

#[tokio::test]
async fn a_push_reads_as_a_summary() {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("linux/amd64").layer(1, 100).build();

    client::push(registry.host(), "app", "1", &image).await;

    assert_eq!(registry.summary(), "POST upload 2, PUT upload 2, PUT manifest 1");
    assert_eq!(registry.count(&Method::PUT, Endpoint::Upload), 2);
    let layer = image.blobs[1].digest();
    let put = registry.requests().into_iter().find(|request| request.reference.as_ref() == Some(&layer));
    assert_eq!(put.map(|put| (put.status, put.bytes_in)), Some((Some(201), 100)));

    registry.clear_requests();
    assert_eq!(registry.summary(), "no requests");
}

#[tokio::test]
async fn a_held_request_is_answered_when_it_is_let_go() {
    let registry = FakeRegistry::start().await;
    let second = registry.after_requests(2);
    let host = registry.host().to_owned();
    let mut client = tokio::spawn(async move {
        ask(&host, "GET /v2/", &[]).await;
        ask(&host, "GET /v2/", &[]).await.status
    });

    let held = second.await;
    assert_eq!(registry.requests().len(), 2);
    assert_eq!(registry.requests()[1].status, None);
    assert!(timeout(Duration::from_millis(50), &mut client).await.is_err(), "it waits");

    drop(held);
    assert_eq!(client.await.expect("the client ends"), 200);
}

#[tokio::test]
async fn a_client_that_is_dropped_at_a_held_request_sends_nothing_more() {
    let image = Image::oci("linux/amd64").layer(1, 100).layer(2, 100).build();
    for cut in 1..=7 {
        let registry = FakeRegistry::start().await;
        tokio::select! {
            () = client::push(registry.host(), "app", "1", &image) => panic!("request {cut} is held"),
            _held = registry.after_requests(cut) => {}
        }
        assert_eq!(registry.requests().len(), cut);
        assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_callback_runs_before_the_answer_and_at_once_if_it_is_late() {
    let registry = FakeRegistry::start().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |calls: &Arc<AtomicUsize>| {
        let calls = Arc::clone(calls);
        move || _ = calls.fetch_add(1, Relaxed)
    };

    registry.on_request(1, count(&calls));
    assert_eq!(calls.load(Relaxed), 0);
    ask(registry.host(), "GET /v2/", &[]).await;
    assert_eq!(calls.load(Relaxed), 1);
    registry.on_request(1, count(&calls));
    assert_eq!(calls.load(Relaxed), 2);
}

#[tokio::test]
async fn a_dropped_registry_closes_its_ports() {
    let registry = FakeRegistry::start().await;
    let hosts = [registry.host().to_owned(), registry.other_host().to_owned()];
    drop(registry);
    // A listener goes with its task, which ends as soon as the runtime gets to it.
    for host in hosts {
        while tokio::net::TcpStream::connect(&host).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
