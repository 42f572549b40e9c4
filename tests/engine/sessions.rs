//! Upload sessions: found wherever their `Location` is, and opened again when they are lost.

use testkit::registry::Request;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::ferry::{Ferry, layer};

const MIB: usize = 1 << 20;

/// A source with a layer of four MiB, which the target does not take in one body.
async fn in_chunks(target: FakeRegistry) -> Ferry {
    let image = Image::oci("linux/amd64").layer(1, 4 * MIB).build();
    let large = image.blobs().find(|blob| blob.bytes.len() == 4 * MIB).unwrap().digest();
    let ferry = Ferry::to(target).await;
    ferry.source.seed("app", "v1", &image);
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Upload).reference(&large).times(1), Effect::status(413));
    ferry
}

fn uploads(registry: &FakeRegistry, method: &Method) -> Vec<Request> {
    let requests = registry.requests().into_iter();
    requests.filter(|r| r.endpoint == Endpoint::Upload && r.method == *method).collect()
}

fn ranges(registry: &FakeRegistry) -> Vec<String> {
    let taken = uploads(registry, &Method::PATCH).into_iter().filter(|r| r.status == Some(202));
    taken.map(|request| request.header("content-range").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_upload_goes_on_wherever_its_location_says() {
    let builder = FakeRegistry::builder;
    for target in
        [builder(), builder().relative_locations(), builder().query_locations(), builder().uploads_elsewhere()]
    {
        let case = format!("{target:?}");
        let ferry = in_chunks(target.start().await).await;

        ferry.copy().await.unwrap_or_else(|error| panic!("{case}: {error}"));

        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()), "{case}");
        assert!(ranges(&ferry.target).len() > 1, "the newest one each time: {case}");
    }
}

#[tokio::test]
async fn an_upload_at_another_port_is_sent_there_and_only_there() {
    let ferry = in_chunks(FakeRegistry::builder().uploads_elsewhere().start().await).await;

    ferry.copy().await.unwrap();

    for method in [Method::PATCH, Method::PUT] {
        let sent = uploads(&ferry.target, &method);
        assert!(!sent.is_empty());
        assert!(sent.iter().all(|request| request.header("host") == Some(ferry.target.other_host())));
    }
}

#[tokio::test]
async fn the_query_of_a_location_comes_back_as_it_was_with_the_digest_behind_it() {
    let signed = "sig=a%2Fb%3D%3D+c&X-Amz-Flag&empty=";
    let (ferry, image) = {
        let ferry = Ferry::to(FakeRegistry::builder().location_query(signed).start().await).await;
        let image = Image::oci("linux/amd64").layer(1, 10_000).build();
        ferry.source.seed("app", "v1", &image);
        (ferry, image)
    };

    ferry.copy().await.unwrap();

    let put = uploads(&ferry.target, &Method::PUT);
    let of_the_layer = put.iter().find(|request| request.reference.as_deref() == Some(&layer(&image))).unwrap();
    let digest = layer(&image).replace(':', "%3A");
    let (state, rest) = of_the_layer.query.split_once('&').unwrap();
    assert!(state.starts_with("_state=upload-"), "{state}");
    assert_eq!(rest, format!("{signed}&digest={digest}"));
}

#[tokio::test]
async fn an_upload_is_opened_with_a_body_of_length_zero() {
    let (ferry, _) = Ferry::new().await;

    ferry.copy().await.unwrap();

    let opened = uploads(&ferry.target, &Method::POST);
    assert!(!opened.is_empty());
    assert!(opened.iter().all(|request| request.header("content-length") == Some("0")));
}

#[tokio::test]
async fn every_chunk_tells_its_length_and_its_range_without_a_unit() {
    let ferry = in_chunks(FakeRegistry::start().await).await;

    ferry.copy().await.unwrap();

    let mut sent = 0;
    for request in uploads(&ferry.target, &Method::PATCH) {
        let length: usize = request.header("content-length").unwrap().parse().unwrap();
        let range = format!("{sent}-{}", sent + length - 1);
        assert_eq!(request.header("content-range"), Some(range.as_str()), "one after another, without a gap");
        assert_eq!(request.header("transfer-encoding"), None);
        sent += length;
    }
    assert_eq!(sent, 4 * MIB);
}

#[tokio::test]
async fn chunks_are_no_smaller_than_the_registry_takes_them() {
    let ferry = in_chunks(FakeRegistry::start().await).await;
    let at_least = Effect::header("OCI-Chunk-Min-Length", &(3 * MIB).to_string());
    ferry.target.fault(Fault::on(Method::POST, Endpoint::Upload), at_least);

    ferry.copy().await.unwrap();

    assert_eq!(ranges(&ferry.target), ["0-3145727", "3145728-4194303"]);
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_session_that_is_lost_is_opened_again_and_the_blob_fetched_once_more() {
    for code in ["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", ""] {
        let (ferry, image) = Ferry::new().await;
        let body = if code.is_empty() { String::new() } else { format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#) };
        let lost = Effect::Status { code: 404, headers: Vec::new(), body };
        ferry.target.fault(Fault::on(Method::PUT, Endpoint::Upload).reference(&layer(&image)).times(1), lost);

        ferry.copy().await.unwrap_or_else(|error| panic!("{code}: {error}"));

        let requests = ferry.source.requests();
        let fetched = requests.iter().filter(|r| r.reference.as_deref() == Some(&layer(&image))).count();
        assert_eq!(fetched, 2, "{code}");
        let sessions: Vec<_> = uploads(&ferry.target, &Method::PUT)
            .into_iter()
            .filter(|request| request.reference.as_deref() == Some(&layer(&image)))
            .map(|request| request.path)
            .collect();
        assert!(sessions.len() == 2 && sessions[0] != sessions[1], "{code}: {sessions:?}");
        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()), "{code}");
    }
}

#[tokio::test]
async fn a_session_that_is_lost_between_two_chunks_begins_again_with_the_first() {
    let ferry = in_chunks(FakeRegistry::start().await).await;
    let lost = Effect::Status {
        code: 404,
        headers: Vec::new(),
        body: r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"blob upload invalid"}]}"#.to_owned(),
    };
    ferry.target.fault(Fault::on(Method::PATCH, Endpoint::Upload).skip(1).times(1), lost.clone());
    ferry.target.fault(Fault::on(Method::GET, Endpoint::Upload), lost);

    ferry.copy().await.unwrap();

    let beginnings = ranges(&ferry.target).iter().filter(|range| range.starts_with("0-")).count();
    assert_eq!(beginnings, 2, "{:?}", ranges(&ferry.target));
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}
