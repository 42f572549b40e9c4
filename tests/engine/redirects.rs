//! Registries whose blobs lie in a storage elsewhere: they answer with a redirect, and its URL is good for a while only.

use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::ferry::{Ferry, layer};

/// What a registry says that keeps a blob of `app` in `storage`.
fn to(storage: &FakeRegistry, digest: &str, signature: &str) -> Effect {
    let url = format!("http://{}/v2/app/blobs/{digest}?sig={signature}", storage.host());
    Effect::status_with(307, &[("Location", &url)])
}

#[tokio::test]
async fn a_blob_is_fetched_from_where_the_registry_sends() {
    let ((ferry, image), storage) = (Ferry::new().await, FakeRegistry::start().await);
    storage.seed_untagged("app", &image);
    for blob in image.blobs() {
        ferry.source.fault(Fault::any().reference(&blob.digest()), to(&storage, &blob.digest(), "a%2Fb"));
    }

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
    assert_eq!(storage.count(&Method::GET, Endpoint::Blob), 2);
    assert!(storage.requests().iter().all(|request| request.query == "sig=a%2Fb"));
}

#[tokio::test]
async fn a_blob_is_looked_for_where_the_registry_sends() {
    let ((ferry, image), storage) = (Ferry::new().await, FakeRegistry::start().await);
    storage.seed_untagged("app", &image);
    let present = ferry.target.put_blob("app", image.blobs().last().unwrap().bytes.clone());
    assert_eq!(present, layer(&image));
    ferry.target.fault(Fault::on(Method::HEAD, Endpoint::Blob).reference(&present), to(&storage, &present, "1"));

    let report = ferry.copy().await.unwrap();

    assert_eq!((report.blobs.copied, report.blobs.present), (1, 1));
    assert_eq!(storage.summary(), "HEAD blob 1");
}

#[tokio::test]
async fn a_download_that_breaks_off_at_the_storage_goes_on_through_the_registry() {
    let ((ferry, image), storage) = (Ferry::new().await, FakeRegistry::start().await);
    let layer = layer(&image);
    storage.seed_untagged("app", &image);
    storage.fault(Fault::on(Method::GET, Endpoint::Blob).times(1), Effect::CutBody { after_bytes: 3_000 });
    let of_the_layer = || Fault::on(Method::GET, Endpoint::Blob).reference(&layer);
    ferry.source.fault(of_the_layer().times(1), to(&storage, &layer, "first"));
    ferry.source.fault(of_the_layer(), to(&storage, &layer, "second"));

    ferry.copy().await.unwrap();

    let asked = storage.requests();
    let asked: Vec<_> = asked.iter().map(|r| (r.query.as_str(), r.header("range"), r.bytes_out)).collect();
    assert_eq!(asked, [("sig=first", None, 3_000), ("sig=second", Some("bytes=3000-"), 7_000)]);
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_redirect_that_leads_in_a_circle_is_an_error() {
    let (ferry, image) = Ferry::new().await;
    let layer = layer(&image);
    let circle = to(&ferry.source, &layer, "1");
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&layer), circle);

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("redirect"), "{error}");
    assert!(ferry.target.tags("app").is_empty());
}
