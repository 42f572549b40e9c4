//! A download that breaks off goes on where it broke.

use std::collections::HashMap;
use std::sync::Arc;

use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{Retries, copy, engine_with};

const SIZE: usize = 10_000;

struct Download {
    source: FakeRegistry,
    target: FakeRegistry,
    layer: String,
    bytes: bytes::Bytes,
    retries: Arc<Retries>,
}

impl Download {
    async fn new() -> Self {
        let image = Image::oci("linux/amd64").layer(1, SIZE).build();
        let layer = image.blobs().find(|blob| blob.bytes.len() == SIZE).unwrap();
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &image);
        Self { source, target, layer: layer.digest(), bytes: layer.bytes.clone(), retries: Arc::default() }
    }

    fn of_the_layer(&self) -> Fault {
        Fault::on(Method::GET, Endpoint::Blob).reference(&self.layer)
    }

    async fn run(&self) -> Result<(), String> {
        let engine = engine_with(HashMap::new(), Arc::clone(&self.retries) as _);
        let report =
            copy(&engine, &format!("{}/app:v1", self.source.host()), &format!("{}/app:v1", self.target.host())).await;
        report.error.map_or(Ok(()), Err)
    }

    /// The ranges that were asked for, and how many bytes were sent for them.
    fn asked(&self) -> (Vec<Option<String>>, u64) {
        let requests = self.source.requests();
        let of_the_layer: Vec<_> = requests
            .iter()
            .filter(|r| r.endpoint == Endpoint::Blob && r.reference.as_deref() == Some(&self.layer))
            .collect();
        let ranges = of_the_layer.iter().map(|request| request.header("range").map(str::to_owned)).collect();
        (ranges, of_the_layer.iter().map(|request| request.bytes_out).sum())
    }

    fn uploads(&self) -> usize {
        let requests = self.target.requests();
        requests.iter().filter(|r| r.method == Method::PUT && r.reference.as_deref() == Some(&self.layer)).count()
    }
}

#[tokio::test]
async fn no_byte_is_read_twice_and_the_upload_goes_on() {
    let download = Download::new().await;
    download.source.fault(download.of_the_layer().times(3), Effect::CutBody { after_bytes: 3_000 });

    download.run().await.unwrap();

    let range = |from: usize| Some(format!("bytes={from}-"));
    assert_eq!(download.asked(), (vec![None, range(3_000), range(6_000), range(9_000)], SIZE as u64));
    assert_eq!(download.retries.reasons(), ["connection"; 3]);
    assert_eq!(download.uploads(), 1, "the target saw a pause only");
    assert_eq!(download.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_registry_that_begins_anew_is_read_past_what_has_come() {
    let download = Download::new().await;
    download.source.fault(download.of_the_layer().times(1), Effect::CutBody { after_bytes: 7_000 });
    let whole = Effect::Body { content_type: "application/octet-stream".into(), bytes: download.bytes.clone() };
    download.source.fault(download.of_the_layer(), whole);

    download.run().await.unwrap();

    assert_eq!(download.asked().1, 7_000 + SIZE as u64);
    assert_eq!(download.uploads(), 1);
    assert_eq!(download.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_part_that_is_not_the_rest_is_not_taken_and_the_blob_begun_anew() {
    for effect in [
        Effect::header("Content-Range", "bytes 0-2999/10000"),
        Effect::header("Content-Range", "bytes 7000-9999/20000"),
        Effect::header("Content-Range", "bytes 7000-9998/10000"),
        Effect::header("Content-Range", "bytes */10000"),
        Effect::RemoveHeader("content-range".into()),
        Effect::status(416),
    ] {
        let download = Download::new().await;
        download.source.fault(download.of_the_layer().times(1), Effect::CutBody { after_bytes: 7_000 });
        download.source.fault(download.of_the_layer().times(1), effect.clone());

        download.run().await.unwrap_or_else(|error| panic!("{effect:?}: {error}"));

        assert_eq!(download.asked().0, [None, Some("bytes=7000-".to_owned()), None], "{effect:?}");
        assert_eq!(download.retries.reasons(), ["connection", "server"], "{effect:?}");
        assert_eq!(download.target.check_whole("app", "v1"), Ok(()), "{effect:?}");
        assert_eq!(download.target.open_sessions(), 0, "{effect:?}");
    }
}

#[tokio::test]
async fn a_registry_that_never_gives_the_rest_is_given_up() {
    let download = Download::new().await;
    download.source.fault(download.of_the_layer().times(1), Effect::CutBody { after_bytes: 7_000 });
    download.source.fault(download.of_the_layer().times(1), Effect::status(416));
    download.source.fault(download.of_the_layer().times(1), Effect::CutBody { after_bytes: 7_000 });
    download.source.fault(download.of_the_layer(), Effect::status(416));

    let error = download.run().await.unwrap_err();

    assert!(error.contains("416"), "{error}");
    assert!(!download.target.has_blob("app", &download.layer));
    assert_eq!(download.target.open_sessions(), 0);
}

#[tokio::test]
async fn a_part_with_the_right_range_and_the_wrong_bytes_is_not_committed_but_fetched_anew() {
    let download = Download::new().await;
    download.source.fault(download.of_the_layer().times(1), Effect::CutBody { after_bytes: 7_000 });
    download.source.fault(download.of_the_layer().times(1), Effect::CorruptByte { at: 0 });

    download.run().await.unwrap();

    assert_eq!(download.asked().0, [None, Some("bytes=7000-".to_owned()), None]);
    assert_eq!(download.retries.reasons(), ["connection", "digest"]);
    assert_eq!(download.target.check_whole("app", "v1"), Ok(()));
}
