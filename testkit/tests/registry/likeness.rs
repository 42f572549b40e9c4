//! The fake beside the real thing: the same requests, the same answers.
//!
//! Left out is where distribution differs from itself: tags cannot be deleted in v2 and can in v3,
//! and so with pages of tags.

use serde_json::Value;
use testkit::client;
use testkit::content::{digest, media_type};
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::wire::{Reply, send};

/// The same story told to both registries, and what each answered, line by line.
#[tokio::test]
async fn the_fake_answers_as_distribution_does() {
    let server = DistributionServer::start();
    let fake = FakeRegistry::start().await;

    let real = Story::told_to(server.host()).await;
    let ours = Story::told_to(fake.host()).await;

    let differences: Vec<_> = real
        .iter()
        .zip(&ours)
        .filter(|(real, ours)| real != ours)
        .map(|(real, ours)| format!("real: {real}\nfake: {ours}\n"))
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[tokio::test]
async fn the_fake_refuses_to_delete_as_distribution_does() {
    let kinds = [
        (DistributionServer::start(), FakeRegistry::builder().keeps_tags()),
        (DistributionServer::builder().without_delete().start(), FakeRegistry::builder().without_delete()),
    ];
    for (server, fake) in kinds {
        let fake = fake.start().await;
        let image = Image::oci("linux/amd64").layer_bytes("abc").build();
        let mut told = Vec::new();
        for host in [server.host(), fake.host()] {
            client::push(host, "app", "1", &image).await;
            let mut story = Story { host: host.to_owned(), answers: Vec::new() };
            story.say("DELETE /v2/app/manifests/1", &[], b"").await;
            story.say("DELETE /v2/app/manifests/2", &[], b"").await;
            story.say("GET /v2/app/tags/list", &[], b"").await;
            story.deletions().await;
            told.push(story.answers);
        }
        assert_eq!(told[0], told[1]);
    }
}

struct Story {
    host: String,
    answers: Vec<String>,
}

impl Story {
    async fn told_to(host: &str) -> Vec<String> {
        let mut story = Self { host: host.to_owned(), answers: Vec::new() };
        story.uploads().await;
        story.blobs().await;
        story.manifests().await;
        story.listings().await;
        story.deletions().await;
        story.answers
    }

    async fn uploads(&mut self) {
        self.say("GET /v2/", &[], b"").await;
        let abc = digest(b"abc");
        let location = self.open().await;
        self.say(&format!("GET {location}"), &[], b"").await;
        self.say(&format!("PUT {location}"), &[], b"abc").await;
        self.say(&format!("PUT {location}&digest={abc}"), &[], b"abc").await;
        self.say(&format!("PUT {location}&digest={abc}"), &[], b"abc").await;

        let wrong = self.open().await;
        self.say(&format!("PUT {wrong}&digest={abc}"), &[], b"abd").await;

        let first = self.open().await;
        let patched = self.say(&format!("PATCH {first}"), &[("content-range", "0-1")], b"ab").await;
        let second = self.location(&patched);
        self.say(&format!("PATCH {first}"), &[], b"c").await;
        self.say(&format!("PUT {second}&digest={abc}"), &[], b"c").await;

        let given_up = self.open().await;
        self.say(&format!("DELETE {given_up}"), &[], b"").await;
        self.say(&format!("GET {given_up}"), &[], b"").await;
        let unsigned = given_up.split('?').next().expect("a path").to_owned();
        self.say(&format!("GET {unsigned}"), &[], b"").await;

        let one_request = format!("POST /v2/app/blobs/uploads/?digest={abc}");
        self.say(&one_request, &[], b"abc").await;
        let mount = format!("POST /v2/other/blobs/uploads/?mount={abc}");
        self.say(&mount, &[], b"").await;
        self.say(&format!("{mount}&from=nowhere"), &[], b"").await;
        self.say(&format!("{mount}&from=app"), &[], b"").await;
    }

    async fn blobs(&mut self) {
        let abc = digest(b"abc");
        self.say(&format!("HEAD /v2/app/blobs/{abc}"), &[], b"").await;
        self.say(&format!("GET /v2/app/blobs/{abc}"), &[], b"").await;
        self.say(&format!("GET /v2/app/blobs/{abc}"), &[("range", "bytes=1-")], b"").await;
        self.say(&format!("GET /v2/other/blobs/{abc}"), &[], b"").await;
        self.say(&format!("GET /v2/third/blobs/{abc}"), &[], b"").await;
        self.say(&format!("HEAD /v2/third/blobs/{abc}"), &[], b"").await;
    }

    async fn manifests(&mut self) {
        let oci = [("content-type", media_type::OCI_MANIFEST)];
        let accept = [("accept", media_type::OCI_MANIFEST)];
        let image = Image::oci("linux/amd64").layer_bytes("abc").build();
        let missing = Image::oci("linux/amd64").layer(1, 5).build();
        let index = Image::oci_index([missing.clone()]);

        self.say("PUT /v2/app/manifests/1", &oci, &missing.root.bytes).await;
        let as_index = [("content-type", media_type::OCI_INDEX)];
        self.say("PUT /v2/app/manifests/1", &as_index, &index.root.bytes).await;
        self.say("PUT /v2/app/manifests/1", &as_index, &image.root.bytes).await;
        self.say("PUT /v2/app/manifests/1", &oci, b"<html>").await;
        let elsewhere = format!("PUT /v2/app/manifests/{}", digest(b"elsewhere"));

        let location = self.open().await;
        let config = &image.blobs[0];
        self.say(&format!("PUT {location}&digest={}", config.digest()), &[], &config.bytes).await;
        self.say(&elsewhere, &oci, &image.root.bytes).await;
        self.say("PUT /v2/app/manifests/1", &oci, &image.root.bytes).await;
        let by_digest = format!("/v2/app/manifests/{}", image.digest());
        self.say(&format!("PUT {by_digest}"), &oci, &image.root.bytes).await;

        self.say("GET /v2/app/manifests/1", &accept, b"").await;
        self.say("HEAD /v2/app/manifests/1", &accept, b"").await;
        self.say(&format!("GET {by_digest}"), &accept, b"").await;
        self.say("GET /v2/app/manifests/1", &[("accept", "*/*")], b"").await;
        self.say("GET /v2/app/manifests/2", &accept, b"").await;
        self.say("HEAD /v2/app/manifests/2", &accept, b"").await;
        self.say("GET /v2/third/manifests/1", &accept, b"").await;
    }

    async fn listings(&mut self) {
        self.say("GET /v2/app/tags/list", &[], b"").await;
        self.say("GET /v2/third/tags/list", &[], b"").await;
        self.say("GET /v2/_catalog", &[], b"").await;
        self.say("GET /v2/app/referrers/sha256:00", &[], b"").await;
        self.say("PATCH /v2/app/tags/list", &[], b"").await;
        self.say("GET /elsewhere", &[], b"").await;
    }

    async fn deletions(&mut self) {
        let image = Image::oci("linux/amd64").layer_bytes("abc").build();
        let by_digest = format!("/v2/app/manifests/{}", image.digest());
        self.say(&format!("DELETE {by_digest}"), &[], b"").await;
        self.say(&format!("DELETE {by_digest}"), &[], b"").await;
        self.say("GET /v2/app/tags/list", &[], b"").await;
        let blob = format!("/v2/app/blobs/{}", digest(b"abc"));
        self.say(&format!("DELETE {blob}"), &[], b"").await;
        self.say(&format!("DELETE {blob}"), &[], b"").await;
    }

    async fn open(&mut self) -> String {
        let opened = self.say("POST /v2/app/blobs/uploads/", &[], b"").await;
        self.location(&opened)
    }

    fn location(&self, reply: &Reply) -> String {
        let location = reply.header("location").expect("an upload has a Location");
        location.replace(&format!("http://{}", self.host), "")
    }

    async fn say(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let reply = send(&self.host, line, headers, body).await;
        self.answers.push(format!("{} → {}", without_session(line), told(&reply)));
        reply
    }
}

/// What must be the same of two answers: all that a client acts on, but no prose.
fn told(reply: &Reply) -> String {
    let mut told = reply.status.to_string();
    for name in ["content-type", "docker-content-digest", "content-range", "range"] {
        if let Some(value) = reply.header(name) {
            told += &format!(", {name}: {value}");
        }
    }
    for name in ["location", "docker-upload-uuid", "content-length"] {
        if reply.header(name).is_some() {
            told += &format!(", {name}");
        }
    }
    told + ", " + &errors(&reply.body).unwrap_or_else(|| reply.text().trim().to_owned())
}

/// The codes of an error body, each with the digest that it names.
fn errors(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let errors = body.get("errors")?.as_array()?;
    let told = errors.iter().map(|error| {
        let digest = error["detail"].as_str().filter(|detail| detail.starts_with("sha256:"));
        format!("{} {}", error["code"], digest.unwrap_or_default())
    });
    Some(told.collect::<Vec<_>>().join(", "))
}

// Sessions have another name at each registry.
fn without_session(line: &str) -> String {
    match line.split_once("/uploads/") {
        Some((before, after)) if !after.is_empty() && !after.starts_with('?') => {
            let digest = after.split_once("digest=").map(|(_, digest)| digest).unwrap_or_default();
            format!("{before}/uploads/… {digest}")
        }
        _ => line.to_owned(),
    }
}
