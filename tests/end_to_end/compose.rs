//! `[[compose]]`: a list that is kept composed, between real registries, once and by the daemon.

use serde_json::Value;
use testkit::client;
use testkit::server::skopeo;
use testkit::{DistributionServer, Image};

use crate::support::{Ferry, Finished, until};

/// A registry that builds push to, and a configuration that keeps a list of what they push.
struct Builds {
    registry: DistributionServer,
}

impl Builds {
    fn new() -> Self {
        Self { registry: DistributionServer::start() }
    }

    async fn push(&self, architecture: &str, seed: u64, revision: &str) -> String {
        let image = Image::oci(format!("linux/{architecture}").as_str()).layer(seed, 2_000);
        let image = image.annotation("org.opencontainers.image.revision", revision).build();
        client::push(self.registry.host(), "multi/myimage", &format!("1.4-{architecture}"), &image).await;
        image.digest()
    }

    fn config(&self, more: &str) -> String {
        let repository = format!("{}/multi/myimage", self.registry.host());
        format!(
            r#"
            [[compose]]
            name = "myimage"
            target = "{repository}:latest"
            sources = ["{repository}:1.4-amd64", "{repository}:1.4-arm64"]
            same_revision = true
            schedule = "1s"
            {more}
            "#
        )
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        Ferry::new(arguments).config(&self.config("")).run().await
    }

    /// The digests of the list's images, as skopeo sees them.
    async fn listed(&self) -> Vec<String> {
        let name = format!("docker://{}/multi/myimage:latest", self.registry.host());
        let list = skopeo(&["inspect", "--raw", "--tls-verify=false", &name]).await;
        let list: Value = serde_json::from_slice(&list).expect("a list is JSON");
        let manifests = list["manifests"].as_array().expect("it lists manifests");
        manifests.iter().map(|entry| entry["digest"].as_str().expect("each has a digest").to_owned()).collect()
    }
}

#[tokio::test]
async fn every_command_that_knows_rules_knows_it_by_its_name() {
    let builds = Builds::new();
    assert!(builds.run(&["check"]).await.success().starts_with("ok: 1 rule,"));
    let amd64 = builds.push("amd64", 1, "r1").await;

    let waiting = builds.run(&["sync"]).await.success();
    assert!(waiting.contains("skipped: waiting for ") && waiting.contains("1.4-arm64"), "{waiting}");
    let arm64 = builds.push("arm64", 2, "r1").await;
    assert!(builds.run(&["check", "--online"]).await.text().contains("multi/myimage"));
    let planned = builds.run(&["sync", "--dry-run", "--output", "json"]).await.json();
    assert_eq!(planned["totals"]["copied"], 1);
    assert!(client::fetch_manifest(builds.registry.host(), "multi/myimage", "latest").await.is_none());
    assert_eq!(builds.run(&["verify"]).await.code, Some(1));

    let done = builds.run(&["sync", "--rule", "myimage", "--output", "json"]).await.json();
    let image = &done["rules"][0]["images"][0];
    assert_eq!((&image["outcome"], image["sources"].as_array().map(Vec::len)), (&"copied".into(), Some(2)));
    assert_eq!(builds.listed().await, [amd64, arm64]);
    assert!(builds.run(&["sync"]).await.success().contains("0 copied, 1 unchanged"));
    assert_eq!(builds.run(&["verify", "--deep"]).await.code, Some(0));
}

#[tokio::test]
async fn the_daemon_lets_the_list_follow_when_all_architectures_are_built() {
    let builds = Builds::new();
    let first = [builds.push("amd64", 1, "r1").await, builds.push("arm64", 2, "r1").await];
    let serve = Ferry::new(&["serve", "-v", "--listen", ""]).config(&builds.config("")).spawn();
    let list_of = async |wanted: &[String]| {
        let name = "the list of these images";
        until(name, async || {
            let there = client::fetch_manifest(builds.registry.host(), "multi/myimage", "latest").await;
            let digests: Vec<String> =
                there?.parts().ok()?.manifests.iter().map(|child| child.digest.clone()).collect();
            (digests == wanted).then_some(())
        })
        .await;
    };
    list_of(&first).await;

    let arm64 = builds.push("arm64", 3, "r2").await;
    until("it says what it waits for", async || serve.stderr().contains("waiting for one revision").then_some(()))
        .await;
    assert_eq!(builds.listed().await, first, "half of a build changes nothing");
    let amd64 = builds.push("amd64", 4, "r2").await;

    list_of(&[amd64, arm64]).await;
    serve.signal("TERM");
    // A run may have been under way.
    assert!(matches!(serve.ended().await.code, Some(0 | 143)));
}
