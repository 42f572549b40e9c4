//! `index`: Docker's workflow for lists, against real registries, and what it keeps between its commands.

use std::fs::DirEntry;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::client;
use testkit::server::skopeo;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::support::{Ferry, Finished};

/// The lists of one user: commands that share a state directory.
struct Desk {
    state: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { state: tempfile::tempdir().expect("the temporary directory is writable") }
    }

    async fn index(&self, arguments: &[&str]) -> Finished {
        let state = self.state.path().to_str().expect("temporary folders have plain names");
        Ferry::new(&[&["index"], arguments].concat()).env("XDG_STATE_HOME", state).run().await
    }

    fn files(&self) -> Vec<String> {
        names(&self.state.path().join("regferry/index"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder was made");
    let name = |entry: std::io::Result<DirEntry>| entry.expect("it can be listed").file_name();
    entries.map(name).map(|name| name.into_string().expect("names are text")).collect()
}

fn amd64() -> Image {
    Image::docker("linux/amd64").layer(1, 2_000).build()
}

fn arm64() -> Image {
    Image::docker("linux/arm64").layer(2, 3_000).build()
}

/// A real registry with `multi-arch-samples/myimage:amd64` and `:arm64`.
async fn samples() -> (DistributionServer, String) {
    let registry = DistributionServer::start();
    for (tag, image) in [("amd64", amd64()), ("arm64", arm64())] {
        client::push(registry.host(), "multi-arch-samples/myimage", tag, &image).await;
    }
    let repository = format!("{}/multi-arch-samples/myimage", registry.host());
    (registry, repository)
}

async fn skopeo_raw(reference: &str) -> Value {
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")]).await;
    serde_json::from_slice(&raw).expect("a manifest is JSON")
}

#[tokio::test]
async fn the_walk_through_of_an_article_on_multi_architecture_images() {
    let (registry, repository) = samples().await;
    let name = |tag: &str| format!("{repository}:{tag}");
    let (multi, amd, arm) = (name("multi"), name("amd64"), name("arm64"));
    let desk = Desk::new();

    let created = desk.index(&["create", &multi, &arm, &amd]).await.success();
    assert_eq!(created, format!("Created manifest list {multi}\n"));
    let annotate = ["annotate", &multi, &arm, "--os", "linux", "--arch", "arm64", "--variant", "v8"];
    assert_eq!(desk.index(&annotate).await.success(), "");
    let local = desk.index(&["inspect", &multi]).await.success();
    let pushed = desk.index(&["push", &multi]).await.success();

    assert_snapshot!(local, @r#"
        {
           "schemaVersion": 2,
           "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
           "manifests": [
              {
                 "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                 "size": 519,
                 "digest": "sha256:36470bce92e3235cbd97988c647eb9af160530f5ebd14d049b639c3d98389357",
                 "platform": {
                    "architecture": "arm64",
                    "os": "linux",
                    "variant": "v8"
                 }
              },
              {
                 "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                 "size": 519,
                 "digest": "sha256:2cb15bdaf49f0af86081a5b50f430a1127a898a0209a182511c4e74e4c1a4767",
                 "platform": {
                    "architecture": "amd64",
                    "os": "linux"
                 }
              }
           ]
        }
        "#);
    let list = client::fetch_manifest(registry.host(), "multi-arch-samples/myimage", "multi").await.unwrap();
    assert_eq!(pushed, format!("{}\n", list.digest()));
    assert_eq!(local, format!("{}\n", std::str::from_utf8(&list.bytes).unwrap()), "what is shown is what is pushed");
    assert_eq!(skopeo_raw(&multi).await, serde_json::from_str::<Value>(&local).unwrap());
    let plain = ["--override-os=linux", "--override-arch=arm64", "--override-variant=v8", "--tls-verify=false"];
    let chosen = skopeo(&[&["inspect"], &plain[..], &[&format!("docker://{multi}")]].concat()).await;
    assert_eq!(serde_json::from_slice::<Value>(&chosen).unwrap()["Architecture"], "arm64");
    assert_eq!(desk.files().len(), 1, "it stays until it is purged or removed");
    assert_eq!(desk.index(&["rm", &multi]).await.success(), "");
    assert_eq!(desk.files(), Vec::<String>::new());
}

#[tokio::test]
async fn the_last_half_of_a_pipeline_that_builds_for_two_architectures() {
    let (registry, _) = samples().await;
    // As Azure's documentation has it for ACR Tasks, with another program's name.
    let script = "
        set -eu
        docker=\"$REGFERRY index\"
        image=$REGISTRY/multi-arch-samples/myimage
        $docker create $image:multi $image:amd64 $image:arm64
        $docker push --purge $image:multi
        $docker inspect $image:multi
    ";
    let state = tempfile::tempdir().unwrap();
    let run = tokio::process::Command::new("sh")
        .args(["-c", script])
        .env("REGFERRY", env!("CARGO_BIN_EXE_regferry"))
        .env("REGISTRY", registry.host())
        .env("XDG_STATE_HOME", state.path())
        .env("HOME", state.path())
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{printed}\n{}", String::from_utf8_lossy(&run.stderr));

    let mut lines = printed.splitn(3, '\n');
    let image = format!("{}/multi-arch-samples/myimage:multi", registry.host());
    assert_eq!(lines.next(), Some(format!("Created manifest list {image}").as_str()));
    let list = client::fetch_manifest(registry.host(), "multi-arch-samples/myimage", "multi").await.unwrap();
    assert_eq!(lines.next(), Some(list.digest().as_str()));
    let inspected: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(inspected, serde_json::from_slice::<Value>(&list.bytes).unwrap());
    let architectures: Vec<_> =
        inspected["manifests"].as_array().unwrap().iter().map(|m| m["platform"]["architecture"].clone()).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    assert_eq!(names(&state.path().join("regferry/index")), Vec::<String>::new(), "it is purged");
}

#[tokio::test]
async fn one_step_composes_across_registries_and_later_appends() {
    let (one, other, target) = (DistributionServer::start(), DistributionServer::start(), DistributionServer::start());
    client::push(one.host(), "build", "amd64", &Image::oci("linux/amd64").layer(1, 2_000).build()).await;
    client::push(other.host(), "build", "arm64", &Image::oci("linux/arm64").layer(2, 3_000).build()).await;
    client::push(other.host(), "build", "arm64-2", &Image::oci("linux/arm64").layer(5, 3_000).build()).await;
    client::push(other.host(), "build", "s390x", &Image::oci("linux/s390x").layer(3, 3_000).build()).await;
    let app = format!("{}/app:1.4", target.host());
    let from_other = |tag: &str| format!("{}/build:{tag}", other.host());
    let desk = Desk::new();
    let (amd, arm) = (format!("{}/build:amd64", one.host()), from_other("arm64"));

    let dry = desk.index(&["create", &app, &amd, &arm, "--dry-run"]).await.success();
    assert!(client::fetch_manifest(target.host(), "app", "1.4").await.is_none(), "nothing was written");
    let report = desk.index(&["create", &app, &amd, &arm, "--push", "--output", "json"]).await;
    let report = {
        report.success();
        report.json()
    };
    let list = client::fetch_manifest(target.host(), "app", "1.4").await.unwrap();
    assert_eq!(dry, format!("{}\n", std::str::from_utf8(&list.bytes).unwrap()));
    assert_eq!((&report["digest"], &report["outcome"]), (&json!(list.digest()), &json!("copied")));
    assert_eq!(report["sources"], json!([amd, arm]));

    let (newer, s390x) = (from_other("arm64-2"), from_other("s390x"));
    let more = ["create", &app, &newer, &s390x, "--append", "--push", "--annotation", "a=b"];
    let pushed = desk.index(&more).await.success();

    let list = client::fetch_manifest(target.host(), "app", "1.4").await.unwrap();
    assert_eq!(pushed, format!("{app} {}\n", list.digest()));
    let list: Value = serde_json::from_slice(&list.bytes).unwrap();
    let architectures: Vec<_> =
        list["manifests"].as_array().unwrap().iter().map(|m| m["platform"]["architecture"].clone()).collect();
    assert_eq!(architectures, ["amd64", "arm64", "s390x"], "of two for arm64 the later one");
    assert_eq!(list["annotations"], json!({"a": "b"}));
    assert_eq!(list["manifests"][1]["digest"], json!(Image::oci("linux/arm64").layer(5, 3_000).build().digest()));
    skopeo(&[
        "copy",
        "--all",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &format!("docker://{app}"),
        &format!("docker://{}/again:1", one.host()),
    ])
    .await;
    assert!(!desk.state.path().join("regferry").exists(), "nothing is kept");
}

#[tokio::test]
async fn a_list_is_composed_out_of_a_layout_and_into_one() {
    let (registry, folder) = (DistributionServer::start(), tempfile::tempdir().expect("there is room"));
    let stick = format!("oci:{}", folder.path().join("stick").display());
    for (tag, image) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64"), ("s390x", "linux/s390x")] {
        client::push(registry.host(), "build", tag, &Image::oci(image).layer(1, 2_000).build()).await;
    }
    let build = |tag: &str| format!("{}/build:{tag}", registry.host());
    let (desk, arm, list) = (Desk::new(), format!("{stick}:arm64"), format!("{stick}:multi"));
    Ferry::new(&["copy", &build("arm64"), &arm]).run().await.success();

    desk.index(&["create", &list, &build("amd64"), &arm, "--push"]).await.success();
    let pushed = desk.index(&["create", &list, &build("s390x"), "--append", "--push"]).await.success();

    let raw = skopeo(&["inspect", "--raw", &list]).await;
    let read: Value = serde_json::from_slice(&raw).expect("a manifest is JSON");
    let architectures: Vec<_> =
        read["manifests"].as_array().unwrap().iter().map(|m| m["platform"]["architecture"].clone()).collect();
    assert_eq!(architectures, ["amd64", "arm64", "s390x"]);
    skopeo(&["copy", "--all", "--dest-tls-verify=false", &list, &format!("docker://{}/again:1", registry.host())])
        .await;

    let back = format!("{}/back:multi", registry.host());
    let again = desk.index(&["create", &back, &list, "--push"]).await.success();
    assert_eq!(pushed.rsplit(' ').next(), again.rsplit(' ').next(), "the same entries are the same list");
}

#[tokio::test]
async fn errors_are_told_in_dockers_words_with_the_way_out() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "amd64", &amd64());
    registry.seed("app", "amd64-too", &Image::docker("linux/amd64").layer(7, 10).build());
    let name = |tag: &str| format!("{}/app:{tag}", registry.host());
    let (multi, amd, too) = (name("multi"), name("amd64"), name("amd64-too"));
    let desk = Desk::new();
    let refused = async |code, arguments: &[&str]| {
        let run = desk.index(arguments).await;
        run.failure(code).replace(registry.host(), "HOST")
    };

    assert_snapshot!(refused(1, &["push", &multi]).await, @"error: No such manifest: HOST/app:multi");
    assert_snapshot!(refused(1, &["rm", &multi]).await, @"error: No such manifest: HOST/app:multi");
    assert_snapshot!(refused(1, &["inspect", &multi]).await, @"error: no list HOST/app:multi is kept here; fetching manifest multi of HOST/app: not found; check the name, and that these credentials may see it");
    assert_snapshot!(refused(1, &["annotate", &multi, &amd, "--arch", "arm64"]).await, @"error: manifest for image HOST/app:amd64 does not exist in HOST/app:multi");
    assert_snapshot!(refused(1, &["create", &multi, &name("none")]).await, @"error: fetching manifest none of HOST/app: not found; check the name, and that these credentials may see it");
    assert_snapshot!(refused(2, &["create", &multi, &amd, "--append"]).await, @"error: --append adds to a list of the registry: give --push or --dry-run with it");
    assert_snapshot!(refused(2, &["create", &format!("{multi}@{}", amd64().digest()), &amd]).await, @"error: HOST/app:multi@sha256:2cb15bdaf49f0af86081a5b50f430a1127a898a0209a182511c4e74e4c1a4767: the digest of a list comes of what it lists: name a tag");
    assert_snapshot!(refused(2, &["create", &multi, &amd, "--media-type", "text/html"]).await, @r#"error: "text/html" is no type of a list: write docker (application/vnd.docker.distribution.manifest.list.v2+json) or oci (application/vnd.oci.image.index.v1+json)"#);
    assert_snapshot!(refused(1, &["create", &multi, &amd, "--append", "--push"]).await, @"error: fetching manifest multi of HOST/app: not found; for a new list leave --append out");
    assert_snapshot!(refused(1, &["create", &multi, &amd, &too, "--push"]).await, @"error: two manifests are for linux/amd64: HOST/app:amd64@sha256:2cb15bdaf49f0af86081a5b50f430a1127a898a0209a182511c4e74e4c1a4767 and HOST/app:amd64-too@sha256:0320b5bdef54a06fe5f7666ccfc920a755a85bb8e07321f50e2b56e3a013f7c6; name one of them only, or let `regferry index create` keep the list here, where `regferry index annotate` says what an image runs on");

    let both = desk.index(&["create", &multi, &amd, &too]).await;
    assert_eq!((both.code, both.text()), (Some(0), format!("Created manifest list {multi}\n")));
    assert!(both.stderr.contains("WARN two manifests are for linux/amd64"), "{}", both.stderr);
    assert_snapshot!(refused(1, &["create", &multi, &amd]).await, @"error: refusing to amend an existing manifest list with no --amend flag");
    assert_snapshot!(refused(1, &["push", &multi]).await, @"error: two manifests are for linux/amd64: HOST/app:amd64@sha256:2cb15bdaf49f0af86081a5b50f430a1127a898a0209a182511c4e74e4c1a4767 and HOST/app:amd64-too@sha256:0320b5bdef54a06fe5f7666ccfc920a755a85bb8e07321f50e2b56e3a013f7c6; say what one of them really runs on with `regferry index annotate HOST/app:multi HOST/app:amd64-too@sha256:0320b5bdef54a06fe5f7666ccfc920a755a85bb8e07321f50e2b56e3a013f7c6 --arch ARCH`, or create the list without it");
    assert_snapshot!(refused(1, &["annotate", &multi, &name("other"), "--arch", "arm64"]).await, @"error: manifest for image HOST/app:other does not exist in HOST/app:multi");
    assert_snapshot!(refused(2, &["annotate", &multi, &too, "--arch", "arm 64"]).await, @r#"error: invalid platform "linux/arm 64": write OS/ARCHITECTURE[/VARIANT], as linux/arm/v7 or windows(10.0.17763.1697)/amd64"#);
    desk.index(&["annotate", &multi, &too, "--arch", "arm64"]).await.success();
    desk.index(&["push", "--purge", &multi]).await.success();
    registry.check_whole("app", "multi").unwrap();
}

#[tokio::test]
async fn amending_adds_what_is_new_and_reads_anew_what_is_named_again() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "amd64", &amd64());
    registry.seed("app", "arm64", &arm64());
    let name = |tag: &str| format!("{}/app:{tag}", registry.host());
    let (multi, amd, arm) = (name("multi"), name("amd64"), name("arm64"));
    let desk = Desk::new();
    desk.index(&["create", &multi, &amd]).await.success();
    let rebuilt = registry.seed("app", "amd64", &Image::docker("linux/amd64").layer(8, 10).build());

    desk.index(&["create", "--amend", &multi, &arm, &amd, "--media-type", "oci"]).await.success();

    let draft = desk.index(&["inspect", &multi, "--output", "json"]).await.json();
    assert_eq!(draft["mediaType"], "application/vnd.oci.image.index.v1+json");
    let named: Vec<_> = draft["manifests"].as_array().unwrap().iter().map(|m| (&m["ref"], &m["digest"])).collect();
    assert_eq!(named, [(&json!(arm), &json!(arm64().digest())), (&json!(amd), &json!(rebuilt))]);
    let removed = desk.index(&["rm", &multi, &name("none"), "--output", "json"]).await;
    assert_eq!((removed.code, removed.json()), (Some(1), json!({"removed": [multi]})));
    assert!(removed.stderr.contains("error: No such manifest: "), "{}", removed.stderr);
}

#[tokio::test]
async fn commands_that_amend_one_list_at_once_lose_nothing() {
    let registry = FakeRegistry::start().await;
    let platforms = ["amd64", "arm64", "s390x", "ppc64le", "riscv64", "386"];
    for architecture in platforms {
        let image = Image::docker(format!("linux/{architecture}").as_str()).layer(1, 10).build();
        registry.seed("app", architecture, &image);
    }
    let desk = Desk::new();
    let multi = format!("{}/app:multi", registry.host());
    let sources: Vec<String> = platforms.iter().map(|tag| format!("{}/app:{tag}", registry.host())).collect();
    let amends = sources.iter().map(async |source| {
        desk.index(&["create", "--amend", &multi, source]).await.success();
    });
    futures_util::future::join_all(amends).await;

    let list = desk.index(&["inspect", &multi]).await.json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), platforms.len());
}
