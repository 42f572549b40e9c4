//! The referrers API, where the registry has it.

use testkit::content::{Document, digest};
use testkit::{FakeRegistry, Image, client};

use crate::wire::{ask, send};

fn signature(of: &Image, number: u64) -> Image {
    Image::artifact("text/signature").layer(number, 10).subject(of).annotation("number", &number.to_string()).build()
}

#[tokio::test]
async fn what_refers_to_a_document_is_listed_and_its_push_is_answered_with_the_subject() {
    let registry = FakeRegistry::builder().with_referrers().start().await;
    let image = Image::oci("linux/amd64").build();
    let (first, sbom) = (signature(&image, 1), Image::artifact("text/sbom").layer(9, 9).subject(&image).build());
    client::push(registry.host(), "app", "1", &image).await;
    registry.seed_untagged("app", &first);
    sbom.blobs().for_each(|blob| drop(registry.put_blob("app", blob.bytes.clone())));

    let line = format!("PUT /v2/app/manifests/{}", sbom.digest());
    let put = send(registry.host(), &line, &[("content-type", &sbom.root.media_type)], &sbom.root.bytes).await;
    assert_eq!((put.status, put.header("oci-subject")), (201, Some(image.digest().as_str())));

    let line = format!("GET /v2/app/referrers/{}", image.digest());
    let listed = ask(registry.host(), &line, &[]).await;
    assert_eq!(listed.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    let mut both = [&first.root, &sbom.root];
    both.sort_by_key(|document| document.digest());
    assert_eq!(listed.body, Document::referrers(both).bytes);

    let line = format!("{line}?artifactType=text/signature");
    let filtered = ask(registry.host(), &line, &[]).await;
    assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
    assert_eq!(filtered.body, Document::referrers([&first.root]).bytes);
    assert!(filtered.text().contains(r#""number": "1""#), "{}", filtered.text());
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let registry = FakeRegistry::builder().with_referrers().page_size(1).start().await;
    let image = Image::oci("linux/amd64").build();
    (1..=2).for_each(|number| drop(registry.seed_untagged("app", &signature(&image, number))));

    let first = ask(registry.host(), &format!("GET /v2/app/referrers/{}", image.digest()), &[]).await;
    let link = first.header("link").expect("there is another page");
    let next = link.trim_start_matches('<').split('>').next().expect("a target").to_owned();
    let second = ask(registry.host(), &format!("GET {next}"), &[]).await;

    assert_eq!((second.status, second.header("link")), (200, None));
    assert_ne!(first.body, second.body);
}

#[tokio::test]
async fn nothing_refers_to_what_is_not_known_and_no_repository_is_told() {
    let registry = FakeRegistry::builder().with_referrers().start().await;
    registry.seed("app", "1", &Image::oci("linux/amd64").build());

    let none = ask(registry.host(), &format!("GET /v2/app/referrers/{}", digest(b"x")), &[]).await;
    assert_eq!((none.status, none.body), (200, Document::referrers([]).bytes.to_vec()));

    let unknown = ask(registry.host(), &format!("GET /v2/other/referrers/{}", digest(b"x")), &[]).await;
    assert!(unknown.status == 404 && unknown.text().contains("NAME_UNKNOWN"), "{}", unknown.text());
    assert_eq!(ask(registry.host(), "GET /v2/app/referrers/x", &[]).await.status, 400);
}
