//! Chaos does what it says: nothing where it is calm, and else the one fault that it was told.

use std::time::{Duration, Instant};

use testkit::client::{self, Place};
use testkit::content::{digest, every_kind, pseudo_random};
use testkit::{Chaos, DistributionServer, FakeRegistry, Harm};

use crate::wire::{Reply, send, try_send};

const SIZE: usize = 300_000;

/// A registry with one blob, and chaos of one kind before it.
struct Struck {
    registry: FakeRegistry,
    chaos: Chaos,
    blob: String,
}

impl Struck {
    async fn by(harm: Harm) -> Self {
        let registry = FakeRegistry::start().await;
        let blob = registry.put_blob("app", pseudo_random(1, SIZE));
        let stall = Duration::from_millis(200);
        let chaos = Chaos::before(registry.host()).seed(3).often(harm, 1.0).stalls_for(stall).start().await;
        Self { registry, chaos, blob }
    }

    async fn get(&self) -> Option<Reply> {
        try_send(self.chaos.host(), &format!("GET /v2/app/blobs/{}", self.blob), &[], b"").await
    }

    async fn put(&self, bytes: &[u8]) -> Option<Reply> {
        // A session of its own, past the chaos: only the PUT is struck.
        let opened = send(self.registry.host(), "POST /v2/app/blobs/uploads/", &[], b"").await;
        let location = opened.header("location").expect("a session").to_owned();
        let path = location.trim_start_matches(&format!("http://{}", self.registry.host())).to_owned();
        let join = if path.contains('?') { '&' } else { '?' };
        try_send(self.chaos.host(), &format!("PUT {path}{join}digest={}", digest(bytes)), &[], bytes).await
    }

    fn committed(&self, harm: Harm) -> u64 {
        self.chaos.tally().harms.get(&harm).copied().unwrap_or(0)
    }
}

#[tokio::test]
async fn what_is_calm_passes_as_it_is_and_uploads_lead_back() {
    let server = DistributionServer::start();
    let chaos = Chaos::before(server.host()).start().await;
    let mut documents = 0;
    for (name, image) in every_kind() {
        client::push(chaos.host(), "kinds", name, &image).await;
        documents += image.documents().map(|document| document.bytes.len() as u64).sum::<u64>();

        let (here, there) = (Place::new(chaos.host(), "kinds", name), Place::new(server.host(), "kinds", name));
        assert_eq!(client::same_tree(here, there).await, Ok(()), "{name}");
    }
    let tally = chaos.tally();
    assert_eq!((tally.received, tally.faults()), (documents, 0), "{tally}");
    assert!(tally.sent > 150_000, "blobs went through it: {tally}");
}

#[tokio::test]
async fn a_calmed_one_strikes_no_more() {
    let struck = Struck::by(Harm::NoAnswer).await;
    assert!(struck.get().await.is_none());

    struck.chaos.calm();

    assert_eq!(struck.get().await.expect("an answer").body, pseudo_random(1, SIZE));
    assert_eq!(struck.chaos.tally().to_string(), "2 requests, 0 bytes sent, 300000 received, 1 faults, NoAnswer 1");
}

#[tokio::test]
async fn refusals_come_without_the_registry() {
    for (harm, statuses) in [(Harm::Throttle, [429; 4]), (Harm::ServerError, [500, 502, 503, 504])] {
        let struck = Struck::by(harm).await;
        let status = struck.put(&[7; SIZE]).await.expect("an answer").status;
        assert!(statuses.contains(&status), "{harm:?}: {status}");
        assert_eq!(struck.registry.summary(), "POST upload 1");
    }
}

#[tokio::test]
async fn an_answer_is_lost_behind_the_deed_or_in_its_place() {
    let lost = Struck::by(Harm::LoseAnswer).await;
    assert!(lost.put(b"bytes").await.is_none());
    assert!(lost.registry.has_blob("app", &digest(b"bytes")));

    let undone = Struck::by(Harm::NoAnswer).await;
    assert!(undone.put(b"bytes").await.is_none());
    assert!(!undone.registry.has_blob("app", &digest(b"bytes")));
}

#[tokio::test]
async fn an_answer_is_cut_where_the_tally_says() {
    let struck = Struck::by(Harm::CutAnswer).await;

    let reply = struck.get().await.expect("the beginning of an answer");

    assert_eq!((reply.status, reply.header("content-length")), (200, Some("300000")));
    assert!(reply.body.len() < SIZE);
    assert_eq!(reply.body, pseudo_random(1, SIZE)[..reply.body.len()]);
    assert_eq!(struck.chaos.tally().received, reply.body.len() as u64);
    assert_eq!(struck.committed(Harm::CutAnswer), 1);
}

#[tokio::test]
async fn an_answer_that_stalls_is_closed_in_the_end() {
    let struck = Struck::by(Harm::StallAnswer).await;
    let started = Instant::now();

    let reply = struck.get().await.expect("the beginning of an answer");

    assert!(reply.body.len() < SIZE);
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(struck.committed(Harm::StallAnswer), 1);
}

#[tokio::test]
async fn an_answer_is_wrong_by_one_bit() {
    let struck = Struck::by(Harm::CorruptAnswer).await;

    let reply = struck.get().await.expect("an answer");

    let right = pseudo_random(1, SIZE);
    let wrong: u32 = reply.body.iter().zip(&right).map(|(here, there)| (here ^ there).count_ones()).sum();
    assert_eq!((reply.body.len(), wrong), (SIZE, 1));
}

#[tokio::test]
async fn a_request_that_is_cut_or_stalls_is_not_done() {
    for harm in [Harm::CutRequest, Harm::StallRequest] {
        let struck = Struck::by(harm).await;
        // As much as a socket takes at once, so that writing it does not fail.
        let bytes = pseudo_random(2, 30_000);
        assert!(struck.put(&bytes).await.is_none(), "{harm:?}");
        assert!(!struck.registry.has_blob("app", &digest(&bytes)), "{harm:?}");
        assert!(struck.chaos.tally().sent < 30_000, "{harm:?}");
        assert_eq!(struck.committed(harm), 1);
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_by_a_bit_is_refused() {
    let struck = Struck::by(Harm::CorruptRequest).await;
    assert_eq!(struck.put(&pseudo_random(2, SIZE)).await.expect("an answer").status, 400);
    assert_eq!(struck.committed(Harm::CorruptRequest), 1);
}
