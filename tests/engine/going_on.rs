//! An upload that breaks off goes on where the target's session stands.

use std::sync::Arc;

use regferry::events::{Direction, ImageOutcome};
use regferry::transfer::Engine;
use testkit::registry::Request;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::gauge::{Gauge, LIMIT, gauged, settings};
use crate::support::copy;

const MIB: u64 = 1 << 20;

/// A blob on its way to a target that breaks off.
struct Upload {
    source: FakeRegistry,
    target: FakeRegistry,
    engine: Arc<Engine>,
    gauge: Arc<Gauge>,
    layer: String,
    size: u64,
}

impl Upload {
    async fn of(size: u64) -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let layer = source.seed_generated_blob("app", size, 1);
        let digest = layer.digest.clone();
        source.seed("app", "v1", &Image::oci("linux/amd64").layer_elsewhere(layer).build());
        let (engine, gauge) = gauged([settings(&source, |_| ()), settings(&target, |_| ())]);
        Self { source, target, engine, gauge, layer: digest, size }
    }

    /// Breaks bodies of more than a MiB after so many bytes.
    fn cut(&self, method: Method, after_bytes: u64, times: usize) {
        let fault = Fault::on(method, Endpoint::Upload).larger_than(MIB).times(times);
        self.target.fault(fault, Effect::CutRequest { after_bytes });
    }

    async fn run(&self) -> Result<(), String> {
        let (from, to) = (format!("{}/app:v1", self.source.host()), format!("{}/app:v1", self.target.host()));
        let report = tokio::time::timeout(LIMIT, copy(&self.engine, &from, &to)).await.unwrap();
        report.error.map_or(Ok(()), Err)?;
        assert_eq!(report.outcome, ImageOutcome::Copied);
        assert_eq!(self.target.check_whole("app", "v1"), Ok(()));
        assert_eq!(self.target.open_sessions(), 0);
        Ok(())
    }

    /// Where the GETs of the layer began.
    fn fetched(&self) -> Vec<u64> {
        let of_the_layer = |r: &Request| r.method == Method::GET && r.reference.as_deref() == Some(&*self.layer);
        let fetched = self.source.requests().into_iter().filter(of_the_layer);
        let begin = |request: Request| {
            let range = request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
            Some(range)
        };
        fetched.map(|request| begin(request).unwrap_or(0)).collect()
    }

    /// The parts of the layer that were begun to be sent behind the first.
    fn sent(&self) -> Vec<String> {
        let patches = self.target.requests().into_iter().filter(|request| request.method == Method::PATCH);
        patches.map(|request| request.header("content-range").unwrap().to_owned()).collect()
    }

    /// The sessions that were opened for the layer or its config.
    fn opened(&self) -> usize {
        self.target.count(&Method::POST, Endpoint::Upload)
    }
}

#[tokio::test]
async fn it_goes_on_at_the_sessions_offset_and_the_source_is_read_from_a_little_before() {
    let upload = Upload::of(6 * MIB).await;
    let kept = 5 * MIB / 2;
    upload.cut(Method::PUT, kept, 1);

    upload.run().await.unwrap();

    assert_eq!(upload.sent(), [format!("{kept}-{}", 6 * MIB - 1)]);
    let fetched = upload.fetched();
    assert!(fetched.len() == 2 && fetched[0] == 0 && (kept - MIB..=kept).contains(&fetched[1]), "{fetched:?}");
    assert_eq!(upload.gauge.retries(), ["connection"]);
    assert_eq!(upload.opened(), 2, "the layer's and the config's");
}

#[tokio::test]
async fn it_goes_on_again_and_again() {
    let upload = Upload::of(12 * MIB).await;
    upload.cut(Method::PUT, 2 * MIB, 1);
    upload.cut(Method::PATCH, 2 * MIB, 3);

    upload.run().await.unwrap();

    let beginnings: Vec<u64> =
        upload.sent().iter().map(|range| range.split_once('-').unwrap().0.parse().unwrap()).collect();
    let broken = [2 * MIB, 4 * MIB, 6 * MIB, 8 * MIB];
    assert_eq!(beginnings.iter().filter(|at| broken.contains(at)).count(), 4, "{beginnings:?}");
    assert!(beginnings.is_sorted(), "never back: {beginnings:?}");
    for (begun, kept) in upload.fetched()[1..].iter().zip(broken) {
        assert!((kept - MIB..=kept).contains(begun), "{begun} for {kept}");
    }
}

#[tokio::test]
async fn a_large_blob_that_breaks_on_both_sides_is_hardly_read_twice() {
    let upload = Upload::of(64 * MIB).await;
    // By turns: here after four MiB, there after eight.
    let download = Fault::on(Method::GET, Endpoint::Blob).reference(&upload.layer).times(16);
    upload.source.fault(download, Effect::CutBody { after_bytes: 4 * MIB });
    upload.cut(Method::PUT, 6 * MIB, 1);
    upload.cut(Method::PATCH, 8 * MIB, 6);

    upload.run().await.unwrap();

    let read = upload.gauge.bytes(&upload.source, Direction::Read);
    let (breaks, fetched) = (upload.gauge.retries().len(), upload.fetched());
    assert!(breaks >= 16, "{breaks}: {fetched:?}");
    // What a break of the target costs is what was on its way to it, in the sockets too.
    assert!(read < upload.size * 2, "{read} of {}: {fetched:?}", upload.size);
    assert!(fetched.iter().filter(|begun| **begun == 0).count() == 1, "{fetched:?}");
}

#[tokio::test]
async fn a_download_that_breaks_often_is_not_read_twice_at_all() {
    let upload = Upload::of(64 * MIB).await;
    let download = Fault::on(Method::GET, Endpoint::Blob).reference(&upload.layer).times(15);
    upload.source.fault(download, Effect::CutBody { after_bytes: 4 * MIB });

    upload.run().await.unwrap();

    let read = upload.gauge.bytes(&upload.source, Direction::Read);
    assert!(read < upload.size + upload.size / 100, "{read} of {}", upload.size);
    assert_eq!(upload.fetched().len(), 16);
}

#[tokio::test]
async fn a_target_that_lost_the_session_gets_a_new_one_and_the_blob_once_more() {
    for status in [404, 405, 500] {
        let upload = Upload::of(4 * MIB).await;
        upload.cut(Method::PUT, 2 * MIB, 1);
        upload.target.fault(Fault::on(Method::GET, Endpoint::Upload), Effect::status(status));

        upload.run().await.unwrap();

        assert_eq!(upload.fetched(), [0, 0], "{status}");
        assert_eq!(upload.sent(), Vec::<String>::new(), "{status}");
        assert_eq!(upload.opened(), 3, "{status}");
    }
}

#[tokio::test]
async fn a_session_that_kept_nothing_is_begun_again() {
    let upload = Upload::of(4 * MIB).await;
    upload.target.fault(Fault::on(Method::PUT, Endpoint::Upload).larger_than(MIB).times(1), Effect::Drop);

    upload.run().await.unwrap();

    assert_eq!(upload.fetched(), [0, 0]);
    assert_eq!(upload.opened(), 2, "the session is good");
}

#[tokio::test]
async fn a_session_that_claims_more_than_the_blob_is_not_believed() {
    let upload = Upload::of(4 * MIB).await;
    upload.cut(Method::PUT, 2 * MIB, 1);
    upload.target.fault(Fault::on(Method::GET, Endpoint::Upload), Effect::header("Range", "0-99999999"));

    upload.run().await.unwrap();

    assert_eq!(upload.fetched(), [0, 0]);
}

#[tokio::test]
async fn a_session_that_claims_more_than_it_has_is_begun_anew() {
    let upload = Upload::of(4 * MIB).await;
    upload.cut(Method::PUT, 2 * MIB, 1);
    let lie = Effect::header("Range", &format!("0-{}", 3 * MIB - 1));
    upload.target.fault(Fault::on(Method::GET, Endpoint::Upload).times(1), lie);

    upload.run().await.unwrap();
}

#[tokio::test]
async fn bytes_that_arrive_wrong_after_a_break_are_never_committed() {
    let upload = Upload::of(4 * MIB).await;
    upload.cut(Method::PUT, 2 * MIB, 1);
    let fault = Fault::on(Method::PATCH, Endpoint::Upload).times(1);
    upload.target.fault(fault, Effect::CorruptRequest { at: 1000 });

    upload.run().await.unwrap();

    assert_eq!(upload.gauge.retries(), ["connection", "digest"]);
    assert_eq!(*upload.fetched().last().unwrap(), 0, "anew");
}

#[tokio::test]
async fn bytes_that_come_wrong_after_a_break_are_never_committed() {
    for at in [0, MIB] {
        let upload = Upload::of(4 * MIB).await;
        upload.cut(Method::PUT, 2 * MIB, 1);
        let again = Fault::on(Method::GET, Endpoint::Blob).reference(&upload.layer).skip(1).times(1);
        upload.source.fault(again, Effect::CorruptByte { at });

        upload.run().await.unwrap();

        assert_eq!(upload.gauge.retries(), ["connection", "digest"]);
        assert_eq!(*upload.fetched().last().unwrap(), 0, "anew");
    }
}
