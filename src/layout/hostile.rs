//! Layouts that are not what they claim to be are refused, and nothing outside of them is read or written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::samples::{descriptor, image, layout, list, put, put_blob, read, tagged};
use super::{Layout, Trust};
use crate::content::{Cause, Error, Pull as _, Push as _};
use crate::oci::{Digest, TagOrDigest};

async fn one_image() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(1), &tagged("v1")).await.unwrap();
    let reader = layout(dir.path(), Trust::Listed);
    assert!(read(&reader, &tagged("v1")).await.unwrap().is_some());
    (dir, reader)
}

fn blob_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs/sha256").join(digest.hex())
}

/// Reads it all, and tries to write into it too.
async fn refusals(dir: &Path) -> [Error; 2] {
    let (reader, writer) = (layout(dir, Trust::Listed), layout(dir, Trust::Whole));
    [read(&reader, &tagged("v1")).await.unwrap_err(), put(&writer, &image(1), &tagged("v1")).await.unwrap_err()]
}

#[tokio::test]
async fn links_lead_nowhere() {
    for part in ["index.json", "oci-layout", "blobs", "blobs/sha256"] {
        let (dir, _) = one_image().await;
        let elsewhere = tempfile::tempdir().unwrap();
        let moved = elsewhere.path().join("moved");
        fs::rename(dir.path().join(part), &moved).unwrap();
        symlink(&moved, dir.path().join(part)).unwrap();
        for error in refusals(dir.path()).await {
            assert!(error.to_string().contains("is a symbolic link"), "{part}: {error}");
        }
    }
    let (dir, reader) = one_image().await;
    let blob = blob_path(dir.path(), &image(1).blobs[1].0.digest);
    fs::remove_file(&blob).unwrap();
    symlink("/etc/passwd", &blob).unwrap();
    let error = read(&reader, &tagged("v1")).await.unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
}

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    for what in ["pipe", "directory"] {
        for part in ["index.json", "oci-layout", "blob", "manifest"] {
            let (dir, reader) = one_image().await;
            let path = match part {
                "blob" => blob_path(dir.path(), &image(1).blobs[1].0.digest),
                "manifest" => blob_path(dir.path(), image(1).manifest.digest()),
                part => dir.path().join(part),
            };
            fs::remove_file(&path).unwrap();
            if what == "pipe" {
                assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            } else {
                fs::create_dir(&path).unwrap();
            }
            let error = read(&reader, &tagged("v1")).await.unwrap_err();
            assert!(error.to_string().contains("in place of a file"), "{part}: {error}");
        }
    }
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_descriptor_says_ends_before_its_last_byte() {
    for (damage, says) in [
        ("longer", "its file has 13001 bytes, its descriptor says 7000"),
        ("shorter", "its file has 6999 bytes"),
        ("other bytes", "7000 bytes hash to"),
    ] {
        let (dir, reader) = one_image().await;
        let (blob, bytes) = &image(1).blobs[2];
        let bytes = match damage {
            "longer" => [bytes, &bytes[..6001]].concat(),
            "shorter" => bytes[1..].to_vec(),
            _ => [b"L", &bytes[1..]].concat(),
        };
        fs::write(blob_path(dir.path(), &blob.digest), bytes).unwrap();
        let error = read(&reader, &tagged("v1")).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.retry_reason().is_none() || matches!(error.cause(), Cause::Mismatch { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_document_has_the_digest_the_size_and_the_type_that_are_listed() {
    let manifest = image(1).manifest;
    let listed = |digest: &str, size: usize, media_type: &str| {
        let image = json!({"mediaType": media_type, "digest": digest, "size": size, "annotations": {"org.opencontainers.image.ref.name": "v1"}});
        json!({"schemaVersion": 2, "manifests": [image]}).to_string()
    };
    let (digest, size) = (manifest.digest().to_string(), manifest.bytes().len());
    for (index, says) in [
        (listed(&digest, size + 1, manifest.media_type()), "its descriptor says"),
        (listed(&digest, size, crate::oci::media_type::OCI_INDEX), "contradicts"),
        (listed("sha256:../../../../etc/passwd", 1, manifest.media_type()), "invalid digest"),
        (listed("sha1:00", 1, manifest.media_type()), "invalid digest"),
        ("[]".to_owned(), "is no image index"),
        ("x".repeat((4 << 20) + 1), "is larger than"),
    ] {
        let (dir, reader) = one_image().await;
        fs::write(dir.path().join("index.json"), index).unwrap();
        let error = read(&reader, &tagged("v1")).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let (dir, reader) = one_image().await;
    fs::write(blob_path(dir.path(), manifest.digest()), manifest.bytes().to_ascii_uppercase()).unwrap();
    let error = read(&reader, &tagged("v1")).await.unwrap_err();
    assert!(error.to_string().contains("hash to"), "{error}");
}

#[tokio::test]
async fn a_directory_of_something_else_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years").unwrap();
    for error in refusals(dir.path()).await {
        assert!(error.to_string().contains("has no file oci-layout"), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let (dir, _) = one_image().await;
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    for error in refusals(dir.path()).await {
        assert!(error.to_string().contains("version \"2.0.0\""), "{error}");
    }
}

#[tokio::test]
async fn a_target_has_an_image_only_if_it_is_whole() {
    let (dir, reader) = one_image().await;
    let writer = layout(dir.path(), Trust::Whole);
    let (v1, by_digest) = (tagged("v1"), TagOrDigest::Digest(image(1).manifest.digest().clone()));
    assert!(writer.resolve(&v1).await.unwrap().is_some() && writer.resolve(&by_digest).await.unwrap().is_some());
    fs::write(blob_path(dir.path(), &image(1).blobs[2].0.digest), "cut").unwrap();
    assert!(writer.resolve(&v1).await.unwrap().is_none() && writer.resolve(&by_digest).await.unwrap().is_none());
    assert!(reader.resolve(&v1).await.unwrap().is_some(), "as a source, it is what it lists");
    put(&writer, &image(1), &v1).await.unwrap();
    assert!(read(&reader, &v1).await.unwrap().is_some(), "what was cut is mended");
}

#[tokio::test]
async fn a_document_is_not_written_before_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    let sample = image(1);
    put_blob(&writer, &sample.blobs[0].0, &sample.blobs[0].1).await.unwrap();
    let error = writer.put_manifest(&sample.manifest, &tagged("v1")).await.unwrap_err();
    let lacking: Vec<Digest> = sample.blobs[1..].iter().map(|(blob, _)| blob.digest.clone()).collect();
    assert_eq!(error.missing_parts(), Some(&*lacking));
    let list = list(&[image(2).manifest]);
    let error = writer.put_manifest(&list, &tagged("v2")).await.unwrap_err();
    assert_eq!(error.missing_parts(), Some(&[image(2).manifest.digest().clone()][..]));
    assert_eq!(writer.tags().await.unwrap(), Some(vec![]));
}

#[tokio::test]
async fn wrong_bytes_get_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    let blob = descriptor("text/plain", b"right");
    for wrong in ["wrong", "righ", "righty"] {
        let error = put_blob(&writer, &blob, &Bytes::from_static(wrong.as_bytes())).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Mismatch { .. }), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
}

async fn unnamed(layout: &Layout) -> Result<TagOrDigest, Error> {
    layout.meant(&format!("oci:{}", layout.location.host.layout_dir().unwrap().display()).parse().unwrap()).await
}

#[tokio::test]
async fn without_a_name_the_only_image_is_meant_or_latest() {
    let (dir, reader) = one_image().await;
    assert_eq!(unnamed(&reader).await.unwrap(), TagOrDigest::Digest(image(1).manifest.digest().clone()));
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(2), &tagged("v2")).await.unwrap();
    let error = unnamed(&reader).await.unwrap_err().to_string();
    assert!(error.contains("(v1, v2)"), "{error}");
    put(&writer, &image(3), &tagged("latest")).await.unwrap();
    assert_eq!(unnamed(&reader).await.unwrap(), TagOrDigest::Digest(image(3).manifest.digest().clone()));
    let nowhere = layout(&dir.path().join("nowhere"), Trust::Listed);
    assert!(unnamed(&nowhere).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_other_tools_list_beside_an_image_refers_to_it() {
    let (dir, reader) = one_image().await;
    let subject = image(1).manifest.digest().clone();
    assert_eq!(reader.referrers(&subject).await.unwrap(), None);
    let writer = layout(dir.path(), Trust::Whole);
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    put_blob(&writer, &empty, &Bytes::from_static(b"{}")).await.unwrap();
    let signature = json!({
        "schemaVersion": 2, "mediaType": crate::oci::media_type::OCI_MANIFEST, "artifactType": "text/sig",
        "config": empty, "layers": [empty], "subject": descriptor(image(1).manifest.media_type(), image(1).manifest.bytes()),
    });
    let signature = crate::oci::Manifest::parse(signature.to_string().into(), None, None).unwrap();
    writer.put_manifest(&signature, &TagOrDigest::Digest(signature.digest().clone())).await.unwrap();
    writer.keep_untagged(signature.digest()).await.unwrap();
    assert_eq!(reader.referrers(&subject).await.unwrap(), Some(vec![signature.as_referrer()]));
    assert_eq!(reader.referrers(signature.digest()).await.unwrap(), Some(vec![]));
    assert_eq!(writer.referrers(&subject).await.unwrap(), None, "a target's are kept under a tag");
}
