//! The list of what refers to a document: read where there is one, and told from its absence.

use futures_util::future::join_all;
use regferry::content::{Error, Pull, Push};
use regferry::oci::{Descriptor, Digest, TagOrDigest};
use regferry::registry::{Access, Registries, Remote};
use testkit::content::{Document, media_type};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{digest, location, manifest, registries};

fn remote(registries: &Registries, registry: &FakeRegistry) -> Remote {
    registries.remote(&location(registry.host(), "app"), Access::Push).unwrap()
}

/// What a registry lists to who asks it for the first time.
async fn listed(registry: &FakeRegistry, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
    remote(&registries(), registry).referrers(subject).await
}

fn image() -> Image {
    Image::oci("linux/amd64").build()
}

fn signature(of: &Image, number: u64) -> Image {
    Image::artifact("text/signature").layer(number, 10).subject(of).annotation("number", &number.to_string()).build()
}

/// A registry with so many signatures of an image.
async fn signed(registry: testkit::registry::Builder, signatures: u64) -> (FakeRegistry, Image) {
    let (registry, image) = (registry.start().await, image());
    registry.seed("app", "1", &image);
    (0..signatures).for_each(|number| drop(registry.seed_untagged("app", &signature(&image, number))));
    (registry, image)
}

fn asked() -> Fault {
    Fault::on(Method::GET, Endpoint::Referrers)
}

fn answer(code: u16, content_type: &str, body: &str) -> Effect {
    Effect::Status { code, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body: body.to_owned() }
}

fn refusal(code: u16, error: &str) -> Effect {
    answer(code, "application/json", &format!(r#"{{"errors":[{{"code":"{error}","message":"no"}}]}}"#))
}

#[tokio::test]
async fn what_refers_to_an_image_is_listed_with_its_type_and_annotations() {
    let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;

    let listed = listed(&registry, &digest(&image)).await.unwrap().unwrap();

    assert_eq!(listed, [manifest(&signature(&image, 0).root).as_referrer()]);
    assert_eq!(listed[0].artifact_type.as_deref(), Some("text/signature"));
    assert_eq!(registry.requests()[0].header("accept"), Some(media_type::OCI_INDEX));
}

#[tokio::test]
async fn all_pages_are_read() {
    let (registry, image) = signed(FakeRegistry::builder().with_referrers().page_size(2), 5).await;

    let listed = listed(&registry, &digest(&image)).await.unwrap().unwrap();

    assert_eq!(listed.len(), 5);
    assert_eq!(registry.count(&Method::GET, Endpoint::Referrers), 3, "{}", registry.summary());
}

#[tokio::test]
async fn a_page_at_another_origin_or_without_end_or_missing_is_no_listing() {
    let index = String::from_utf8(Document::referrers([]).bytes.to_vec()).unwrap();
    let page = |link: &str| Effect::Status {
        code: 200,
        headers: vec![("Content-Type".into(), media_type::OCI_INDEX.into()), ("Link".into(), link.into())],
        body: index.clone(),
    };
    for link in ["<http://127.0.0.1:1/v2/>; rel=\"next\"", "<?last=a>; rel=\"next\""] {
        let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
        registry.fault(asked(), page(link));
        let error = listed(&registry, &digest(&image)).await.unwrap_err().to_string();
        assert!(error.contains("goes on at another host") || error.contains("have no end"), "{error}");
    }
    let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
    registry.fault(asked().times(1), page("<?last=a>; rel=\"next\""));
    registry.fault(asked(), Effect::status(404));
    assert!(listed(&registry, &digest(&image)).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_once_for_all_repositories() {
    let absences = [
        answer(404, "text/plain", "404 page not found\n"),
        answer(404, "text/html", "<html>"),
        refusal(400, "UNSUPPORTED"),
        refusal(405, "UNSUPPORTED"),
        answer(406, "text/plain", ""),
        answer(200, "text/html", "<html>"),
        answer(200, "application/json", "{}"),
    ];
    for absence in absences {
        let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
        registry.fault(asked(), absence.clone());
        let (registries, subject) = (registries(), digest(&image));
        for repository in ["app", "app", "other"] {
            let remote = registries.remote(&location(registry.host(), repository), Access::Pull).unwrap();
            assert_eq!(remote.referrers(&subject).await.unwrap(), None, "{absence:?}");
        }
        assert_eq!(registry.count(&Method::GET, Endpoint::Referrers), 1, "{absence:?}");
    }
}

#[tokio::test]
async fn many_that_ask_at_once_ask_a_registry_without_the_api_once() {
    let (registry, image) = signed(FakeRegistry::builder(), 1).await;
    let (remote, subject) = (remote(&registries(), &registry), digest(&image));

    let answers = join_all((0..20).map(|_| remote.referrers(&subject))).await;

    assert!(answers.into_iter().all(|answer| answer.unwrap().is_none()));
    assert_eq!(registry.count(&Method::GET, Endpoint::Referrers), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_one_document_or_repository_is_not_said_of_the_api() {
    for (code, error, expected) in
        [(404, "NAME_UNKNOWN", Some(0)), (404, "MANIFEST_UNKNOWN", None), (400, "DIGEST_INVALID", None)]
    {
        let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
        registry.fault(asked(), refusal(code, error));
        let (remote, subject) = (remote(&registries(), &registry), digest(&image));
        let first = remote.referrers(&subject).await.unwrap().map(|listed| listed.len());
        assert_eq!(first, expected, "{error}");
        registry.clear_faults();
        assert_eq!(remote.referrers(&subject).await.unwrap().unwrap().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_nothing_is_learnt_of_it() {
    for code in [401, 403] {
        let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
        registry.fault(asked().times(1), Effect::status(code));
        let (remote, subject) = (remote(&registries(), &registry), digest(&image));
        let error = remote.referrers(&subject).await.unwrap_err();
        assert!(error.to_string().starts_with("listing what refers to sha256:"), "{error}");
        assert_eq!(remote.referrers(&subject).await.unwrap().unwrap().len(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_is_waited_out() {
    for trouble in [Effect::status(503), Effect::status(500), Effect::Drop] {
        let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
        registry.fault(asked().times(2), trouble.clone());
        assert_eq!(listed(&registry, &digest(&image)).await.unwrap().unwrap().len(), 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_listing_of_the_right_type_that_is_none_is_an_error() {
    let (registry, image) = signed(FakeRegistry::builder().with_referrers(), 1).await;
    registry.fault(asked(), answer(200, media_type::OCI_INDEX, r#"{"manifests":[{"digest":7}]}"#));
    assert!(listed(&registry, &digest(&image)).await.unwrap_err().to_string().contains("not JSON of the spec"));
}

#[tokio::test]
async fn who_lists_a_pushed_referrer_says_so_and_who_does_not_says_nothing() {
    for (builder, noted) in [(FakeRegistry::builder().with_referrers(), true), (FakeRegistry::builder(), false)] {
        let (registry, image) = signed(builder, 1).await;
        let target = remote(&registries(), &registry);
        let document = manifest(&signature(&image, 0).root);
        let put = target.put_manifest(&document, &TagOrDigest::Digest(document.digest().clone())).await.unwrap();
        assert_eq!(put.subject, noted.then(|| digest(&image)));
        let plain = manifest(&image.root);
        let put = target.put_manifest(&plain, &TagOrDigest::Digest(plain.digest().clone())).await.unwrap();
        assert_eq!(put.subject, None);
    }
}
