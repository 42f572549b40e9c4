//! Registries that lie, break off and throttle.

use std::time::Duration;

use bytes::Bytes;
use regferry::events::ImageOutcome;
use testkit::content::hello_world;
use testkit::{Document, Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::ferry::{Ferry, layer};
use crate::support::{copy, engine};

#[tokio::test]
async fn a_corrupted_byte_is_never_committed() {
    let (ferry, image) = Ferry::new().await;
    ferry
        .source
        .fault(Fault::on(Method::GET, Endpoint::Blob).reference(&layer(&image)), Effect::CorruptByte { at: 9_999 });

    let error = ferry.copy().await.unwrap_err();

    assert!(
        error.contains(&format!("not to {}", layer(&image))) && error.contains("10000 bytes hash to sha256:"),
        "{error}"
    );
    assert!(
        error.contains(&format!("fetching blob {}", &layer(&image)[..19])) && error.contains(ferry.source.host()),
        "{error}"
    );
    assert!(!ferry.target.has_blob("app", &layer(&image)));
    assert!(ferry.target.tags("app").is_empty());
    assert_eq!(ferry.retries.reasons(), ["digest", "digest"], "fetched twice more at most");
    assert_eq!(ferry.target.open_sessions(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_short_is_never_committed() {
    let (ferry, image) = Ferry::new().await;
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&layer(&image)), Effect::ShortBody { by: 1 });

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("has 10000 bytes, only 9999 came"), "{error}");
    assert!(!ferry.target.has_blob("app", &layer(&image)));
    assert!(ferry.target.tags("app").is_empty());
}

#[tokio::test]
async fn a_digest_header_that_contradicts_the_document_is_an_error() {
    let (ferry, image) = Ferry::new().await;
    let lie = format!("sha256:{}", "0".repeat(64));
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::header("Docker-Content-Digest", &lie));
    ferry
        .source
        .fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::RemoveHeader("docker-content-digest".into()));

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains(&format!("hash to {}, not to {lie}", image.digest())), "{error}");
    assert!(ferry.target.tags("app").is_empty());
}

#[tokio::test]
async fn a_document_that_is_not_what_its_digest_says_is_refused() {
    let (ferry, image) = Ferry::new().await;
    ferry
        .source
        .fault(Fault::on(Method::GET, Endpoint::Manifest).reference(&image.digest()), Effect::CorruptByte { at: 20 });

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains(&format!("not to {}", image.digest())), "{error}");
    assert!(ferry.target.repositories().is_empty());
}

#[tokio::test]
async fn a_target_that_stored_something_else_is_told_of() {
    let (ferry, _) = Ferry::new().await;
    let other = format!("sha256:{}", "0".repeat(64));
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::header("Docker-Content-Digest", &other));

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains(&format!("the registry stored {other} for what was sent as")), "{error}");
}

#[tokio::test]
async fn what_is_worth_another_try_gets_one() {
    let cases: [(&str, Method, Endpoint, Effect, &str); 9] = [
        ("a 503 on a blob", Method::GET, Endpoint::Blob, Effect::status(503), "server"),
        ("a 429 on a HEAD", Method::HEAD, Endpoint::Manifest, Effect::status(429), "throttled"),
        ("a 500 on a POST", Method::POST, Endpoint::Upload, Effect::status(500), "server"),
        ("a 502 on an upload", Method::PUT, Endpoint::Upload, Effect::status(502), "server"),
        (
            "a document cut in the middle",
            Method::GET,
            Endpoint::Manifest,
            Effect::CutBody { after_bytes: 20 },
            "connection",
        ),
        ("a connection closed unanswered", Method::PUT, Endpoint::Manifest, Effect::Drop, "connection"),
        (
            "a download cut in the middle",
            Method::GET,
            Endpoint::Blob,
            Effect::CutBody { after_bytes: 50 },
            "connection",
        ),
        ("one corrupted byte of a document", Method::GET, Endpoint::Manifest, Effect::CorruptByte { at: 20 }, "digest"),
        ("one corrupted byte", Method::GET, Endpoint::Blob, Effect::CorruptByte { at: 3 }, "digest"),
    ];
    for (case, method, endpoint, effect, reason) in cases {
        let (ferry, _) = Ferry::new().await;
        let side = if method == Method::GET || method == Method::HEAD { &ferry.source } else { &ferry.target };
        side.fault(Fault::on(method, endpoint).times(1), effect);

        ferry.copy().await.unwrap_or_else(|error| panic!("{case}: {error}"));

        assert_eq!(ferry.retries.reasons(), [reason], "{case}");
        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()), "{case}");
    }
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_looked_for_before_it_is_sent_again() {
    let (ferry, image) = Ferry::new().await;
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Upload).reference(&layer(&image)).times(1), Effect::LoseAnswer);

    ferry.copy().await.unwrap();

    let fetched = ferry
        .source
        .requests()
        .iter()
        .filter(|r| r.endpoint == Endpoint::Blob && r.reference.as_deref() == Some(&layer(&image)))
        .count();
    assert_eq!(fetched, 1, "the bytes had arrived");
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (ferry, _) = Ferry::new().await;
    ferry
        .source
        .fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), Effect::status_with(429, &[("Retry-After", "2")]));

    ferry.copy().await.unwrap();

    assert!(ferry.retries.longest_pause() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    for (status, hint) in [(401, "log in"), (403, "lack the right"), (400, "400"), (405, "405")] {
        let (ferry, _) = Ferry::new().await;
        ferry.target.fault(Fault::on(Method::POST, Endpoint::Upload), Effect::status(status));

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(hint), "{error}");
        assert!(ferry.retries.reasons().is_empty());
    }
}

#[tokio::test]
async fn documents_that_no_mirror_can_keep_are_refused_with_the_reason() {
    let config = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
    let index = "application/vnd.oci.image.index.v1+json";
    let cases = [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", r#"{"schemaVersion":1}"#.to_owned(), "schema 1"),
        (index, format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config}}}"#), "read as two different images"),
        (
            index,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#.to_owned(),
            "contradicts the Content-Type",
        ),
        (
            index,
            format!(r#"{{"schemaVersion":2,"manifests":[],"x":"{}"}}"#, "x".repeat(5 << 20)),
            "larger than 4194304 bytes",
        ),
        (index, "{".to_owned(), "no valid manifest"),
    ];
    for (media_type, text, reason) in cases {
        let (ferry, _) = Ferry::new().await;
        let document = Document { media_type: media_type.to_owned(), bytes: Bytes::from(text) };
        ferry.source.fault(
            Fault::on(Method::GET, Endpoint::Manifest),
            Effect::Body { content_type: document.media_type.clone(), bytes: document.bytes.clone() },
        );
        ferry.source.fault(
            Fault::on(Method::HEAD, Endpoint::Manifest),
            Effect::header("Docker-Content-Digest", &document.digest()),
        );

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(reason), "{error}");
        assert!(ferry.target.repositories().is_empty());
    }
}

#[tokio::test]
async fn a_child_that_the_source_lacks_is_named() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = hello_world();
    source.seed("hello", "v1", &image);
    let child = image.children[1].digest();
    source.remove_manifest("hello", &child);

    let report = copy(&engine(), &format!("{}/hello:v1", source.host()), &format!("{}/hello:v1", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Failed);
    let error = report.error.unwrap();
    assert!(error.contains(&format!("fetching manifest {child} of {}/hello: not found", source.host())), "{error}");
    assert!(target.tags("hello").is_empty());
}

#[tokio::test]
async fn what_is_missing_is_told_in_many_ways() {
    let harbor = || Effect::Status {
        code: 404,
        headers: Vec::new(),
        body: r#"{"errors":[{"code":"UNKNOWN","message":"resource not found"}]}"#.to_owned(),
    };
    let cases = [
        (Fault::on(Method::GET, Endpoint::Tags), harbor()),
        (Fault::on(Method::HEAD, Endpoint::Blob), Effect::status(403)),
        (Fault::on(Method::HEAD, Endpoint::Blob), Effect::status(404)),
    ];
    for (fault, effect) in cases {
        let (ferry, _) = Ferry::new().await;
        ferry.target.fault(fault, effect);
        ferry.copy().await.unwrap();
        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn a_tag_that_is_forbidden_is_not_a_tag_that_is_missing() {
    let (ferry, _) = Ferry::new().await;
    ferry.target.fault(Fault::on(Method::HEAD, Endpoint::Manifest).reference("v1"), Effect::status(403));

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("looking up manifest v1") && error.contains("403"), "{error}");
    assert!(ferry.target.repositories().is_empty());
}
