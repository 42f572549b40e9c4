//! What descriptors may say beside type, digest and size; and digests of the other algorithm.

use std::time::Duration;

use regferry::events::ImageOutcome;
use testkit::content::{digest, media_type, sha512};
use testkit::{Document, Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::ferry::Ferry;

fn descriptor(media_type: &str, digest: &str, size: usize, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}{more}}}"#)
}

fn image(config: &str, layers: &str) -> String {
    let media_type = media_type::OCI_MANIFEST;
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layers}]}}"#)
}

#[tokio::test]
async fn a_sha512_digest_is_as_good_for_blobs_and_for_documents() {
    let (layer, config) = (b"a layer", b"{}");
    let text = image(
        &descriptor(media_type::OCI_CONFIG, &sha512(config), config.len(), ""),
        &descriptor(media_type::OCI_LAYER, &sha512(layer), layer.len(), ""),
    );
    let child = Document { media_type: media_type::OCI_MANIFEST.to_owned(), bytes: text.into() };
    let listed = descriptor(&child.media_type, &sha512(&child.bytes), child.bytes.len(), "");
    let list = format!(r#"{{"schemaVersion":2,"manifests":[{listed}]}}"#);
    let (ferry, list) = Ferry::of_document(media_type::OCI_INDEX, list).await;
    ferry.source.put_document_as("app", &sha512(&child.bytes), &child);
    ferry.source.put_blob_as("app", &sha512(config), &config[..]);
    ferry.source.put_blob_as("app", &sha512(layer), &layer[..]);

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(list));
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn an_image_that_each_side_names_by_its_own_algorithm_is_unchanged() {
    let (ferry, image) = Ferry::new().await;
    let named = Effect::header("Docker-Content-Digest", &sha512(&image.root.bytes));
    for method in [Method::HEAD, Method::GET] {
        ferry.source.fault(Fault::on(method, Endpoint::Manifest), named.clone());
    }
    ferry.source.put_document_as("app", &sha512(&image.root.bytes), &image.root);
    assert_eq!(ferry.copy().await.unwrap().outcome, ImageOutcome::Copied);

    assert_eq!(ferry.copy().await.unwrap().outcome, ImageOutcome::Unchanged);
}

#[tokio::test]
async fn a_blob_that_its_sha512_digest_contradicts_is_never_committed() {
    let (layer, config) = (b"a layer", b"{}");
    let text = image(
        &descriptor(media_type::OCI_CONFIG, &digest(config), config.len(), ""),
        &descriptor(media_type::OCI_LAYER, &sha512(layer), layer.len(), ""),
    );
    let (ferry, _) = Ferry::of_document(media_type::OCI_MANIFEST, text).await;
    ferry.source.put_blob("app", &config[..]);
    ferry.source.put_blob_as("app", &sha512(layer), &b"A layer"[..]);

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains(&format!("not to {}", sha512(layer))), "{error}");
    assert!(ferry.target.tags("app").is_empty());
}

#[tokio::test]
async fn content_inside_a_descriptor_is_passed_on_and_the_blob_is_brought_all_the_same() {
    let config = descriptor(media_type::OCI_CONFIG, &digest(b"{}"), 2, r#","data":"e30=""#);
    let (ferry, document) = Ferry::of_document(media_type::OCI_MANIFEST, image(&config, "")).await;
    ferry.source.put_blob("app", "{}");

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(document));
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_foreign_layer_is_asked_for_nowhere() {
    let elsewhere = FakeRegistry::start().await;
    let url = format!("http://{}/layer", elsewhere.host());
    let image = Image::docker("windows/amd64").foreign_layer(&url, 1_000).layer(1, 100).build();
    let foreign = digest(url.as_bytes());
    let ferry = Ferry::of(&image).await;

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(image.root));
    assert_eq!(elsewhere.requests().len(), 0);
    for registry in [&ferry.source, &ferry.target] {
        assert!(registry.requests().iter().all(|request| request.reference.as_deref() != Some(&foreign)));
    }
}

#[tokio::test]
async fn a_target_that_refuses_foreign_layers_is_told_of_as_such() {
    let url = "https://layers.example/nanoserver";
    let ferry = Ferry::of(&Image::docker("windows/amd64").foreign_layer(url, 1_000).layer(1, 100).build()).await;
    // As distribution 2.8 answers where the configuration does not allow the URL: there is nothing to wait for.
    let body = format!(
        r#"{{"errors":[{{"code":"UNKNOWN","message":"unknown error"}},{{"code":"UNKNOWN","message":"unknown error","detail":{{}}}},{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"{}"}}]}}"#,
        digest(url.as_bytes())
    );
    let effect = Effect::Status { code: 500, headers: Vec::new(), body };
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Manifest), effect);

    let copied = tokio::time::timeout(Duration::from_secs(20), ferry.copy()).await;

    let error = copied.expect("it is refused at once").unwrap_err();
    assert!(error.contains("foreign layer"), "{error}");
    assert_eq!(ferry.retries.reasons(), Vec::<String>::new());
}
