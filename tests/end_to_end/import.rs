//! `import` and `copy`: which targets are written, what is printed, and when nothing is.

use std::time::Duration;

use serde_json::json;
use testkit::content::hello_world;
use testkit::server::skopeo;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Method, client};

use crate::support::{Ferry, Finished, at_a_terminal};

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

#[tokio::test]
async fn the_lines_and_the_report_say_which_platforms_were_taken_of_which_list() {
    let sides = Sides::new().await;
    let arm64 = hello_world().children[1].digest();

    let one = sides.import(&["--platform", "linux/arm64"]).await.success();
    let list = &sides.digest;
    assert_eq!(
        one,
        format!(
            "{}/team/hello:v1 {arm64} (linux/arm64 alone, of the list {list}: not the source's digest)\n",
            sides.target.host()
        )
    );

    let two = ["--image", "two:v1", "--platform", "linux/amd64", "--platform", "linux/arm64"];
    let text = sides.import(&two).await.success();
    let smaller = sides.target.manifest("two", "v1").expect("it was written").digest();
    let said =
        format!("{smaller} (a list of linux/amd64, linux/arm64 alone, made from {list}: not the source's digest)\n");
    assert!(text.ends_with(&said), "{text}");

    let report = sides.import(&[&two[..], &["--output", "json"]].concat()).await.json();
    assert_eq!(report["source_digest"], *list);
    assert_eq!(report["platforms"], json!(["linux/amd64", "linux/arm64"]));
    assert_eq!((&report["digest_kept"], &report["dry_run"]), (&json!(false), &json!(false)));
    assert_eq!(
        (&report["images"][0]["digest"], &report["images"][0]["outcome"]),
        (&json!(smaller), &json!("unchanged"))
    );
}

#[tokio::test]
async fn an_image_that_is_all_of_the_platform_says_that_its_digest_is_kept() {
    let sides = Sides::new().await;
    let digest = sides.source.seed("one", "v1", &Image::oci("linux/amd64").layer(1, 10).build());
    let source = format!("{}/one:v1", sides.source.host());

    let text = sides.import_from(&source, &["--platform", "linux/amd64"]).await.success();

    assert_eq!(
        text,
        format!("{}/one:v1 {digest} (all of it is linux/amd64: the source's digest)\n", sides.target.host())
    );
    let whole = sides.import(&["--output", "json"]).await.json();
    assert_eq!((&whole["digest_kept"], &whole["platforms"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_told_with_those_that_are() {
    let sides = Sides::new().await;
    let host = sides.source.host();

    let refused = sides.import(&["--platform", "linux/s390x"]).await.failure(1).replace(host, "SOURCE");
    insta::assert_snapshot!(refused, @"error: choosing an image of SOURCE/team/hello: sha256:228af8ea4c77… has no image for linux/s390x; there are: linux/amd64, linux/arm64/v8, windows(10.0.17763.1697)/amd64");
    let refused = sides.import(&["--platform", "linux/amd64", "--platform", "linux/s390x"]).await.failure(1);
    insta::assert_snapshot!(refused.replace(host, "SOURCE"), @"error: choosing platforms of manifest sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be of SOURCE/team/hello: no image for linux/s390x; there are: linux/amd64, linux/arm64/v8, windows(10.0.17763.1697)/amd64; check how the platforms are named");
    assert_eq!(sides.target.summary(), "no requests");
}

#[tokio::test]
async fn a_dry_run_has_the_lines_of_a_plan_and_writes_nothing() {
    let sides = Sides::new().await;
    sides.target.seed("c", "v1", &hello_world());
    sides.target.clear_requests();

    let planned = sides.import(&["--image", "a:v1", "--image", "b:v1", "--image", "c:v1", "--dry-run"]).await.success();

    insta::assert_snapshot!(planned.replace(sides.target.host(), "TARGET"), @r"
    ? TARGET/a:v1  sha256:228af8ea4c77…  blobs: 7 to copy   123.3 KiB
    ? TARGET/b:v1  sha256:228af8ea4c77…  blobs: 7 to mount        0 B
    = TARGET/c:v1  unchanged
    ");
    assert!(!sides.target.summary().contains("P"), "{}", sides.target.summary());
    let chosen = sides.import(&["--platform", "linux/arm64", "--dry-run"]).await.success();
    insta::assert_snapshot!(chosen.replace(sides.target.host(), "TARGET"), @r"
    linux/arm64 alone, of the list sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be: not the source's digest
      ? TARGET/team/hello:v1  sha256:5bb67734a7b3…  blobs: 2 to copy  3.5 KiB
    ");
    let report = sides.import(&["--dry-run", "--output", "json"]).await.json();
    assert_eq!((&report["dry_run"], &report["images"][0]["blobs"]["copied"]), (&json!(true), &json!(7)));
    assert_eq!(sides.target.repositories(), ["c"]);
}

#[tokio::test]
async fn what_refers_to_the_image_comes_along_and_is_counted() {
    let sides = Sides::new().await;
    let tag = format!("{}.sig", sides.digest.replacen(':', "-", 1));
    sides.source.seed("team/hello", &tag, &Image::artifact("text/sig").layer(2, 10).build());

    let text = sides.import(&["--referrers"]).await.success();

    assert_eq!(text, sides.lines(&["team/hello:v1"]).replace('\n', " (referrers: 1)\n"));
    assert_eq!(sides.target.tags("team/hello"), [tag.as_str(), "v1"]);
    assert_eq!(sides.target.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn every_tag_of_the_image_is_written_where_only_repositories_are_named() {
    let sides = Sides::new().await;
    sides.source.retag("team/hello", "latest", &sides.digest);
    sides.source.seed("team/hello", "v2", &Image::oci("linux/amd64").layer(9, 10).build());
    let expected = |repository: &str| [format!("{repository}:v1"), format!("{repository}:latest")];
    let lines = |repositories: &[&str]| {
        let names: Vec<String> = repositories.iter().flat_map(|repository| expected(repository)).collect();
        sides.lines(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };

    assert_eq!(sides.import(&["--all-tags-of"]).await.success(), lines(&["team/hello"]));
    let named = ["--image", "a", "--repository", "b", "--all-tags-of"];
    assert_eq!(sides.import(&named).await.success(), lines(&["a", "b"]));
    let tagged = sides.import(&["--image", "c:stable", "--all-tags-of"]).await.success();
    assert_eq!(tagged, sides.lines(&["c:stable"]) + &lines(&["c"]));
    let digest = format!("{}/team/hello@{}", sides.source.host(), sides.digest);
    let target = format!("{}/d", sides.target.host());
    Ferry::new(&["copy", &digest, &target, "--all-tags-of"]).run().await.success();
    assert_eq!(sides.target.tags("d"), ["latest", "v1"]);
}

#[tokio::test]
async fn a_copy_takes_a_platform_and_what_refers_to_it() {
    let sides = Sides::new().await;
    let arm64 = &hello_world().children[1];
    let tag = format!("{}.sig", arm64.digest().replacen(':', "-", 1));
    sides.source.seed("team/hello", &tag, &Image::artifact("text/sig").layer(2, 10).build());
    let source = format!("{}/team/hello:v1", sides.source.host());
    let target = format!("{}/hello:arm64", sides.target.host());

    let text =
        Ferry::new(&["copy", &source, &target, "--platform", "linux/arm64", "--referrers"]).run().await.success();

    assert!(text.contains(&arm64.digest()) && text.ends_with(" (referrers: 1)\n"), "{text}");
    assert_eq!(sides.target.tags("hello"), ["arm64", &tag]);
    // In the same place: the list's own tag is moved onto one of its images.
    Ferry::new(&["copy", &source, &source, "--platform", "linux/arm64"]).run().await.success();
    assert_eq!(sides.source.manifest("team/hello", "v1").as_ref(), Some(&arm64.root));
}

/// Docker Hub is not to be had here: what stands in for it is the proxy on the way, which is not there.
#[tokio::test]
async fn a_bare_name_is_docker_hubs() {
    let hasty = "[registries.'docker.io'.retry]\nmax_elapsed = '0s'\n";
    let arguments = ["import", "--source", "alpine:3.20", "--registry", "localhost:1"];
    let import = Ferry::new(&arguments).config(hasty).env("HTTPS_PROXY", "http://127.0.0.1:1");

    let told = import.run().await.failure(1);

    assert!(told.contains("manifest 3.20 of docker.io/library/alpine: "), "{told}");
}

#[tokio::test]
async fn progress_is_shown_on_a_terminal() {
    let sides = Sides::new().await;
    // Long enough for the bar to be drawn.
    let slow = Fault::on(Method::PUT, Endpoint::Upload).times(1);
    sides.target.fault(slow, Effect::Delay(Duration::from_millis(500)));
    let (source, target) = (sides.source.host(), sides.target.host());
    let import = format!("import --source {source}/team/hello:v1 --registry {target} --image a:v1 --image b:v1");

    let (code, shown) = at_a_terminal(&import, "").await;

    assert_eq!(code, 0, "{shown}");

    assert!(shown.contains(" of 2 images") && shown.contains(" KiB of 123.3 KiB"), "{shown}");
    assert!(shown.contains(&format!("{target}/b:v1 {}", sides.digest)), "{shown}");
}

#[tokio::test]
async fn real_registries_and_skopeo_see_what_was_chosen_and_what_refers_to_it() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    let image = hello_world();
    client::push(source.host(), "hello", "v1", &image).await;
    let signature = Image::artifact("text/sig").layer(2, 10).build();
    let tag = format!("{}.sig", image.children[1].digest().replacen(':', "-", 1));
    client::push(source.host(), "hello", &tag, &signature).await;
    let from = format!("{}/hello:v1", source.host());
    let import = async |name: &str, more: &[&str]| {
        let always = ["import", "--source", &from, "--registry", target.host(), "--image", name, "--referrers"];
        Ferry::new(&[&always, more].concat()).run().await.success()
    };
    let raw = async |name: &str| {
        skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{}/{name}", target.host())]).await
    };

    let one = import("one:v1", &["--platform", "linux/arm64"]).await;
    assert_eq!(raw("one:v1").await, image.children[1].root.bytes);
    assert_eq!(raw(&format!("one:{tag}")).await, signature.root.bytes);
    assert!(one.contains(&image.children[1].digest()) && one.contains(" (referrers: 1)"), "{one}");

    import("two:v1", &["--platform", "linux/arm64", "--platform", "linux/amd64"]).await;
    let list: serde_json::Value = serde_json::from_slice(&raw("two:v1").await).expect("it is JSON");
    let children = list["manifests"].as_array().expect("it lists some").iter();
    let digests: Vec<_> = children.map(|child| child["digest"].as_str().expect("of a digest").to_owned()).collect();
    assert_eq!(digests, [image.children[0].digest(), image.children[1].digest()]);
    assert_eq!(raw(&format!("two:{tag}")).await, signature.root.bytes);

    import("three:v1", &[]).await;
    assert_eq!(raw("three:v1").await, image.root.bytes);
}
