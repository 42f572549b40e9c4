//! All manifests of a repository: behind its tags, and in Azure's own listing.

use regferry::content::Error;
use regferry::transfer::{Catalogue, Entry};
use serde_json::json;
use testkit::content::{Document, hello_world, schema_1};
use testkit::registry::Builder;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, location};

fn image() -> Image {
    Image::oci("linux/arm/v7").layer(1, 100).layer(2, 50).build()
}

/// A registry with a list and an image under two tags.
async fn filled(builder: Builder) -> FakeRegistry {
    let registry = builder.start().await;
    let digest = registry.seed("app", "1", &image());
    registry.retag("app", "also-1", &digest);
    registry.seed("app", "list", &hello_world());
    registry.clear_requests();
    registry
}

async fn inventory(registry: &FakeRegistry, catalogue: Catalogue) -> Result<Vec<Entry>, Error> {
    engine().inventory(&location(registry.host(), "app"), catalogue, &CancellationToken::new()).await
}

fn of<'e>(entries: &'e [Entry], image: &Image) -> &'e Entry {
    let digest = image.digest().parse().unwrap();
    entries.iter().find(|entry| entry.digest == digest).unwrap()
}

#[tokio::test]
async fn what_the_tags_reach_is_listed_with_all_that_its_parts_tell() {
    let registry = filled(FakeRegistry::builder()).await;

    let entries = inventory(&registry, Catalogue::Tags).await.unwrap();

    assert_eq!(entries.len(), 2 + hello_world().children.len());
    let expected = json!({
        "digest": image().digest(), "tags": ["1", "also-1"],
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "configMediaType": "application/vnd.oci.image.config.v1+json",
        "architecture": "arm", "os": "linux", "variant": "v7", "imageSize": 150,
        "createdTime": "2024-01-01T00:00:00Z", "timestamp": "2024-01-01T00:00:00Z",
    });
    assert_eq!(serde_json::to_value(of(&entries, &image())).unwrap(), expected);
    let list = of(&entries, &hello_world());
    assert_eq!((list.tags.clone(), list.architecture.clone()), (vec!["list".to_owned()], None));
    let children = entries.iter().filter(|entry| entry.tags.is_empty());
    assert_eq!(list.image_size, Some(children.map(|child| child.image_size.unwrap()).sum()));
}

#[tokio::test]
async fn each_tag_is_one_head_and_each_document_and_config_is_fetched_once() {
    let registry = filled(FakeRegistry::builder().page_size(2)).await;

    inventory(&registry, Catalogue::Tags).await.unwrap();

    let count = |method, endpoint| registry.count(&method, endpoint);
    assert_eq!(count(Method::HEAD, Endpoint::Manifest), 3, "{}", registry.summary());
    assert_eq!(count(Method::GET, Endpoint::Manifest), 5, "{}", registry.summary());
    assert_eq!(count(Method::GET, Endpoint::Blob), 4, "{}", registry.summary());
}

#[tokio::test]
async fn many_tags_are_asked_a_few_at_a_time() {
    let registry = FakeRegistry::start().await;
    for number in 0..100 {
        registry.seed("app", &format!("v{number}"), &Image::oci("linux/amd64").layer(number, 10).build());
    }

    assert_eq!(inventory(&registry, Catalogue::Tags).await.unwrap().len(), 100);
    assert!(registry.most_in_flight() <= 8, "{}", registry.most_in_flight());
}

#[tokio::test]
async fn an_image_that_is_listed_and_not_there_is_passed_over() {
    let registry = filled(FakeRegistry::builder()).await;
    registry.remove_manifest("app", &hello_world().children[0].digest());
    assert_eq!(inventory(&registry, Catalogue::Tags).await.unwrap().len(), 1 + hello_world().children.len());
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_with_the_reason_and_keeps_nothing_else_away() {
    let registry = filled(FakeRegistry::builder()).await;
    // By the digest of what is signed, as registries have it.
    let signed = format!("sha256:{}", "ab".repeat(32));
    registry.put_document_as("app", &signed, &schema_1().root);
    registry.retag("app", "old", &signed);
    registry.seed("app", "mixed", &Image::oci_index([image(), schema_1()]));
    let other = Document { media_type: hello_world().root.media_type, bytes: r#"{"config":{}}"#.into() };
    let odd = registry.seed_document("app", "odd", &other);

    let entries = inventory(&registry, Catalogue::Tags).await.unwrap();

    assert_eq!(entries.len(), 5 + 4);
    assert!(entries.is_sorted_by_key(|entry| entry.digest.clone()));
    let by = |digest: &str| serde_json::to_value(entries.iter().find(|e| e.digest.to_string() == digest)).unwrap();
    let remark = "it is a Docker schema 1 manifest, which no longer has a digest of its own bytes: push the image again \
                  with a current tool";
    let media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let expected = json!({"digest": signed, "tags": ["old"], "mediaType": media_type, "remark": remark});
    assert_eq!(by(&signed), expected);
    let listed = json!({
        "digest": schema_1().digest(), "tags": [], "mediaType": media_type, "architecture": "386", "os": "linux",
        "remark": remark,
    });
    assert_eq!(by(&schema_1().digest()), listed);
    assert_eq!(by(&odd)["tags"], json!(["odd"]));
    assert!(by(&odd)["remark"].as_str().unwrap().starts_with("it is no valid manifest: "), "{}", by(&odd));
    assert_eq!(of(&entries, &image()).image_size, Some(150));
}

#[tokio::test]
async fn an_image_whose_config_is_gone_or_damaged_is_listed_without_what_that_would_tell() {
    let registry = filled(FakeRegistry::builder()).await;
    registry.remove_blob("app", &image().blobs[0].digest());
    let damaged = hello_world().children.remove(0);
    let config = &damaged.blobs[0];
    registry.put_blob_as("app", &config.digest(), config.bytes.to_ascii_uppercase());

    let entries = inventory(&registry, Catalogue::Tags).await.unwrap();

    assert_eq!(entries.len(), 2 + hello_world().children.len());
    let entry = of(&entries, &image());
    assert_eq!((entry.image_size, entry.created_time.as_deref()), (Some(150), None));
    assert_eq!(entry.remark.as_deref(), Some("its config is not there"));
    let entry = of(&entries, &damaged);
    assert_eq!((entry.os.as_deref(), entry.created_time.as_deref()), (Some("linux"), None), "the list names it");
    assert_eq!(entry.remark.as_deref(), Some("its config is damaged"));
    assert_eq!(entries.iter().filter(|entry| entry.remark.is_some()).count(), 2);
}

#[tokio::test]
async fn documents_that_would_fill_the_memory_are_refused() {
    let registry = FakeRegistry::start().await;
    let config = Image::artifact("text/x").build().root.parts().unwrap().blobs.remove(0);
    let large = |number: usize| {
        let annotations = json!({ number.to_string(): "x".repeat(4_190_000) });
        let document = json!({"schemaVersion": 2, "config": config, "layers": [], "annotations": annotations});
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let root = Document { media_type, bytes: document.to_string().into() };
        Image { root, children: vec![], blobs: vec![], platform: None }
    };
    registry.seed("app", "1", &Image::oci_index((0..9).map(large)));

    let error = inventory(&registry, Catalogue::Tags).await.unwrap_err().to_string();

    assert!(error.contains("more bytes of documents than images have"), "{error}");
}

#[tokio::test]
async fn lists_that_nest_without_end_are_refused() {
    let nested = async |depth| {
        let registry = FakeRegistry::start().await;
        registry.seed("app", "deep", &(0..depth).fold(image(), |inner, _| Image::oci_index([inner])));
        inventory(&registry, Catalogue::Tags).await
    };
    assert_eq!(nested(8).await.unwrap().len(), 9);
    let error = nested(9).await.unwrap_err().to_string();
    assert!(error.contains("more than 8 lists in lists"), "{error}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_an_error() {
    let registry = FakeRegistry::start().await;
    let error = inventory(&registry, Catalogue::Tags).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().starts_with("listing the tags of "), "{error}");
}

/// Answers a page of Azure's listing.
fn page(registry: &FakeRegistry, manifests: &serde_json::Value, next: Option<&str>) {
    let link = next.map(|next| ("link".to_owned(), format!(r#"<{next}>; rel="next""#)));
    let body = json!({"registry": registry.host(), "imageName": "app", "manifests": manifests}).to_string();
    let answer = Effect::Status { code: 200, headers: link.into_iter().collect(), body };
    registry.fault(Fault::on(Method::GET, Endpoint::Other).times(1), answer);
}

#[tokio::test]
async fn azures_own_listing_is_read_page_by_page_and_has_untagged_manifests_too() {
    let registry = filled(FakeRegistry::builder().anonymous_tokens()).await;
    let tagged = json!({
        "digest": image().digest(), "imageSize": 4711, "createdTime": "2018-09-06T06:17:20.9983915Z",
        "lastUpdateTime": "2018-09-07T06:17:20.9983915Z", "architecture": "amd64", "os": "windows",
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "configMediaType": "application/vnd.docker.container.image.v1+json", "tags": ["v1"],
        "changeableAttributes": {"deleteEnabled": true},
    });
    let untagged = json!({"digest": hello_world().digest(), "imageSize": null, "tags": null});
    page(&registry, &json!([tagged]), Some(&format!("/acr/v1/app/_manifests?last={}&n=100", image().digest())));
    page(&registry, &json!([untagged]), None);

    let entries = inventory(&registry, Catalogue::Azure).await.unwrap();

    let first = of(&entries, &image());
    assert_eq!((first.image_size, first.tags.as_slice()), (Some(4711), ["v1".to_owned()].as_slice()));
    assert_eq!(first.timestamp.as_deref(), Some("2018-09-07T06:17:20.9983915Z"));
    assert_eq!(of(&entries, &hello_world()).tags, Vec::<String>::new());
    let asked: Vec<String> = registry.requests().into_iter().filter_map(|request| request.parameter("last")).collect();
    assert_eq!(asked, [image().digest()]);
    let scope = registry.requests().iter().find_map(|request| request.parameter("scope"));
    assert_eq!(scope.as_deref(), Some("repository:app:metadata_read"));
}

#[tokio::test]
async fn who_may_not_read_azures_listing_reads_the_tags() {
    for code in [401, 403, 404] {
        let registry = filled(FakeRegistry::builder()).await;
        registry.fault(Fault::on(Method::GET, Endpoint::Other), Effect::status(code));
        assert_eq!(inventory(&registry, Catalogue::Azure).await.unwrap().len(), 5, "{code}");
    }
}
