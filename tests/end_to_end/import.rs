//! `import` and `copy`: which targets are written, what is printed, and when nothing is.

use serde_json::json;
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};

use crate::support::{Ferry, Finished};

/// A source with `team/hello:v1`, and an empty target.
struct Sides {
    source: FakeRegistry,
    target: FakeRegistry,
    digest: String,
}

impl Sides {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let digest = source.seed("team/hello", "v1", &hello_world());
        Self { source, target, digest }
    }

    /// Imports the image into the target registry.
    async fn import(&self, more: &[&str]) -> Finished {
        self.import_from(&format!("{}/team/hello:v1", self.source.host()), more).await
    }

    async fn import_from(&self, source: &str, more: &[&str]) -> Finished {
        let always = ["import", "--source", source, "--registry", self.target.host()];
        Ferry::new(&[&always, more].concat()).run().await
    }

    /// The lines that an import into these targets prints.
    fn lines(&self, targets: &[&str]) -> String {
        let line = |target: &&str| format!("{}/{target} {}\n", self.target.host(), self.digest);
        targets.iter().map(line).collect()
    }

    /// An image that is something else.
    fn in_the_way(&self, repository: &str) -> String {
        let other = self.target.seed(repository, "v1", &Image::oci("linux/amd64").layer(9, 10).build());
        self.target.clear_requests();
        other
    }
}

#[tokio::test]
async fn an_image_is_imported_under_its_own_name() {
    let sides = Sides::new().await;

    let printed = sides.import(&[]).await.success();

    assert_eq!(printed, sides.lines(&["team/hello:v1"]));
    assert_eq!(sides.target.check_whole("team/hello", "v1"), Ok(()));
}

#[tokio::test]
async fn every_image_and_every_repository_is_a_target_and_a_line() {
    let sides = Sides::new().await;
    let targets = ["--image", "hello:v1", "--image", "hello", "--repository", "audit", "--image", "other/hello:v2"];

    let printed = sides.import(&targets).await.success();

    let untagged = format!("audit@{}", sides.digest);
    assert_eq!(printed, sides.lines(&["hello:v1", "hello:latest", "other/hello:v2", &untagged]));
    assert_eq!(sides.target.incomplete_tags(), Vec::<String>::new());
    assert_eq!(sides.target.tags("hello"), ["latest", "v1"]);
    assert_eq!(sides.target.tags("other/hello"), ["v2"]);
    assert_eq!(sides.target.tags("audit"), Vec::<String>::new());
    assert_eq!(sides.target.check_whole("audit", &sides.digest), Ok(()));
}

#[tokio::test]
async fn targets_may_name_their_own_hosts() {
    let sides = Sides::new().await;
    let source = format!("{}/team/hello:v1", sides.source.host());
    let image = format!("{}/hello:v1", sides.target.host());
    let repository = format!("{}/audit", sides.source.host());

    let import = Ferry::new(&["import", "--source", &source, "--image", &image, "--repository", &repository]);
    let printed = import.run().await.success();

    let digest = &sides.digest;
    assert_eq!(printed, format!("{image} {digest}\n{repository}@{digest} {digest}\n"));
    assert_eq!(sides.source.check_whole("audit", digest), Ok(()));
}

#[tokio::test]
async fn a_conflict_at_one_of_three_targets_writes_nothing_until_it_is_forced() {
    let sides = Sides::new().await;
    let old = sides.in_the_way("c");
    let targets = ["--image", "a:v1", "--image", "b:v1", "--image", "c:v1"];

    let refused = sides.import(&targets).await.failure(1);
    let shown = refused.replace(sides.target.host(), "TARGET").replace(&old, "OLD").replace(&sides.digest, "NEW");
    insta::assert_snapshot!(shown, @"error: TARGET/c:v1 exists as OLD, the source is NEW; nothing was written: use --force to move it");
    assert_eq!(sides.target.summary(), "HEAD manifest 3");
    assert_eq!(sides.target.repositories(), ["c"]);

    let forced = sides.import(&[&targets[..], &["--force"]].concat()).await.success();
    assert_eq!(forced, sides.lines(&["a:v1", "b:v1", "c:v1"]));
    assert_eq!(sides.target.check_whole("c", "v1"), Ok(()));
}

#[tokio::test]
async fn what_is_there_already_is_success() {
    let sides = Sides::new().await;
    let first = sides.import(&[]).await.success();
    sides.target.clear_requests();

    let second = sides.import(&[]).await.success();

    assert_eq!(second, first);
    assert_eq!(sides.target.summary(), "HEAD manifest 1");
}

#[tokio::test]
async fn a_digest_is_imported_without_a_tag_unless_it_has_one_beside_it() {
    let sides = Sides::new().await;
    let digest = &sides.digest;

    let bare = sides.import_from(&format!("{}/team/hello@{digest}", sides.source.host()), &[]).await;
    assert_eq!(bare.success(), sides.lines(&[&format!("team/hello@{digest}")]));
    assert_eq!(sides.target.tags("team/hello"), Vec::<String>::new());

    // The tag is what is written; what is read is the digest: the source has no such tag.
    let both = sides.import_from(&format!("{}/team/hello:v9@{digest}", sides.source.host()), &[]).await;
    assert_eq!(both.success(), sides.lines(&["team/hello:v9"]));
    assert_eq!(sides.target.check_whole("team/hello", "v9"), Ok(()));
}

#[tokio::test]
async fn localhost_is_a_registry() {
    let sides = Sides::new().await;
    let [source, target] = [&sides.source, &sides.target].map(|side| side.host().replace("127.0.0.1", "localhost"));

    let arguments = ["import", "--source", &format!("{source}/team/hello:v1"), "--registry", &target];
    let printed = Ferry::new(&arguments).run().await.success();

    assert_eq!(printed, format!("{target}/team/hello:v1 {}\n", sides.digest));
    assert_eq!(sides.target.check_whole("team/hello", "v1"), Ok(()));
}

#[tokio::test]
async fn json_tells_what_each_target_cost() {
    let sides = Sides::new().await;

    let imported = sides.import(&["--image", "a:v1", "--repository", "b", "--output", "json"]).await;

    imported.success();
    let report = imported.json();
    assert_eq!(report["source"], format!("{}/team/hello:v1", sides.source.host()));
    let bytes: usize = hello_world().blobs().map(|blob| blob.bytes.len()).sum();
    let first = json!({"copied": 7, "mounted": 0, "present": 0});
    let second = json!({"copied": 0, "mounted": 7, "present": 0});
    let targets = [("a:v1".to_owned(), bytes, first), (format!("b@{}", sides.digest), 0, second)];
    for (index, (target, bytes, blobs)) in targets.into_iter().enumerate() {
        let image = &report["images"][index];
        assert_eq!(image["target"], format!("{}/{target}", sides.target.host()));
        assert_eq!(image["digest"], sides.digest);
        assert_eq!(image["outcome"], "copied");
        assert_eq!((&image["bytes"], &image["blobs"]), (&bytes.into(), &blobs));
        assert!(image["seconds"].is_f64() && image["error"].is_null(), "{image:#}");
    }
}

#[tokio::test]
async fn a_copy_moves_the_targets_tag_and_takes_the_sources_where_none_is_named() {
    let sides = Sides::new().await;
    sides.in_the_way("hello");
    let source = format!("{}/team/hello:v1", sides.source.host());
    let target = format!("{}/hello", sides.target.host());

    let printed = Ferry::new(&["copy", &source, &target]).run().await.success();

    assert_eq!(printed, sides.lines(&["hello:v1"]));
    assert_eq!(sides.target.check_whole("hello", "v1"), Ok(()));
    assert_eq!(sides.target.manifest("hello", "v1"), Some(hello_world().root));
    let again = Ferry::new(&["copy", &source, &target, "--output", "json"]).run().await.json();
    assert_eq!(again["images"][0]["outcome"], "unchanged", "{again:#}");
    assert_eq!(sides.source.count(&Method::GET, Endpoint::Blob), 7, "{}", sides.source.summary());
}
