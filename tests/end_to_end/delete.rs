//! `regferry delete` at real registries: Debian's deletes documents alone, and nothing at all unless told to.

use insta::assert_snapshot;
use testkit::client;
use testkit::content::hello_world;
use testkit::server::skopeo;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::support::{Ferry, Finished, at_a_terminal};

fn image() -> Image {
    Image::oci("linux/amd64").layer(1, 1_000).build()
}

/// A real registry with one image under two tags, and a list.
async fn tagged(server: DistributionServer) -> DistributionServer {
    for (tag, image) in [("1", image()), ("2", image()), ("list", hello_world())] {
        client::push(server.host(), "app", tag, &image).await;
    }
    server
}

async fn delete(arguments: &[&str]) -> Finished {
    Ferry::new(&[&["delete"], arguments].concat()).run().await
}

/// The tags, as skopeo sees them.
async fn tags(server: &DistributionServer) -> Vec<String> {
    let listed = skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}/app", server.host())]).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed).expect("skopeo prints JSON");
    let mut tags: Vec<String> = serde_json::from_value(listed["Tags"].clone()).expect("tags are texts");
    tags.sort();
    tags
}

async fn pull(server: &DistributionServer, tag: &str) {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let from = format!("docker://{}/app:{tag}", server.host());
    let to = format!("oci:{}:{tag}", folder.path().display());
    skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]).await;
}

#[tokio::test]
async fn one_tag_goes_alone_though_the_registry_deletes_documents_only() {
    let server = tagged(DistributionServer::start()).await;
    let reference = format!("{}/app:1", server.host());

    assert_eq!(delete(&["--yes", &reference]).await.success(), format!("deleted {reference}\n"));

    assert_eq!(tags(&server).await, ["2", "list"]);
    for tag in ["2", "list"] {
        pull(&server, tag).await;
    }
    let again = delete(&["--yes", &reference]).await.failure(1);
    assert!(again.contains("looking up manifest 1 of") && again.contains("not found"), "{again}");
}

#[tokio::test]
async fn a_document_goes_with_its_tags_which_are_told_first() {
    let server = tagged(DistributionServer::start()).await;
    let reference = format!("{}/app@{}", server.host(), image().digest());

    let ended = delete(&["-y", "--output", "json", &reference]).await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("  tags that go with it: 1, 2\n"), "{}", ended.stderr);
    let tags_gone = ["1", "2"].map(|tag| format!("{}/app:{tag}", server.host()));
    let expected = serde_json::json!({
        "reference": reference, "digest": image().digest(), "tags": tags_gone, "listed_by": [],
    });
    assert_eq!(ended.json(), expected);
    assert_eq!(tags(&server).await, ["list"]);
}

#[tokio::test]
async fn where_deletion_is_off_nothing_is_lost_and_the_error_says_how_to_turn_it_on() {
    let server = tagged(DistributionServer::builder().without_delete().start()).await;

    for name in ["app:1".to_owned(), format!("app@{}", hello_world().digest())] {
        let ended = delete(&["--yes", "-q", &format!("{}/{name}", server.host())]).await;
        let error = ended.failure(1);
        assert!(error.ends_with("(distribution: REGISTRY_STORAGE_DELETE_ENABLED=true)"), "{error}");
    }

    assert_eq!(tags(&server).await, ["1", "2", "list"]);
    for tag in ["1", "2", "list"] {
        pull(&server, tag).await;
    }
}

#[tokio::test]
async fn nothing_goes_that_is_not_named_or_not_agreed_to() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "latest", &image());
    let app = format!("{}/app", registry.host());
    let refused = async |arguments: &[&str]| delete(arguments).await.failure(2).replace(registry.host(), "HOST");

    assert_snapshot!(refused(&["--yes", &app]).await, @"error: HOST/app: name what is to be deleted: HOST/app:TAG, or HOST/app@DIGEST");
    let both = format!("{app}:latest@{}", image().digest());
    assert!(
        refused(&["--yes", &both]).await.contains("name one of both: HOST/app:latest for the tag alone, HOST/app@")
    );
    assert_snapshot!(refused(&[&format!("{app}:latest")]).await, @"error: HOST/app:latest: nobody is there to be asked whether it may go: give --yes to delete it");
    assert_eq!((registry.tags("app"), registry.requests().len()), (vec!["latest".to_owned()], 0));
}

#[tokio::test]
async fn at_a_terminal_it_asks_and_takes_nothing_but_yes_for_yes() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "1", &image());
    let reference = format!("{}/app:1", registry.host());

    let (code, told) = at_a_terminal(&format!("delete {reference}"), "n\n").await;
    assert_eq!((code, registry.tags("app").len()), (1, 1), "{told}");
    assert!(
        told.contains("the tag goes; what it points at stays: sha256:") && told.contains("Delete? [y/N]"),
        "{told}"
    );
    assert!(told.contains("error: nothing was deleted"), "{told}");

    let (code, told) = at_a_terminal(&format!("delete {reference}"), "y\n").await;
    assert_eq!((code, registry.tags("app").len()), (0, 0), "{told}");
    assert!(told.contains(&format!("deleted {reference}")), "{told}");
}
