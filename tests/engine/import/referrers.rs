//! Signatures and what else refers to an image, along with an import.

use regferry::events::ImageOutcome;
use regferry::transfer::{Import, Referrers};
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};

use super::{done, of, only, run};
use crate::support::engine;

async fn with_api() -> (FakeRegistry, FakeRegistry) {
    let registry = || FakeRegistry::builder().with_referrers().start();
    (registry().await, registry().await)
}

fn signature(of: &Image, seed: u64) -> Image {
    Image::artifact("text/sig").layer(seed, 40).subject(of).build()
}

fn hang(registry: &FakeRegistry, what: &[&Image]) {
    what.iter().for_each(|one| drop(registry.seed_untagged("app", one)));
}

fn signed(import: Import) -> Import {
    Import { referrers: Referrers::All, ..import }
}

/// The names of the documents that were put, in their order.
fn puts(target: &FakeRegistry) -> Vec<String> {
    let requests = target.requests().into_iter();
    let puts = requests.filter(|request| request.method == Method::PUT && request.endpoint == Endpoint::Manifest);
    puts.filter_map(|request| request.reference).collect()
}

#[tokio::test]
async fn what_refers_to_an_image_and_to_its_children_is_there_before_the_tag() {
    let (source, target) = with_api().await;
    let image = hello_world();
    source.seed("app", "v1", &image);
    let (of_list, of_child) = (signature(&image, 1), signature(&image.children[0], 2));
    let of_signature = signature(&of_list, 3);
    hang(&source, &[&of_list, &of_child, &of_signature]);

    let imported = done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;

    assert_eq!(imported.images[0].referrers, 3);
    let puts = puts(&target);
    for one in [&of_list, &of_child, &of_signature] {
        assert!(puts.contains(&one.digest()), "{puts:?}");
    }
    assert_eq!(puts.last().map(String::as_str), Some("v1"), "{puts:?}");
}

#[tokio::test]
async fn nothing_of_it_comes_unless_it_is_wanted() {
    let (source, target) = with_api().await;
    source.seed("app", "v1", &hello_world());
    let signature = signature(&hello_world(), 1);
    source.seed_untagged("app", &signature);

    done(&engine(), &of(&source, &target, &["app:v1"])).await;

    assert_eq!(target.manifest("app", &signature.digest()), None);
    assert_eq!(source.count(&Method::GET, Endpoint::Referrers), 0);
}

#[tokio::test]
async fn an_image_in_place_gets_what_it_lacks_and_then_nothing_more() {
    let (source, target) = with_api().await;
    source.seed("app", "v1", &hello_world());
    done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;
    let signature = signature(&hello_world(), 1);
    source.seed_untagged("app", &signature);

    let second = done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;
    let third = done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;

    assert_eq!((second.images[0].outcome, second.images[0].referrers), (ImageOutcome::Copied, 1));
    assert_eq!(target.check_whole("app", &signature.digest()), Ok(()));
    assert_eq!((third.images[0].outcome, third.images[0].referrers), (ImageOutcome::Unchanged, 0));
}

#[tokio::test]
async fn cosigns_tags_come_too_and_one_that_is_there_is_moved_by_force_alone() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    source.seed("app", "v1", &image);
    let tag = format!("{}.sig", image.digest().replacen(':', "-", 1));
    let first = source.seed("app", &tag, &Image::artifact("text/one").layer(2, 10).build());
    done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;
    assert_eq!(target.manifest("app", &tag).unwrap().digest(), first);

    let more = source.seed("app", &tag, &Image::artifact("text/one").layer(3, 10).build());
    done(&engine(), &signed(of(&source, &target, &["app:v1"]))).await;
    assert_eq!(target.manifest("app", &tag).unwrap().digest(), first);

    let forced = Import { force: true, ..signed(of(&source, &target, &["app:v1"])) };
    let forced = done(&engine(), &forced).await;
    assert_eq!((target.manifest("app", &tag).unwrap().digest(), forced.images[0].referrers), (more, 1));
}

#[tokio::test]
async fn of_one_platform_its_own_signature_comes_and_not_the_lists() {
    let (source, target) = with_api().await;
    let image = hello_world();
    source.seed("app", "v1", &image);
    let (of_list, of_child) = (signature(&image, 1), signature(&image.children[1], 2));
    hang(&source, &[&of_list, &of_child]);

    let imported = done(&engine(), &only(signed(of(&source, &target, &["app:v1"])), &["linux/arm64"])).await;

    assert_eq!(imported.images[0].referrers, 1);
    assert!(target.manifest("app", &of_child.digest()).is_some());
    assert!(target.manifest("app", &of_list.digest()).is_none());
}

#[tokio::test]
async fn they_are_looked_for_once_a_repository() {
    let (source, target) = with_api().await;
    source.seed("app", "v1", &hello_world());
    let signature = signature(&hello_world(), 1);
    source.seed_untagged("app", &signature);
    let looks = async |names: &[&str]| {
        source.clear_requests();
        let imported = done(&engine(), &signed(of(&source, &target, names))).await;
        let referrers: Vec<u64> = imported.images.iter().map(|image| image.referrers).collect();
        (source.count(&Method::GET, Endpoint::Referrers), referrers)
    };

    let (once, _) = looks(&["a:v1"]).await;
    assert_eq!(looks(&["b:v1", "b:v2", "b:v3"]).await, (once, vec![1, 0, 0]));
    assert_eq!(looks(&["c:v1", "d:v1"]).await, (once * 2, vec![1, 1]));
}

#[tokio::test]
async fn a_signature_that_cannot_be_had_leaves_every_tag_of_the_repository_unwritten() {
    let (source, target) = with_api().await;
    source.seed("app", "v1", &hello_world());
    let signature = signature(&hello_world(), 1);
    source.seed_untagged("app", &signature);
    source.remove_blob("app", &signature.blobs[1].digest());

    let imported = run(&engine(), &signed(of(&source, &target, &["app:v1", "app:v2"]))).await.unwrap();

    assert!(imported.images.iter().all(|image| image.outcome == ImageOutcome::Failed), "{imported:?}");
    assert_eq!(target.tags("app"), Vec::<String>::new());
}
