//! Stopped in the middle: by a signal that asks, by one that does not, and by another one when the first was not enough.

use std::time::{Duration, Instant};

use testkit::client::{self, Place};
use testkit::registry::Request;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::daemon::Daemon;
use crate::gate::Gate;
use crate::support::{Ferry, until};

/// An image whose one layer is too large to be in any buffer on the way.
fn large() -> Image {
    Image::oci("linux/amd64").layer(1, 4 << 20).build()
}

fn small() -> Image {
    Image::oci("linux/amd64").layer(2, 100).build()
}

fn rule(name: &str, source: &str, target: &str) -> String {
    format!("[[rules]]\nname = '{name}'\nsource = '{source}/{name}'\ntarget = '{target}/{name}'\n")
}

/// A small image that arrives, and a large one that a gate holds in the middle of its layer.
struct Halfway {
    source: FakeRegistry,
    target: FakeRegistry,
    gate: Gate,
}

impl Halfway {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("small", "v1", &small());
        let large = large();
        source.seed("large", "v1", &large);
        // There before, so that nothing but the layer is on its way.
        target.put_blob("large", large.blobs[0].bytes.clone());
        target.seed("large", "v0", &small());
        let gate = Gate::before(source.host(), 1 << 20).await;
        Self { source, target, gate }
    }

    fn rules(&self) -> String {
        let target = self.target.host();
        rule("small", self.source.host(), target) + &rule("large", self.gate.host(), target)
    }

    async fn reached(&self) {
        self.gate.closed().await;
        until("the small image at the target", async || (!self.target.tags("small").is_empty()).then_some(())).await;
        until("a part of the layer at the target", async || self.receives_the_layer().then_some(())).await;
    }

    fn receives_the_layer(&self) -> bool {
        let puts = |request: &Request| request.method == Method::PUT && request.repository.as_deref() == Some("large");
        self.target.requests().iter().any(|request| puts(request) && request.bytes_in > 0)
    }

    fn assert_valid(&self) {
        assert_eq!(self.target.check_whole("small", "v1"), Ok(()));
        assert_eq!(self.target.tags("large"), ["v0"]);
        assert_eq!(self.target.open_sessions(), 0, "broken uploads are closed: {}", self.target.summary());
    }
}

#[tokio::test]
async fn after_kill_9_a_sync_sends_what_is_missing_and_no_blob_twice() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    let images: Vec<(String, Image)> =
        (0..8).map(|n| (format!("v{n}"), Image::oci("linux/amd64").layer(n, 200_000).build())).collect();
    for (tag, image) in &images {
        client::push(source.host(), "app", tag, image).await;
    }
    let blobs = || images.iter().flat_map(|(_, image)| image.blobs());
    let arrived = async || {
        let mut arrived = Vec::new();
        for blob in blobs() {
            if client::blob_exists(target.host(), "app", &blob.digest()).await {
                arrived.push(blob);
            }
        }
        arrived
    };

    let gate = Gate::before(source.host(), 900_000).await;
    let one_by_one = format!("transfer.max_blobs = 1\n{}", rule("app", gate.host(), target.host()));
    let killed = Ferry::new(&["sync"]).config(&one_by_one).spawn();
    gate.closed().await;
    until("the first blobs at the target", async || (!arrived().await.is_empty()).then_some(())).await;
    killed.kill().await;

    let arrived = arrived().await;
    assert!(arrived.len() < blobs().count(), "it was to be in the middle");
    for (tag, _) in &images {
        if client::fetch_manifest(target.host(), "app", tag).await.is_some() {
            assert_eq!(same(&source, &target, tag).await, Ok(()), "a tag that is there is whole");
        }
    }
    let again =
        Ferry::new(&["sync", "--output", "json"]).config(&rule("app", source.host(), target.host())).run().await;

    again.success();
    for (tag, _) in &images {
        assert_eq!(same(&source, &target, tag).await, Ok(()));
    }
    let missing: usize = blobs().filter(|blob| !arrived.contains(blob)).map(|blob| blob.bytes.len()).sum();
    assert_eq!(again.json()["totals"]["bytes"], missing, "{}", again.text());
}

async fn same(source: &DistributionServer, target: &DistributionServer, tag: &str) -> Result<(), String> {
    client::same_tree(Place::new(source.host(), "app", tag), Place::new(target.host(), "app", tag)).await
}

#[tokio::test]
async fn a_signal_ends_the_daemon_within_its_grace_in_the_middle_of_a_transfer() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let halfway = Halfway::new().await;
        let daemon = Daemon::start(&format!("service.shutdown_grace = '60s'\n{}", halfway.rules())).await;
        halfway.reached().await;
        assert_eq!(daemon.get("/readyz").await.0, 200);
        assert_eq!(daemon.metric("regferry_transfers_in_flight").await, 1.0);

        let asked = Instant::now();
        daemon.signal(signal);
        let ended = daemon.ended().await;

        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
        halfway.assert_valid();
    }
}

#[tokio::test]
async fn a_commit_under_way_is_completed() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &small());
    target.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::Delay(Duration::from_millis(500)));
    let daemon = Daemon::start(&rule("app", source.host(), target.host())).await;
    commit_begun(&target).await;

    daemon.signal("TERM");
    let ended = daemon.ended().await;

    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_commit_under_way_is_completed_while_its_neighbour_is_stopped() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let children = ["linux/amd64", "linux/arm64"].map(|platform| Image::oci(platform).layer(1, 100).build());
    let (commits, hangs) = (children[0].digest(), children[1].blobs[0].digest());
    source.seed("app", "v1", &Image::oci_index(children));
    source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&hangs), Effect::Hang);
    let later = Effect::Delay(Duration::from_millis(500));
    target.fault(Fault::on(Method::PUT, Endpoint::Manifest).reference(&commits), later);
    let daemon = Daemon::start(&rule("app", source.host(), target.host())).await;
    commit_begun(&target).await;

    daemon.signal("TERM");
    let ended = daemon.ended().await;

    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert_eq!(target.check_whole("app", &commits), Ok(()));
    assert_eq!(target.tags("app"), Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_that_hangs_is_given_up_when_the_grace_is_over() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &small());
    target.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::Hang);
    let config = format!("service.shutdown_grace = '2s'\n{}", rule("app", source.host(), target.host()));
    let daemon = Daemon::start(&config).await;
    commit_begun(&target).await;

    let asked = Instant::now();
    daemon.signal("TERM");
    let ended = daemon.ended().await;

    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(ended.stderr.contains("the grace ended"), "{}", ended.stderr);
    assert_eq!(target.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_signal_ends_the_daemon_at_once() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &small());
    target.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::Hang);
    let config = format!("service.shutdown_grace = '1h'\n{}", rule("app", source.host(), target.host()));
    let daemon = Daemon::start(&config).await;
    commit_begun(&target).await;
    daemon.signal("TERM");
    until("the daemon's saying that it stops", async || (daemon.get("/readyz").await.0 == 503).then_some(())).await;

    daemon.signal("INT");

    assert_eq!(daemon.ended().await.code, Some(130));
}

#[tokio::test]
async fn a_signal_ends_a_copy_in_the_middle_of_a_transfer() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let halfway = Halfway::new().await;
        let to = |name: &str| format!("{}/{name}:v1", halfway.target.host());
        let small = format!("{}/small:v1", halfway.source.host());
        Ferry::new(&["copy", &small, &to("small")]).run().await.success();
        let large = format!("{}/large:v1", halfway.gate.host());
        let copy = Ferry::new(&["copy", &large, &to("large")]).spawn();
        halfway.reached().await;

        copy.signal(signal);
        let ended = copy.ended().await;

        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.text(), "", "nothing is there that could be told");
        halfway.assert_valid();
    }
}

#[tokio::test]
async fn a_sync_that_is_stopped_reports_what_it_did() {
    let halfway = Halfway::new().await;
    let sync = Ferry::new(&["sync", "--output", "json"]).config(&halfway.rules()).spawn();
    halfway.reached().await;

    sync.signal("TERM");
    let ended = sync.ended().await;

    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    let report = ended.json();
    assert_eq!(report["rules"][0]["images"][0]["outcome"], "copied", "{report:#}");
    assert_eq!(report["rules"][1]["outcome"], "cancelled", "{report:#}");
    assert_eq!(report["totals"]["copied"], 1, "{report:#}");
    halfway.assert_valid();
}

/// Waits until a manifest is on its way into the target, which has not answered yet.
async fn commit_begun(target: &FakeRegistry) {
    until("a manifest's PUT", async || (target.count(&Method::PUT, Endpoint::Manifest) > 0).then_some(())).await;
}
