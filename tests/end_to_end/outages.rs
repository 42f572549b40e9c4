//! Real registries that go away in the middle of a copy, or stand still, and come back.

use testkit::client::{self, Place};
use testkit::server::Nginx;
use testkit::{DistributionServer, Image};

use crate::gate::Gate;
use crate::support::{Ferry, Finished, Running, until};

/// A copy that a gate before the source holds in the middle of the layer.
struct Halfway {
    source: DistributionServer,
    target: DistributionServer,
    image: Image,
    gate: Gate,
}

impl Halfway {
    async fn new() -> Self {
        let (source, target) = (DistributionServer::start(), DistributionServer::start());
        let image = large();
        client::push(source.host(), "app", "v1", &image).await;
        let gate = Gate::before(source.host(), 8 << 20).await;
        Self { source, target, image, gate }
    }

    fn copy(&self, config: &str) -> Running {
        let (from, to) = (format!("{}/app:v1", self.gate.host()), format!("{}/app:v1", self.target.host()));
        Ferry::new(&["copy", &from, &to]).config(config).spawn()
    }

    async fn assert_arrived(&self, ended: &Finished) {
        assert_copied(ended, &self.image, &self.source, &self.target).await;
    }
}

async fn assert_copied(ended: &Finished, image: &Image, source: &DistributionServer, target: &DistributionServer) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.text().ends_with(&format!(" {}\n", image.digest())), "{}", ended.text());
    let (there, here) = (Place::new(source.host(), "app", "v1"), Place::new(target.host(), "app", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
}

/// An image whose one layer is larger than all buffers on the way.
fn large() -> Image {
    Image::oci("linux/amd64").layer(1, 32 << 20).build()
}

/// Waits until the program says that it tries something again, for this reason, with this registry.
async fn tries_again(copy: &Running, registry: &str, reason: &str) {
    let (registry, reason) = (format!("registry={registry} "), format!(r#"reason="{reason}""#));
    let is_meant = |line: &str| line.contains(&registry) && line.contains(&reason);
    until("the note of another try", async || copy.stderr().lines().any(is_meant).then_some(())).await;
}

#[tokio::test]
async fn a_target_that_is_down_for_a_while_in_the_middle_of_an_upload_gets_it_anew() {
    let mut halfway = Halfway::new().await;
    let copy = halfway.copy("");
    halfway.gate.closed().await;

    halfway.target.stop();
    halfway.gate.open();
    tries_again(&copy, halfway.target.host(), "connection").await;
    halfway.target.restart();

    halfway.assert_arrived(&copy.ended().await).await;
}

#[tokio::test]
async fn a_target_that_restarts_among_the_chunks_of_an_upload_gets_them_anew() {
    let (source, mut target) = (DistributionServer::start(), DistributionServer::start());
    let image = large();
    client::push(source.host(), "app", "v1", &image).await;
    // Two chunks of 4 MiB, and some of the third.
    let gate = Gate::before_uploads(target.host(), 10 << 20).await;
    let nginx = Nginx::before(gate.host()).with_max_body("5m").start();
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", nginx.host()));

    let copy = Ferry::new(&["copy", &from, &to]).spawn();
    gate.closed().await;
    target.restart();
    gate.open();
    let ended = copy.ended().await;

    assert_copied(&ended, &image, &source, &target).await;
    let opened = nginx.requests().iter().filter(|request| *request == "POST /v2/app/blobs/uploads/ 202").count();
    assert!(opened > image.blobs().count(), "the session was to end: {:#?}", nginx.requests());
}

#[tokio::test]
async fn a_source_that_stands_still_is_asked_again_for_the_rest() {
    let halfway = Halfway::new().await;
    let source = halfway.gate.host();
    let copy = halfway.copy(&impatient(source));
    halfway.gate.closed().await;

    halfway.source.pause();
    halfway.gate.open();
    tries_again(&copy, source, "stall").await;
    halfway.source.resume();

    halfway.assert_arrived(&copy.ended().await).await;
}

#[tokio::test]
async fn a_target_that_stands_still_gets_the_upload_anew() {
    let halfway = Halfway::new().await;
    let target = halfway.target.host();
    let copy = halfway.copy(&impatient(target));
    halfway.gate.closed().await;

    halfway.target.pause();
    halfway.gate.open();
    tries_again(&copy, target, "stall").await;
    halfway.target.resume();

    halfway.assert_arrived(&copy.ended().await).await;
}

fn impatient(registry: &str) -> String {
    format!("[registries.'{registry}']\nidle_timeout = '1s'\n")
}
