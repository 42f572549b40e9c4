//! `verify` and `sync --repair` against a real registry whose storage is damaged behind its back.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use regferry::content::{Deleted, Location, Push as _};
use regferry::oci::Reference;
use regferry::registry::{Access, DockerConfigFiles, Registries};
use testkit::client;
use testkit::{DistributionServer, Image};

use crate::support::{Ferry, Finished};

/// Two registries; the target has what the rule says.
struct Mirror {
    source: DistributionServer,
    target: DistributionServer,
    image: Image,
}

impl Mirror {
    async fn new() -> Self {
        let [arm64, amd64] = [("linux/arm64", 1), ("linux/amd64", 2)]
            .map(|(platform, seed)| Image::oci(platform).layer(seed, 10_000).build());
        let image = Image::oci_index([arm64, amd64]);
        let mirror = Self { source: DistributionServer::start(), target: DistributionServer::start(), image };
        client::push(mirror.source.host(), "app", "v1", &mirror.image).await;
        mirror.run(&["sync"]).await.success();
        mirror
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        let (from, to) = (self.source.host(), self.target.host());
        let config = format!("[[rules]]\nname = \"app\"\nsource = \"{from}/app\"\ntarget = \"{to}/app\"\n");
        Ferry::new(arguments).config(&config).run().await
    }

    /// What a verification prints and how it ends.
    async fn verify(&self, more: &[&str]) -> (Option<i32>, String) {
        let finished = self.run(&[&["verify"], more].concat()).await;
        assert_eq!(finished.stderr, "");
        (finished.code, finished.text().replace(self.target.host(), "TARGET"))
    }

    async fn delete_child(&self) -> String {
        let child = self.image.children[0].digest();
        let registries = Registries::new(HashMap::new(), DockerConfigFiles::default(), Arc::new(()));
        let at: Reference = format!("{}/app@{child}", self.target.host()).parse().expect("it is a reference");
        let remote = registries.remote(&Location::from(&at), Access::Push).expect("it needs no settings");
        let deleted = remote.delete_manifest(&at.digest.expect("it has one")).await;
        assert_eq!(deleted.expect("the registry deletes"), Deleted::Done);
        child
    }

    /// Where the target keeps the layer of the second image.
    fn layer_file(&self) -> (String, PathBuf) {
        let digest = self.image.children[1].blobs[1].digest();
        let hex = digest.trim_start_matches("sha256:");
        let file = self.target.storage().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
        (digest, file)
    }
}

fn short(digest: &str) -> String {
    format!("{}…", &digest[..19])
}

#[tokio::test]
async fn what_holds_is_said_in_two_lines() {
    let mirror = Mirror::new().await;

    for more in [&[][..], &["--deep"]] {
        let (code, text) = mirror.verify(more).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with("app: 1 intact, 0 failed\n1 intact, 0 failed; verified in "), "{text}");
    }
}

#[tokio::test]
async fn a_child_that_was_deleted_is_found_and_repaired() {
    let mirror = Mirror::new().await;
    let child = mirror.delete_child().await;

    let (code, text) = mirror.verify(&[]).await;
    assert_eq!(code, Some(1), "{text}");
    let line = format!("  ! TARGET/app:v1  manifest {} of linux/arm64 is not there\n", short(&child));
    assert!(text.contains(&line), "{text}");
    let json = mirror.run(&["verify", "--output", "json"]).await.json();
    assert_eq!(json["rules"][0]["images"][0]["outcome"], "failed", "{json:#}");
    assert_eq!(json["rules"][0]["images"][0]["differences"].as_array().map(Vec::len), Some(1), "{json:#}");

    mirror.run(&["sync"]).await.success();
    assert_eq!(mirror.verify(&[]).await.0, Some(1), "a plain run does not look below");
    mirror.run(&["sync", "--repair"]).await.success();
    assert_eq!(mirror.verify(&["--deep"]).await.0, Some(0));
    assert_eq!(mirror.target.damage(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_found_and_the_repair_says_what_the_registry_does_not_replace() {
    let mirror = Mirror::new().await;
    let (digest, file) = mirror.layer_file();
    fs::OpenOptions::new().write(true).open(&file).and_then(|file| file.set_len(1_000)).expect("the disk is writable");

    let (code, text) = mirror.verify(&[]).await;
    let blob = format!("blob {} (9.8 KiB) of linux/amd64 has 1000 bytes instead of 10000", short(&digest));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&blob), "{text}");

    let repair = mirror.run(&["sync", "--repair"]).await;
    let told = repair.text();
    assert_eq!(repair.code, Some(1), "{told}");
    for part in [blob.as_str(), &digest, "the registry still has it so", "remove the files", "sync --repair again"] {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }

    fs::remove_file(&file).expect("the disk is writable");
    mirror.run(&["sync", "--repair"]).await.success();
    assert_eq!(mirror.verify(&["--deep"]).await.0, Some(0));
    assert_eq!(mirror.target.damage(), Vec::<String>::new());
}

#[tokio::test]
async fn other_bytes_in_a_file_are_found_by_reading_them() {
    let mirror = Mirror::new().await;
    let (_, file) = mirror.layer_file();
    fs::write(file, vec![0; 10_000]).expect("the disk is writable");

    assert_eq!(mirror.verify(&[]).await.0, Some(0), "its size is right");
    let (code, text) = mirror.verify(&["--deep"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("of linux/amd64 has other bytes than its digest says"), "{text}");
}

#[tokio::test]
async fn wrong_usage_is_told_before_anything_is_asked() {
    let mirror = Mirror::new().await;
    let unknown = mirror.run(&["verify", "--rule", "ap"]).await;
    assert!(unknown.failure(2).contains("there is no such rule; there are: app"));
    let both = mirror.run(&["sync", "--repair", "--dry-run"]).await;
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}
