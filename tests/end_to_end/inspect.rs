//! `regferry inspect`: what it shows of lists, images and what refers to them, to people and to scripts.

use insta::assert_snapshot;
use serde_json::{Value, json};
use testkit::content::{Document, hello_world};
use testkit::server::skopeo;
use testkit::{DistributionServer, FakeRegistry, Image, client};

use crate::support::{Ferry, Finished};

async fn run(registry: &str, name: &str, more: &[&str]) -> Finished {
    Ferry::new(&[&["inspect", &format!("{registry}/{name}")], more].concat()).run().await
}

async fn hello() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.seed("hello", "latest", &hello_world());
    registry
}

#[tokio::test]
async fn a_list_and_an_image_are_printed_as_docker_prints_them() {
    let registry = hello().await;
    registry.seed("hello", "oci", &Image::oci("linux/amd64").layer(1, 10).build());

    let list = run(registry.host(), "hello", &["--output", "json"]).await.success();
    assert_snapshot!(list, @r#"
    {
       "schemaVersion": 2,
       "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
       "manifests": [
          {
             "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
             "size": 519,
             "digest": "sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b",
             "platform": {
                "architecture": "amd64",
                "os": "linux"
             }
          },
          {
             "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
             "size": 519,
             "digest": "sha256:5bb67734a7b31f17209b2aec15501d00a57ffe83be6afbdd73c4f309d4f8816a",
             "platform": {
                "architecture": "arm64",
                "os": "linux",
                "variant": "v8"
             }
          },
          {
             "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
             "size": 724,
             "digest": "sha256:eb68cae4dfa9d2b1e14b6fbe94d4679c0319ca230009612df15e45a034502978",
             "platform": {
                "architecture": "amd64",
                "os": "windows",
                "os.version": "10.0.17763.1697"
             }
          }
       ]
    }
    "#);
    let image = run(registry.host(), "hello:oci", &["--output", "json"]).await.success();
    assert_snapshot!(image, @r#"
    {
    	"schemaVersion": 2,
    	"mediaType": "application/vnd.oci.image.manifest.v1+json",
    	"config": {
    		"mediaType": "application/vnd.oci.image.config.v1+json",
    		"digest": "sha256:53710b087e0333ce6487f8643967b1dc8a21a5ed67c036014902aea0fa83686a",
    		"size": 349
    	},
    	"layers": [
    		{
    			"mediaType": "application/vnd.oci.image.layer.v1.tar",
    			"digest": "sha256:17035f765343eead28c49ed2646be4a2c2dfd4c9c060f36e9555ce7b4d03473d",
    			"size": 10
    		}
    	]
    }
    "#);
}

#[tokio::test]
async fn the_detail_of_a_list_is_what_dockers_verbose_output_is() {
    let registry = hello().await;

    let detail = run(registry.host(), "hello", &["--detail"]).await.success();

    let head: String = detail.lines().take(12).map(|line| format!("{line}\n")).collect();
    assert_snapshot!(head.replace(registry.host(), "HOST"), @r#"
    [
    	{
    		"Ref": "HOST/hello:latest@sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b",
    		"Descriptor": {
    			"mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    			"digest": "sha256:0847938f09859bb3565620b187a814b8db9f8b27cd1a26f69227fc7bcb01656b",
    			"size": 519,
    			"platform": {
    				"architecture": "amd64",
    				"os": "linux"
    			}
    		},
    "#);
    let parsed: Value = serde_json::from_str(&detail).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 3);
    for (entry, child) in parsed.as_array().unwrap().iter().zip(&hello_world().children) {
        let whole: Value = serde_json::from_slice(&child.root.bytes).unwrap();
        assert_eq!(entry["SchemaV2Manifest"], whole);
        assert_eq!(entry["Descriptor"]["digest"], child.digest());
        assert!(entry["Raw"].is_string() && entry.get("OCIManifest").is_none());
    }
}

#[tokio::test]
async fn the_detail_of_an_image_names_the_platform_of_its_config() {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "1", &Image::oci("linux/arm/v7").layer(1, 10).build());

    let detail = run(registry.host(), "app:1", &["--detail"]).await.json();

    assert_eq!(detail["Ref"], format!("{}/app:1", registry.host()));
    let platform = json!({"architecture": "arm", "os": "linux", "variant": "v7"});
    assert_eq!(detail["Descriptor"]["platform"], platform);
    assert_eq!(detail["OCIManifest"]["schemaVersion"], 2);
}

#[tokio::test]
async fn one_platform_is_looked_at_as_a_document_and_as_a_config() {
    let registry = hello().await;
    let arm = &hello_world().children[1];
    let of = async |more: &[&str]| run(registry.host(), "hello", more).await;

    let raw = of(&["--raw", "--platform", "linux/arm64"]).await;
    assert_eq!((raw.code, raw.stdout.as_slice()), (Some(0), &*arm.root.bytes));
    let config = of(&["--image-config", "--platform", "linux/arm64"]).await.json();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("arm64"), &json!("linux")));
    let bytes = of(&["--image-config", "--raw", "--platform", "linux/arm64"]).await;
    assert_eq!(bytes.stdout, &*arm.blobs[0].bytes);

    let none = of(&["--platform", "linux/s390x"]).await.failure(1);
    assert_snapshot!(none, @"error: sha256:228af8ea4c77… has no image for linux/s390x; there are: linux/amd64, linux/arm64/v8, windows(10.0.17763.1697)/amd64");
    let which = of(&["--image-config"]).await.failure(1);
    assert_snapshot!(which, @"error: sha256:228af8ea4c77… lists 3 images: name one with --platform: linux/amd64, linux/arm64/v8, windows(10.0.17763.1697)/amd64");
    let wrong = of(&["--platform", "linux"]).await.failure(2);
    assert!(wrong.contains("write OS/ARCHITECTURE[/VARIANT]"), "{wrong}");
}

#[tokio::test]
async fn an_image_that_a_list_names_for_two_platforms_is_found_for_either() {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    let other = Image { platform: Some("linux/arm64".into()), ..image.clone() };
    registry.seed("app", "1", &Image::oci_index([image.clone(), other]));

    for platform in ["linux/amd64", "linux/arm64"] {
        let raw = run(registry.host(), "app:1", &["--raw", "--platform", platform]).await;
        assert_eq!(raw.stdout, &*image.root.bytes, "{platform}");
    }
}

#[tokio::test]
async fn a_platform_that_means_several_images_is_not_guessed() {
    let registry = FakeRegistry::start().await;
    let arm = |platform: &str, seed| Image::oci(platform).layer(seed, 10).build();
    registry.seed("app", "1", &Image::oci_index([arm("linux/arm/v6", 1), arm("linux/arm/v7", 2)]));

    assert_snapshot!(run(registry.host(), "app:1", &["--platform", "linux/arm"]).await.failure(1), @"error: linux/arm means 2 images of sha256:d305619cb132…: name one of linux/arm/v6, linux/arm/v7");
    let one = run(registry.host(), "app:1", &["--raw", "--platform", "linux/arm/v7"]).await;
    assert_eq!(one.stdout, &*arm("linux/arm/v7", 2).root.bytes);
}

#[tokio::test]
async fn annotations_and_the_kind_of_an_artifact_are_shown() {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("linux/amd64").layer(1, 10).annotation("org.example.team", "ferry\u{1b}[31m").build();
    registry.seed("app", "1", &image);
    registry.seed("app", "sbom", &Image::artifact("application/spdx+json").subject(&image).layer(2, 20).build());

    let shown = run(registry.host(), "app:1", &[]).await.success();
    assert_snapshot!(shown.replace(registry.host(), "HOST"), @r"
    Name:       HOST/app:1
    Digest:     sha256:3174feddc5189d52c0b9e07c4033ff985f0541b4805d61db2cc17dee28bd32ba
    Media type: application/vnd.oci.image.manifest.v1+json
    Platform:   linux/amd64
    Created:    2024-01-01T00:00:00Z
    Size:       10 B
    Annotations:
      org.example.team: ferry[31m

    BLOB     SIZE  DIGEST
    config  349 B  sha256:53710b087e0333ce6487f8643967b1dc8a21a5ed67c036014902aea0fa83686a
    layer    10 B  sha256:17035f765343eead28c49ed2646be4a2c2dfd4c9c060f36e9555ce7b4d03473d
    ");
    let shown = run(registry.host(), "app:sbom", &[]).await.success();
    assert_snapshot!(shown.replace(registry.host(), "HOST"), @r"
    Name:       HOST/app:sbom
    Digest:     sha256:82f067c889825a9f2732ba6aa984a52d00d0c5ac2bd8a560f3f94048c8c6752b
    Media type: application/vnd.oci.image.manifest.v1+json
    Artifact:   application/spdx+json
    Refers to:  sha256:3174feddc5189d52c0b9e07c4033ff985f0541b4805d61db2cc17dee28bd32ba
    Size:       20 B

    BLOB    SIZE  DIGEST
    config   2 B  sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
    layer   20 B  sha256:38c9f12e5adff00601c3861f7820b725d0db29d3c7bbe076edca49ef9d1c8db4
    ");
}

#[tokio::test]
async fn what_refers_to_an_image_is_a_tree_whether_the_registry_lists_it_or_not() {
    let image = Image::oci("linux/amd64").layer(1, 10).build();
    let sbom = Image::artifact("application/spdx+json").subject(&image).layer(2, 20).build();
    let signature = Image::artifact("application/vnd.example.signature").subject(&sbom).layer(3, 30).build();
    let by_api = FakeRegistry::builder().with_referrers().start().await;
    by_api.seed("app", "1", &image);
    for referrer in [&sbom, &signature] {
        by_api.seed_untagged("app", referrer);
    }
    let cosign = format!("{}.sig", image.digest().replace(':', "-"));
    by_api.seed("app", &cosign, &Image::oci("linux/amd64").layer(4, 40).build());

    let shown = run(by_api.host(), "app:1", &["--referrers"]).await.success();
    let tree = shown.split("\n\n").last().unwrap().to_owned();
    assert_snapshot!(tree, @r"
    Referrers:
    sha256:70f07eaac5d3dfdd2347d1d3d749b260649e3fa9e4ddee2ff5c2375fac86bbd5
    ├─ application/spdx+json  712 B  sha256:0dfe744d6f894fd46ee1c8eae29f3ee15653045bd38b4eb507ee24465ed1b114
    │  └─ application/vnd.example.signature  724 B  sha256:7b2b43374b93b23581fc00520b3c75f535640968aaf396d8edd4ca11611107d0
    └─ application/vnd.oci.image.config.v1+json  495 B  sha256:11d24c8b959b18af75700917f7895f5a6744e28cf8a365c3c102d7e3207136e7  as sha256-70f07eaac5d3dfdd2347d1d3d749b260649e3fa9e4ddee2ff5c2375fac86bbd5.sig
    ");
    let parsed = run(by_api.host(), "app:1", &["--referrers", "--output", "json"]).await.json();
    assert_eq!(parsed["referrers"][0]["artifactType"], "application/spdx+json");
    assert_eq!(parsed["referrers"][0]["referrers"][0]["digest"], signature.digest());
    assert_eq!(parsed["referrers"][1]["tag"], cosign);

    let plain = FakeRegistry::start().await;
    plain.seed("app", "1", &image);
    let none = run(plain.host(), "app:1", &["--referrers"]).await.success();
    assert!(none.ends_with("\nReferrers:\nnone\n"), "{none}");
    plain.seed_untagged("app", &sbom);
    let list = Document::referrers([&sbom.root]);
    plain.seed_document("app", &image.digest().replace(':', "-"), &list);
    let by_tag = run(plain.host(), "app:1", &["--referrers", "--output", "json"]).await.json();
    assert_eq!(by_tag["referrers"][0]["digest"], sbom.digest());
}

#[tokio::test]
async fn a_real_registrys_list_is_shown_and_its_documents_are_those_that_skopeo_sees() {
    let server = DistributionServer::start();
    client::push(server.host(), "hello", "latest", &hello_world()).await;

    let json = run(server.host(), "hello", &["--output", "json"]).await.json();

    let reference = format!("docker://{}/hello", server.host());
    let seen = skopeo(&["inspect", "--raw", "--tls-verify=false", &reference]).await;
    let seen: Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(json, seen);
    let config = run(server.host(), "hello", &["--image-config", "--platform", "linux/amd64"]).await.json();
    let seen =
        skopeo(&["inspect", "--config", "--raw", "--override-arch", "amd64", "--tls-verify=false", &reference]).await;
    assert_eq!(config, serde_json::from_slice::<Value>(&seen).unwrap());
}
