//! Manifests and lists: asked for alike, known by their bytes, and passed on as they are.

use regferry::events::ImageOutcome;
use testkit::content::{hello_world, media_type};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::ferry::Ferry;

const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

#[tokio::test]
async fn head_and_get_accept_every_kind_of_document_alike() {
    let ferry = Ferry::of(&hello_world()).await;
    ferry.target.seed("app", "v1", &Image::oci("linux/amd64").build());

    ferry.copy().await.unwrap();

    let requests = [ferry.source.requests(), ferry.target.requests()].concat();
    let asking = requests.iter().filter(|r| r.endpoint == Endpoint::Manifest && r.method != Method::PUT);
    let mut accepted: Vec<_> = asking.map(|request| request.header("accept").unwrap()).collect();
    assert!(accepted.len() > 5);
    accepted.dedup();
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    for media_type in
        [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST]
    {
        assert!(accepted[0].split(", ").any(|accepted| accepted == media_type), "{media_type}");
    }
}

#[tokio::test]
async fn parameters_of_a_content_type_are_ignored() {
    let (ferry, image) = Ferry::new().await;
    let with_parameter = format!("{}; charset=utf-8", media_type::OCI_MANIFEST);
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::header("Content-Type", &with_parameter));

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(image.root), "pushed without it");
}

#[tokio::test]
async fn a_document_with_manifests_and_layers_is_refused_whatever_it_is_called() {
    for media_type in [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST] {
        let text = format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[{EMPTY}]}}"#);
        let (ferry, _) = Ferry::of_document(media_type, text).await;

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains("read as two different images"), "{error}");
        assert!(ferry.target.repositories().is_empty());
    }
}

#[tokio::test]
async fn a_digest_header_that_is_none_is_as_good_as_missing() {
    for header in ["", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest"] {
        let (ferry, image) = Ferry::new().await;
        for method in [Method::HEAD, Method::GET] {
            let effect = Effect::header("Docker-Content-Digest", header);
            ferry.source.fault(Fault::on(method, Endpoint::Manifest), effect);
        }

        let report = ferry.copy().await.unwrap();

        assert_eq!(report.digest.map(|digest| digest.to_string()), Some(image.digest()), "{header:?}");
        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()), "{header:?}");
    }
}

#[tokio::test]
async fn of_what_is_asked_for_by_digest_a_wrong_header_says_nothing() {
    let (ferry, image) = Ferry::new().await;
    let wrong = Effect::header("Docker-Content-Digest", &testkit::content::digest(b"other"));
    for method in [Method::HEAD, Method::GET] {
        ferry.source.fault(Fault::on(method, Endpoint::Manifest), wrong.clone());
    }

    ferry.copy_from(&format!("app@{}", image.digest())).await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(image.root));
}

#[tokio::test]
async fn a_header_that_fits_the_wrong_bytes_does_not_vouch_for_them() {
    let (ferry, image) = Ferry::new().await;
    let other = Image::oci("linux/arm64").build();
    ferry.source.seed_untagged("app", &other);
    ferry.source.put_document_as("app", &image.digest(), &other.root);
    for method in [Method::HEAD, Method::GET] {
        let effect = Effect::header("Docker-Content-Digest", &other.digest());
        ferry.source.fault(Fault::on(method, Endpoint::Manifest), effect);
    }

    let error = ferry.copy_from(&format!("app@{}", image.digest())).await.unwrap_err();

    assert!(error.contains(&format!("not to {}", image.digest())), "{error}");
    assert!(ferry.target.repositories().is_empty());
}

#[tokio::test]
async fn children_go_by_digest_and_the_root_once_straight_by_its_tag() {
    let image = hello_world();
    let ferry = Ferry::of(&image).await;

    ferry.copy().await.unwrap();

    let requests = ferry.target.requests();
    let named = |method: Method| {
        let of_manifests = requests.iter().filter(move |r| r.endpoint == Endpoint::Manifest && r.method == method);
        of_manifests.map(|request| request.reference.clone().unwrap()).collect::<Vec<_>>()
    };
    let put = named(Method::PUT);
    let (root, mut children) = (put.last().unwrap(), put[..put.len() - 1].to_vec());
    children.sort();
    let mut expected: Vec<_> = image.children.iter().map(Image::digest).collect();
    expected.sort();
    assert_eq!((root.as_str(), children), ("v1", expected));
    assert_eq!(named(Method::HEAD)[0], "v1", "it is looked at before it is put");
}

#[tokio::test]
async fn a_document_of_four_mib_is_brought_over() {
    let text = |padding| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{EMPTY},"layers":[],"annotations":{{"x":"{}"}}}}"#,
            media_type::OCI_MANIFEST,
            "x".repeat(padding)
        )
    };
    let (ferry, document) = Ferry::of_document(media_type::OCI_MANIFEST, text((4 << 20) - text(0).len())).await;
    ferry.source.put_blob("app", "{}");
    assert_eq!(document.bytes.len(), 4 << 20);

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.manifest("app", "v1"), Some(document));
}

#[tokio::test]
async fn a_document_that_the_target_finds_too_large_is_put_once_and_its_words_are_told() {
    let too_large = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{}}]}"#;
    for (code, body, reason) in [(413, "", "413"), (400, too_large, "400 MANIFEST_INVALID")] {
        let (ferry, _) = Ferry::new().await;
        let effect = Effect::Status { code, headers: Vec::new(), body: body.to_owned() };
        ferry.target.fault(Fault::on(Method::PUT, Endpoint::Manifest), effect);

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains("pushing manifest v1 to") && error.contains(reason), "{error}");
        assert_eq!(ferry.target.count(&Method::PUT, Endpoint::Manifest), 1);
    }
}

#[tokio::test]
async fn a_document_without_media_type_that_a_target_refuses_is_not_rewritten() {
    let image = Image::oci("linux/amd64").layer(1, 100).without_media_type().build();
    let ferry = Ferry::of(&image).await;
    let body = r#"{"errors":[{"code":"UNSUPPORTED","message":"Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"}]}"#;
    let effect = Effect::Status { code: 405, headers: Vec::new(), body: body.to_owned() };
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Manifest), effect);

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("UNSUPPORTED") && error.contains("Invalid JSON syntax"), "{error}");
    let requests = ferry.target.requests();
    let put: Vec<_> = requests.iter().filter(|r| r.endpoint == Endpoint::Manifest && r.method == Method::PUT).collect();
    assert_eq!(put.len(), 1);
    assert_eq!(put[0].header("content-length"), Some(image.root.bytes.len().to_string().as_str()));
}

#[tokio::test]
async fn a_put_document_needs_neither_location_nor_digest_in_its_answer() {
    let ferry = Ferry::to(FakeRegistry::builder().digest_header(false).start().await).await;
    ferry.source.seed("app", "v1", &hello_world());
    let without_location = Effect::RemoveHeader("location".to_owned());
    ferry.target.fault(Fault::on(Method::PUT, Endpoint::Manifest), without_location);

    let report = ferry.copy().await.unwrap();

    assert_eq!(report.outcome, ImageOutcome::Copied);
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_list_in_place_is_walked_for_the_children_that_it_lost() {
    let child = |seed| Image::oci("linux/amd64").layer(seed, 100).build();
    let inner = Image::oci_index([child(1), child(2)]);
    let ferry = Ferry::of(&Image::oci_index([inner.clone(), child(3)])).await;
    ferry.target.seed("app", "inner", &inner);
    ferry.target.remove_manifest("app", &child(2).digest());

    ferry.copy().await.unwrap();

    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
    assert_eq!(ferry.target.check_whole("app", "inner"), Ok(()));
}

#[tokio::test]
async fn a_type_that_contradicts_the_answer_is_refused_the_other_way_round_too() {
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::OCI_INDEX);
    let (ferry, _) = Ferry::of_document(media_type::OCI_MANIFEST, text).await;

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("contradicts the Content-Type"), "{error}");
    assert!(ferry.target.repositories().is_empty());
}
