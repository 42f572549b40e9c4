//! What refers to an image is taken out of the list of that before it goes, where the list is kept under a tag.

use std::sync::Arc;

use regferry::content::Location;
use regferry::oci::TagOrDigest;
use regferry::transfer::{Referrers, Removal, RemovalError, Removed, Rule};
use testkit::content::Document;
use testkit::registry::Builder;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{digest, engine, failures, location, rule, run};

fn image() -> Image {
    Image::oci("linux/amd64").layer(1, 100).build()
}

fn signature(seed: u64) -> Image {
    Image::artifact("text/sig").layer(seed, 40).subject(&image()).build()
}

/// The tag of the list of what refers to the image.
fn list() -> String {
    image().digest().replacen(':', "-", 1)
}

/// A registry with an image and so many signatures, listed under the tag.
async fn signed(builder: Builder, signatures: u64) -> (Arc<FakeRegistry>, Location) {
    let registry = builder.start().await;
    registry.seed("app", "1", &image());
    let signatures: Vec<Image> = (0..signatures).map(signature).collect();
    signatures.iter().for_each(|signature| drop(registry.seed_untagged("app", signature)));
    let listed = Document::referrers(signatures.iter().map(|signature| &signature.root));
    registry.seed_document("app", &list(), &listed);
    let app = location(registry.host(), "app");
    (Arc::new(registry), app)
}

async fn removal(app: &Location, image: &Image) -> Removal {
    engine().removal(app, TagOrDigest::Digest(digest(image)), &CancellationToken::new()).await.unwrap()
}

async fn remove(app: &Location, image: &Image) -> Result<Removed, RemovalError> {
    removal(app, image).await.execute().await
}

/// What is listed; nothing if there is no list.
fn listed(registry: &FakeRegistry) -> Option<Vec<String>> {
    let index = registry.manifest("app", &list())?;
    Some(index.parts().unwrap().manifests.into_iter().map(|entry| entry.digest).collect())
}

#[tokio::test]
async fn a_signature_is_taken_out_of_the_list_before_it_goes() {
    let (registry, app) = signed(FakeRegistry::builder(), 3).await;
    let removal = removal(&app, &signature(1)).await;
    let told = |tags: &[regferry::oci::Tag]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((told(removal.listed_by()), told(removal.unlisted_from())), (vec![], vec![list()]));

    let removed = removal.execute().await.unwrap();

    assert_eq!(removed.unlisted_from.len(), 1);
    assert_eq!(listed(&registry), Some(vec![signature(0).digest(), signature(2).digest()]));
    assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
    let last: Vec<_> = registry.requests().into_iter().rev().take(2).map(|request| request.method).collect();
    assert_eq!(last, [Method::DELETE, Method::PUT]);
}

#[tokio::test]
async fn a_list_that_becomes_empty_goes_with_its_tag_or_stays_empty_where_no_tag_can_go() {
    for (builder, left) in [(FakeRegistry::builder(), None), (FakeRegistry::builder().keeps_tags(), Some(vec![]))] {
        let (registry, app) = signed(builder, 1).await;

        remove(&app, &signature(0)).await.unwrap();

        assert_eq!(listed(&registry), left);
        assert!(registry.manifest("app", &signature(0).digest()).is_none());
        assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_signature_that_stays_stays_listed() {
    for builder in
        [FakeRegistry::builder(), FakeRegistry::builder().keeps_tags(), FakeRegistry::builder().without_delete()]
    {
        for signatures in 1..3 {
            let (registry, app) = signed(builder.clone(), signatures).await;
            let by_digest = Fault::on(Method::DELETE, Endpoint::Manifest).reference(&signature(0).digest());
            registry.fault(by_digest, Effect::status(403));
            let before = registry.manifest("app", &list());

            remove(&app, &signature(0)).await.unwrap_err();

            assert_eq!(registry.manifest("app", &list()), before);
            assert_eq!(registry.check_whole("app", &list()), Ok(()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_went_though_no_answer_came_stays_out_of_the_list() {
    let (registry, app) = signed(FakeRegistry::builder(), 2).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::LoseAnswer);

    remove(&app, &signature(0)).await.unwrap();

    assert_eq!(listed(&registry), Some(vec![signature(1).digest()]));
}

#[tokio::test]
async fn a_list_that_cannot_be_put_back_is_told() {
    let (registry, app) = signed(FakeRegistry::builder(), 2).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::status(403));
    registry.fault(Fault::on(Method::PUT, Endpoint::Manifest).skip(1), Effect::status(403));

    let error = remove(&app, &signature(0)).await.unwrap_err();

    assert!(matches!(error, RemovalError::Unlisted { .. }), "{error}");
    let list = format!("is no longer in the list {}/app:{}", registry.host(), list());
    assert!(error.to_string().contains(&list), "{error}");
    assert_eq!(listed(&registry), Some(vec![signature(1).digest()]));
}

#[tokio::test]
async fn a_list_with_another_entry_that_is_not_there_is_mended_on_the_way() {
    let (registry, app) = signed(FakeRegistry::builder(), 3).await;
    registry.remove_manifest("app", &signature(0).digest());

    remove(&app, &signature(1)).await.unwrap();

    assert_eq!(listed(&registry), Some(vec![signature(2).digest()]));
}

#[tokio::test]
async fn what_was_deleted_does_not_keep_others_from_being_attached() {
    for is_known_to_us in [true, false] {
        let (source, _) = signed(FakeRegistry::builder(), 1).await;
        let (target, app) = signed(FakeRegistry::builder(), 3).await;
        source.seed_untagged("app", &signature(9));
        source.seed_document("app", &list(), &Document::referrers([&signature(0).root, &signature(9).root]));
        if is_known_to_us {
            remove(&app, &signature(1)).await.unwrap();
        } else {
            target.remove_manifest("app", &signature(1).digest());
        }
        let rule = rule("app", location(source.host(), "app"), app, &["1"]);
        let rule = Arc::new(Rule { referrers: Referrers::All, ..(*rule).clone() });

        assert_eq!(failures(&run(&engine(), &rule).await), Vec::<String>::new());

        let expected = [0, 2, 9].map(|seed| signature(seed).digest());
        assert_eq!(listed(&target), Some(expected.to_vec()));
        assert_eq!(target.incomplete_tags(), Vec::<String>::new());
    }
}
