//! Commands that only look: `inspect`, `tags`, `check`.

use insta::assert_snapshot;
use testkit::content::{hello_world, schema_1};
use testkit::{FakeRegistry, Image};

use crate::support::Ferry;

#[tokio::test]
async fn inspect_shows_the_platforms_of_a_list_and_the_blobs_of_an_image() {
    let registry = FakeRegistry::start().await;
    registry.seed("hello", "latest", &hello_world());
    let shown = async |reference: &str| {
        let reference = format!("{}/{reference}", registry.host());
        Ferry::new(&["inspect", &reference]).run().await.success().replace(registry.host(), "HOST")
    };

    assert_snapshot!(shown("hello").await, @r"
    Name:       HOST/hello:latest
    Digest:     sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be
    Media type: application/vnd.docker.distribution.manifest.list.v2+json
    Lists:      3

    PLATFORM                             SIZE  DIGEST
    linux/amd64                       2.4 KiB  sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b
    linux/arm64/v8                    3.1 KiB  sha256:5bb67734a7b31f17209b2aec15501d00a57ffe83be6afbdd73c4f309d4f8816a
    windows(10.0.17763.1697)/amd64  116.6 KiB  sha256:eb68cae4dfa9d2b1e14b6fbe94d4679c0319ca230009612df15e45a034502978
    ");
    assert_snapshot!(shown(&format!("hello@{}", hello_world().children[2].digest())).await, @r"
    Name:       HOST/hello@sha256:eb68cae4dfa9d2b1e14b6fbe94d4679c0319ca230009612df15e45a034502978
    Digest:     sha256:eb68cae4dfa9d2b1e14b6fbe94d4679c0319ca230009612df15e45a034502978
    Media type: application/vnd.docker.distribution.manifest.v2+json
    Platform:   windows(10.0.17763.1697)/amd64
    Created:    2024-01-01T00:00:00Z
    Size:       116.6 KiB

    BLOB         SIZE  DIGEST
    config      471 B  sha256:2d10464c2bc12897fae6b7b37f42687298f82c79fce8f0c8f281e734966e5105
    layer   115.4 KiB  sha256:e3eb0674b7c27f863988c930b1bb1a00882f39c65bd2b7e721ea66b5acdee227
    layer     1.1 KiB  sha256:55d842e1bcd1deca97f7b48f9365bc29df1995afe09ee48315ec3d03427d9af0
    ");
}

#[tokio::test]
async fn tags_are_listed_through_a_rules_filters() {
    let registry = FakeRegistry::builder().page_size(2).start().await;
    for tag in ["1.0", "1.1", "1.1-rc1", "2.0", "latest"] {
        registry.seed("app", tag, &Image::oci("linux/amd64").layer(1, 10).build());
    }
    let repository = format!("{}/app", registry.host());
    let listed = async |more: &[&str]| Ferry::new(&[&["tags", "-q", &repository], more].concat()).run().await.success();

    assert_eq!(listed(&[]).await, "1.0\n1.1\n1.1-rc1\n2.0\nlatest\n");
    let filters = ["--include", "1.*", "--include", "latest", "--exclude", "*-rc*"];
    assert_eq!(listed(&filters).await, "1.0\n1.1\nlatest\n");
    assert_eq!(listed(&["--include", r"/\d\.0/"]).await, "1.0\n2.0\n");
    assert_eq!(listed(&["--semver", ">=1.1"]).await, "1.1\n2.0\n");
    assert_eq!(listed(&["--include", "latest", "--include", "*", "--latest", "1"]).await, "2.0\nlatest\n");
}

#[tokio::test]
async fn what_each_filter_drops_is_told_beside_the_tags() {
    let registry = FakeRegistry::start().await;
    for tag in ["1.0", "1.1", "1.1-rc1", "1.2", "1.3", "edge", "latest"] {
        registry.seed("app", tag, &Image::oci("linux/amd64").layer(1, 10).build());
    }
    let repository = format!("{}/app", registry.host());
    let filters = ["--include", "1.*", "--include", "edge", "--semver", "*", "--exclude", "1.3", "--latest", "2"];
    let run = async |more: &[&str]| Ferry::new(&[&["tags", &repository], more].concat()).run().await;

    let text = run(&filters).await;
    assert_eq!((text.code, text.text().as_str()), (Some(0), "1.1\n1.2\nedge\n"));
    assert_snapshot!(text.stderr, @r"
    3 of 7 tags
      include dropped 1: latest
      semver dropped 1: 1.1-rc1
      exclude dropped 1: 1.3
      latest dropped 1: 1.0
    ");
    let everything = run(&[]).await;
    assert_eq!(everything.success().lines().count(), 7, "nothing to tell without a filter");

    let json = run(&[&filters[..], &["--output", "json"]].concat()).await;
    let stage = |what: &str, tag: &str| serde_json::json!({"what": what, "dropped": 1, "examples": [tag]});
    let stages =
        [stage("include", "latest"), stage("semver", "1.1-rc1"), stage("exclude", "1.3"), stage("latest", "1.0")];
    let expected = serde_json::json!({
        "repository": repository, "listed": 7, "stages": stages, "tags": ["1.1", "1.2", "edge"], "missing": [],
    });
    assert_eq!((json.json(), json.stderr.as_str()), (expected, ""));
}

#[tokio::test]
async fn a_pattern_that_matches_no_tag_is_a_warning() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", &hello_world());

    let listed =
        Ferry::new(&["tags", &format!("{}/app", registry.host()), "--include", "w*", "--semver", ">=9"]).run().await;

    assert_eq!((listed.code, listed.text().as_str()), (Some(0), ""));
    for told in [r#"WARN the pattern "w*" matches no tag"#, r#"WARN the range ">=9" matches no tag"#] {
        assert!(listed.stderr.contains(told), "{}", listed.stderr);
    }
}

#[tokio::test]
async fn check_reads_the_configuration_and_asks_nobody() {
    let config = "
        [registries.'source.example']
        username = 'reader'
        password_env = 'PASSWORD'
        [[rules]]
        name = 'app'
        source = 'source.example/app'
        target = 'target.example/app'
    ";

    let named = Ferry::new(&["check"]).config(config).run().await.success();
    let environment =
        Ferry::new(&["check"]).file("other.toml", config).env("REGFERRY_CONFIG", "other.toml").run().await;

    assert_snapshot!(named, @"ok: 1 rule, 1 registry configured");
    assert_eq!(environment.success(), named);
}

#[tokio::test]
async fn manifests_are_listed_with_their_tags_as_a_table_and_as_az_prints_them() {
    let registry = FakeRegistry::start().await;
    registry.seed("hello", "latest", &hello_world());
    let single = registry.seed("hello", "1", &Image::oci("linux/arm/v7").layer(1, 5_000).build());
    registry.retag("hello", "1.0", &single);
    let repository = format!("{}/hello", registry.host());
    let run = async |more: &[&str]| Ferry::new(&[&["manifests", &repository], more].concat()).run().await;

    assert_snapshot!(run(&[]).await.success(), @r"
    DIGEST                                                                   PLATFORM             SIZE  CREATED               TAGS
    sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b  linux/amd64       2.4 KiB  2024-01-01T00:00:00Z
    sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be  -               122.1 KiB  2024-01-01T00:00:00Z  latest
    sha256:5bb67734a7b31f17209b2aec15501d00a57ffe83be6afbdd73c4f309d4f8816a  linux/arm64/v8    3.1 KiB  2024-01-01T00:00:00Z
    sha256:a2b967e4502617001f6a553d7f549437d308e83c789a12b06926d066e7fc0045  linux/arm/v7      4.9 KiB  2024-01-01T00:00:00Z  1, 1.0
    sha256:eb68cae4dfa9d2b1e14b6fbe94d4679c0319ca230009612df15e45a034502978  windows/amd64   116.6 KiB  2024-01-01T00:00:00Z
    ");
    assert_snapshot!(run(&["--detail", "--top", "2"]).await.success(), @r"
    DIGEST                                                                   PLATFORM          SIZE  CREATED               UPDATED  MEDIA TYPE                                                 TAGS
    sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b  linux/amd64    2.4 KiB  2024-01-01T00:00:00Z  -        application/vnd.docker.distribution.manifest.v2+json
    sha256:228af8ea4c77ac59b7f499cfc2fae00f7cc35c8286e0dbda7affa66ca675d5be  -            122.1 KiB  2024-01-01T00:00:00Z  -        application/vnd.docker.distribution.manifest.list.v2+json  latest
    ");
    let newest = run(&["--orderby", "time_desc", "--top", "1", "--output", "json"]).await.json();
    assert_eq!(newest.as_array().unwrap().len(), 1);
    let all = run(&["--output", "json"]).await.json();
    let entry = all.as_array().unwrap().iter().find(|entry| entry["digest"] == single).unwrap();
    assert_eq!((&entry["tags"], &entry["imageSize"]), (&serde_json::json!(["1", "1.0"]), &serde_json::json!(5_000)));
    assert!(
        Ferry::new(&["manifests", &format!("{repository}:1")]).run().await.failure(2).contains("name a repository")
    );
    let missing = Ferry::new(&["manifests", &format!("{}/other", registry.host())]).run().await.failure(1);
    assert!(missing.contains("listing the tags of") && missing.contains("not found; check the name"), "{missing}");
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_listed_and_told_beside_the_table() {
    let registry = FakeRegistry::start().await;
    let old = registry.seed("app", "old", &schema_1());
    registry.seed("app", "1", &Image::oci("linux/amd64").layer(1, 10).build());
    let repository = format!("{}/app", registry.host());

    let listed = Ferry::new(&["manifests", &repository]).run().await;

    let row = format!("{old}  -               -  -                     old\n");
    assert!(listed.text().contains(&row), "{}", listed.text());
    assert!(listed.stderr.contains(&format!("{old}: it is a Docker schema 1")), "{}", listed.stderr);
    assert_eq!(listed.code, Some(0));
}

#[tokio::test]
async fn completions_know_every_command_and_bash_reads_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Ferry::new(&["completions", shell]).run().await.success();
        assert!(script.contains("manifests") && script.contains("orderby"), "{shell}");
        if shell == "bash" {
            let read = tokio::process::Command::new("bash").args(["-n", "-c", &script]).status().await;
            assert!(read.expect("there is a bash").success());
        }
    }
}
