//! Deleting what a user names: one tag alone, or a document with its tags.

use std::sync::Arc;

use regferry::content::Location;
use regferry::oci::TagOrDigest;
use regferry::transfer::{Removal, RemovalError, Removed};
use testkit::content::hello_world;
use testkit::registry::Builder;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Immutability, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{digest, engine, location};

fn image() -> Image {
    Image::oci("linux/amd64").layer(1, 100).build()
}

/// A registry with one image under two tags, and a list.
async fn tagged(builder: Builder) -> (FakeRegistry, Location) {
    let registry = builder.start().await;
    let digest = registry.seed("app", "1", &image());
    registry.retag("app", "2", &digest);
    registry.seed("app", "list", &hello_world());
    registry.clear_requests();
    let app = location(registry.host(), "app");
    (registry, app)
}

fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(text.parse().unwrap())
}

async fn removal(app: &Location, at: TagOrDigest) -> Result<Removal, RemovalError> {
    engine().removal(app, at, &CancellationToken::new()).await
}

async fn remove(app: &Location, at: TagOrDigest) -> Result<Removed, RemovalError> {
    removal(app, at).await?.execute().await
}

/// What a tag points at.
fn at(registry: &FakeRegistry, tag: &str) -> String {
    registry.manifest("app", tag).unwrap().digest()
}

fn names(tags: &[regferry::oci::Tag]) -> Vec<&str> {
    tags.iter().map(regferry::oci::Tag::as_str).collect()
}

#[tokio::test]
async fn a_tag_goes_alone_by_one_request_and_two_looks_where_the_registry_deletes_tags() {
    let (registry, app) = tagged(FakeRegistry::builder()).await;

    let removed = remove(&app, tag("1")).await.unwrap();

    assert_eq!((removed.digest, removed.tags.len()), (digest(&image()), 1));
    assert_eq!(registry.tags("app"), ["2", "list"]);
    assert_eq!(registry.summary(), "HEAD manifest 2, DELETE manifest 1");
}

#[tokio::test]
async fn a_tag_goes_alone_also_where_the_registry_deletes_documents_only() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;

    remove(&app, tag("1")).await.unwrap();
    remove(&app, tag("list")).await.unwrap();

    assert_eq!(registry.tags("app"), ["2"]);
    assert_eq!(registry.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn where_deletion_is_off_no_tag_is_moved() {
    let (registry, app) = tagged(FakeRegistry::builder().without_delete()).await;

    let error = remove(&app, tag("1")).await.unwrap_err();

    assert!(error.to_string().ends_with("turn deletion on there (distribution: REGISTRY_STORAGE_DELETE_ENABLED=true)"));
    assert_eq!(at(&registry, "1"), image().digest());
    let at_tag = registry.requests().into_iter().filter(|request| request.method == Method::PUT);
    assert!(at_tag.filter_map(|request| request.reference).all(|put| put.starts_with("sha256:")));
}

#[tokio::test]
async fn a_tag_that_moves_or_goes_after_it_was_told_is_left_alone() {
    for builder in [FakeRegistry::builder(), FakeRegistry::builder().keeps_tags()] {
        let (registry, app) = tagged(builder).await;
        let [moved, gone] = [removal(&app, tag("1")).await.unwrap(), removal(&app, tag("2")).await.unwrap()];
        registry.seed("app", "1", &hello_world());
        registry.remove_manifest("app", "2");

        let error = moved.execute().await.unwrap_err();
        assert!(matches!(error, RemovalError::Moved(_)), "{error}");
        let error = gone.execute().await.unwrap_err().to_string();
        assert!(error.contains("looking up manifest 2 of") && error.contains("not found"), "{error}");

        assert_eq!(at(&registry, "1"), hello_world().digest());
        assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 0);
    }
}

#[tokio::test]
async fn a_tag_that_moves_while_it_is_seen_whether_documents_can_be_deleted_is_left_alone() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    let removal = removal(&app, tag("1")).await.unwrap();
    registry.clear_requests();
    let registry = Arc::new(registry);
    let pushed = Arc::clone(&registry);
    // HEAD, DELETE by tag, GET.
    registry.on_request(3, move || drop(pushed.seed("app", "1", &hello_world())));

    let error = removal.execute().await.unwrap_err();

    assert!(matches!(error, RemovalError::Moved(_)), "{error}");
    assert_eq!(at(&registry, "1"), hello_world().digest());
}

#[tokio::test]
async fn a_document_stays_if_something_else_would_go_with_it_than_was_told() {
    let (registry, app) = tagged(FakeRegistry::builder()).await;
    let document = || TagOrDigest::Digest(digest(&image()));
    let told = [removal(&app, document()).await.unwrap(), removal(&app, document()).await.unwrap()];
    registry.retag("app", "3", &image().digest());
    registry.seed("app", "1", &hello_world());
    registry.seed("app", "new-list", &Image::oci_index([image()]));
    let host = registry.host();

    for told in told {
        let error = told.execute().await.unwrap_err();
        assert!(matches!(error, RemovalError::Changed { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "deleting {host}/app@{}: what hangs on it has changed since it was told: tags that go with it: now also \
                 3; tags that go with it: no longer 1; tags of lists that will lack it: now also new-list; nothing was \
                 deleted: look at it, and try again",
                image().digest()
            )
        );
    }

    assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 0);
    remove(&app, document()).await.unwrap();
    assert_eq!(registry.tags("app"), ["1", "list", "new-list"]);
}

#[tokio::test]
async fn a_tag_whose_stand_in_cannot_be_deleted_is_put_back() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    // By tag, then the probe; the stand-in is the third.
    let third = Fault::on(Method::DELETE, Endpoint::Manifest).skip(2);
    registry.fault(third, Effect::status(403));

    let error = remove(&app, tag("1")).await.unwrap_err();

    assert!(matches!(error, RemovalError::PutBack { .. }), "{error}");
    assert_eq!(at(&registry, "1"), image().digest());
}

#[tokio::test]
async fn a_tag_that_cannot_be_put_back_either_is_told_with_the_way_back() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest).skip(2), Effect::status(403));
    registry.fault(Fault::on(Method::PUT, Endpoint::Manifest).reference("1").skip(1), Effect::status(403));

    let error = remove(&app, tag("1")).await.unwrap_err();

    let RemovalError::Stranded { original, .. } = &error else { panic!("{error}") };
    assert_eq!(original.digest, Some(digest(&image())));
    let way_back = format!("do that with `regferry copy {original} {}/app:1`", registry.host());
    assert!(error.to_string().ends_with(&way_back), "{error}");
    assert!(![image().digest(), hello_world().digest()].contains(&at(&registry, "1")), "it is the stand-in's");
    assert_eq!(at(&registry, "2"), image().digest());
}

#[tokio::test(start_paused = true)]
async fn a_stand_in_that_went_though_no_answer_came_is_gone() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest).skip(2), Effect::LoseAnswer);

    remove(&app, tag("1")).await.unwrap();

    assert_eq!(registry.tags("app"), ["2", "list"]);
}

#[tokio::test]
async fn a_tag_that_was_moved_although_the_answer_says_otherwise_is_put_back() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    // As often as it is tried.
    let moving = Fault::on(Method::PUT, Endpoint::Manifest).reference("1").times(3);
    registry.fault(moving, Effect::header("docker-content-digest", &hello_world().digest()));

    let error = remove(&app, tag("1")).await.unwrap_err();

    assert!(matches!(error, RemovalError::PutBack { .. }), "{error}");
    assert_eq!(at(&registry, "1"), image().digest());
    assert_eq!(registry.count(&Method::PUT, Endpoint::Manifest), 1 + 3 + 1, "{}", registry.summary());
}

#[tokio::test]
async fn what_is_pushed_while_the_stand_in_cannot_be_deleted_is_left_alone() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    let third = Fault::on(Method::DELETE, Endpoint::Manifest).skip(2);
    registry.fault(third, Effect::status(403));
    let removal = removal(&app, tag("1")).await.unwrap();
    registry.clear_requests();
    let registry = Arc::new(registry);
    let pushed = Arc::clone(&registry);
    // HEAD, DELETE by tag, GET; the config, the probe and its end; HEAD, PUT and DELETE of the stand-in, HEAD.
    registry.on_request(12, move || drop(pushed.seed("app", "1", &hello_world())));

    let error = removal.execute().await.unwrap_err();

    assert!(matches!(error, RemovalError::Moved(_)), "{error}: {}", registry.summary());
    assert_eq!(at(&registry, "1"), hello_world().digest());
}

#[tokio::test]
async fn a_registry_that_knows_no_such_request_deletes_nothing_whatever_it_says() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::status(404));

    for named in [tag("1"), TagOrDigest::Digest(digest(&image()))] {
        let error = remove(&app, named).await.unwrap_err();
        assert!(matches!(error, RemovalError::Off(_)), "{error}");
    }
    assert_eq!(at(&registry, "1"), image().digest());
}

#[tokio::test]
async fn of_a_document_its_tags_and_the_lists_that_need_it_are_told_before_it_goes() {
    let (registry, app) = tagged(FakeRegistry::builder()).await;
    let own = removal(&app, TagOrDigest::Digest(digest(&image()))).await.unwrap();
    assert_eq!((names(own.tags()), names(own.listed_by())), (vec!["1", "2"], vec![]));
    let child = hello_world().documents().next().unwrap().digest().parse().unwrap();
    let part = removal(&app, TagOrDigest::Digest(child)).await.unwrap();
    assert_eq!((names(part.tags()), names(part.listed_by())), (vec![], vec!["list"]));
    assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 0);

    own.execute().await.unwrap();

    assert_eq!(registry.tags("app"), ["list"]);
}

#[tokio::test]
async fn what_is_not_there_what_may_not_go_and_what_nobody_may_are_told_apart() {
    let (_registry, app) = tagged(FakeRegistry::builder()).await;
    let error = remove(&app, tag("3")).await.unwrap_err().to_string();
    assert!(error.contains("looking up manifest 3 of") && error.contains("not found"), "{error}");

    let (registry, app) = tagged(FakeRegistry::builder().immutable_tags(Immutability::LikeHarbor)).await;
    assert!(remove(&app, tag("1")).await.unwrap_err().to_string().contains("immutable"));
    assert_eq!(registry.tags("app"), ["1", "2", "list"]);

    let (registry, app) = tagged(FakeRegistry::builder()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::status(403));
    let error = remove(&app, tag("1")).await.unwrap_err().to_string();
    assert!(error.ends_with("these credentials lack the right to delete there"), "{error}");
    registry.fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::status(403));
    let error = remove(&app, tag("1")).await.unwrap_err().to_string();
    assert!(error.contains("looking up manifest 1 of") && !error.contains("right to delete"), "{error}");
}

#[tokio::test]
async fn a_stop_before_the_tag_is_moved_leaves_it_where_it_is() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    let cancel = CancellationToken::new();
    let removal = Arc::clone(&engine()).removal(&app, tag("1"), &cancel).await.unwrap();
    let stop = cancel.clone();
    // Two HEADs, DELETE by tag, GET.
    registry.on_request(4, move || stop.cancel());

    assert!(removal.execute().await.is_err());
    assert_eq!(at(&registry, "1"), image().digest());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_tries_to_delete() {
    for named in [tag("1"), TagOrDigest::Digest(digest(&image()))] {
        let (registry, app) = tagged(FakeRegistry::builder()).await;
        registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest), Effect::status(503));
        let cancel = CancellationToken::new();
        let removal = engine().removal(&app, named, &cancel).await.unwrap();
        let registry = Arc::new(registry);
        stop_at_delete(&registry, 1, cancel);

        let error = removal.execute().await.unwrap_err();

        assert!(error.to_string().contains("stopped before it was done"), "{error}");
        assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_stand_in_stays_puts_the_tag_back() {
    let (registry, app) = tagged(FakeRegistry::builder().keeps_tags()).await;
    registry.fault(Fault::on(Method::DELETE, Endpoint::Manifest).skip(2), Effect::status(503));
    let cancel = CancellationToken::new();
    let removal = engine().removal(&app, tag("1"), &cancel).await.unwrap();
    let registry = Arc::new(registry);
    stop_at_delete(&registry, 3, cancel);

    let error = removal.execute().await.unwrap_err();

    assert!(matches!(error, RemovalError::PutBack { .. }), "{error}");
    assert_eq!(at(&registry, "1"), image().digest());
    assert_eq!(registry.count(&Method::DELETE, Endpoint::Manifest), 3, "{}", registry.summary());
}

/// Stops when the registry is asked to delete something for the n-th time.
fn stop_at_delete(registry: &Arc<FakeRegistry>, n: usize, stop: CancellationToken) {
    let next = registry.requests().len() + 1;
    let again = Arc::clone(registry);
    registry.on_request(next, move || {
        if again.count(&Method::DELETE, Endpoint::Manifest) >= n {
            stop.cancel();
        } else {
            stop_at_delete(&again, n, stop);
        }
    });
}
