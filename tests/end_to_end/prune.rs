//! Pruning real registries: Debian's deletes documents alone, and nothing at all unless told to.

use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::server::skopeo;
use testkit::{DistributionServer, Image};

use crate::support::Ferry;

/// The target has what the source has, and more.
struct Mirror {
    source: DistributionServer,
    target: DistributionServer,
}

impl Mirror {
    async fn new(target: DistributionServer) -> Self {
        let mirror = Self { source: DistributionServer::start(), target };
        client::push(mirror.source.host(), "app", "1", &image(1)).await;
        client::push(mirror.source.host(), "app", "list", &hello_world()).await;
        // One for each tag that goes, one that `keep` names, one that is the wanted list's part, and one like tag 1.
        let child =
            Image { root: hello_world().documents().next().expect("a list has parts").clone(), ..hello_world() };
        let tags =
            [("1", image(1)), ("old", image(2)), ("older", image(3)), ("release-1", image(4)), ("same", image(1))];
        for (tag, image) in tags.into_iter().chain([("list", hello_world()), ("part", child)]) {
            client::push(mirror.target.host(), "app", tag, &image).await;
        }
        mirror
    }

    fn sync(&self, prune: &str, more: &[&str]) -> Ferry {
        let (from, to) = (self.source.host(), self.target.host());
        let rule = format!("[[rules]]\nname = 'app'\nsource = '{from}/app'\ntarget = '{to}/app'\n{prune}\n");
        Ferry::new(&[&["sync"], more].concat()).config(&rule)
    }

    /// The target's tags, as skopeo sees them.
    async fn tags(&self) -> Vec<String> {
        let repository = format!("docker://{}/app", self.target.host());
        let listed = skopeo(&["list-tags", "--tls-verify=false", &repository]).await;
        let listed: serde_json::Value = serde_json::from_slice(&listed).expect("skopeo prints JSON");
        let mut tags: Vec<String> = serde_json::from_value(listed["Tags"].clone()).expect("tags are texts");
        tags.sort();
        tags
    }

    /// Pulls all of an image of the target by skopeo.
    async fn pull(&self, tag: &str) {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let from = format!("docker://{}/app:{tag}", self.target.host());
        let to = format!("oci:{}:{tag}", folder.path().display());
        skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]).await;
    }
}

fn image(seed: u64) -> Image {
    Image::oci("linux/amd64").layer(99, 20_000).layer(seed, 1_000).build()
}

#[tokio::test]
async fn what_the_rule_would_not_write_goes_and_all_that_stays_can_be_pulled() {
    let mirror = Mirror::new(DistributionServer::start()).await;
    let prune = "prune = { keep = ['release-*'] }";

    let plan = mirror.sync(prune, &["--dry-run"]).run().await.success();
    for tag in ["old", "older", "part", "same"] {
        let told = format!("x {}/app:{tag}", mirror.target.host());
        assert!(plan.lines().any(|line| line.contains(&told) && line.ends_with("to delete")), "{plan}");
    }
    assert_eq!(mirror.tags().await.len(), 7);

    let report = mirror.sync(prune, &["--output", "json"]).run().await.json();
    let mut pruned: Vec<&str> =
        report["rules"][0]["pruned"].as_array().unwrap().iter().filter_map(|tag| tag.as_str()).collect();
    pruned.sort_unstable();
    assert_eq!(pruned, ["old", "older"].map(|tag| format!("{}/app:{tag}", mirror.target.host())));
    let warning = report["rules"][0]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("deletes no tag alone") && warning.ends_with("part, same"), "{warning}");

    let left = mirror.tags().await;
    assert_eq!(left, ["1", "list", "part", "release-1", "same"]);
    for tag in &left {
        mirror.pull(tag).await;
    }
    let (there, here) =
        (Place::new(mirror.source.host(), "app", "list"), Place::new(mirror.target.host(), "app", "list"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));

    let text = mirror.sync(prune, &[]).run().await.success();
    assert!(text.contains("app: 0 copied, 2 unchanged, 0 failed\n") && !text.contains("  - "), "{text}");
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_is_one_error_and_nothing_is_lost() {
    let mirror = Mirror::new(DistributionServer::builder().without_delete().start()).await;

    let ended = mirror.sync("prune = {}", &[]).run().await;

    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert_eq!(ended.text().matches("the registry deletes neither tags nor manifests").count(), 1, "{}", ended.text());
    for tag in mirror.tags().await {
        mirror.pull(&tag).await;
    }
    assert_eq!(mirror.tags().await.len(), 7);
}

#[tokio::test]
async fn a_prune_that_would_take_too_much_takes_nothing_and_exits_with_1() {
    let mirror = Mirror::new(DistributionServer::start()).await;

    for more in [["--dry-run"].as_slice(), &[]] {
        let ended = mirror.sync("prune = { max_delete = 4 }", more).run().await;
        assert_eq!(ended.code, Some(1), "{}", ended.text());
        assert!(
            ended.text().contains("5 tags would go, and max_delete is 4, so all of them stay: old, "),
            "{}",
            ended.text()
        );
        assert!(!ended.text().contains("delete 127."), "{}", ended.text());
    }
    assert_eq!(mirror.tags().await.len(), 7);
}
