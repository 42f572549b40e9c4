//! What tests put into layouts.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use serde_json::json;

use super::{Layout, Trust};
use crate::content::{BlobFound, Error, Pull as _, Push as _, Trail};
use crate::oci::{Descriptor, Digest, Host, Manifest, Tag, TagOrDigest, media_type};

/// An image and its blobs.
pub(super) struct Sample {
    pub(super) manifest: Manifest,
    pub(super) blobs: Vec<(Descriptor, Bytes)>,
}

/// An image that shares a layer with the others.
pub(super) fn image(number: u8) -> Sample {
    let blobs: Vec<(Descriptor, Bytes)> = [
        (media_type::OCI_CONFIG, format!(r#"{{"number":{number}}}"#)),
        ("application/vnd.oci.image.layer.v1.tar", "shared by all".to_owned()),
        ("application/vnd.oci.image.layer.v1.tar", format!("layer {number}").repeat(1000)),
    ]
    .into_iter()
    .map(|(media_type, text)| (descriptor(media_type, text.as_bytes()), Bytes::from(text)))
    .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blobs[0].0,
        "layers": [blobs[1].0, blobs[2].0],
    });
    Sample { manifest: Manifest::parse(manifest.to_string().into(), None, None).unwrap(), blobs }
}

/// A list of images.
pub(super) fn list(images: &[Manifest]) -> Manifest {
    let listed: Vec<Descriptor> = images.iter().map(|image| descriptor(image.media_type(), image.bytes())).collect();
    let text = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": listed}).to_string();
    Manifest::parse(text.into(), None, None).unwrap()
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    let text = json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    serde_json::from_value(text).unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(super) fn tagged(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(tag(text))
}

pub(super) fn layout(dir: &Path, trust: Trust) -> Layout {
    let host = Host::layout(dir.to_str().unwrap()).unwrap();
    Layout::at(&host, trust, Arc::new(())).unwrap()
}

pub(super) async fn put_blob(layout: &Layout, blob: &Descriptor, bytes: &Bytes) -> Result<(), Error> {
    if layout.find_blob(blob).await? == BlobFound::Whole {
        return Ok(());
    }
    let mut upload = layout.open_upload(blob).await?;
    let pieces: Vec<Result<Bytes, Error>> = bytes.chunks(4000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    layout.upload(&mut upload, blob, 0, stream::iter(pieces)).await
}

/// Blobs, then the document, as the engine does it.
pub(super) async fn put(layout: &Layout, image: &Sample, at: &TagOrDigest) -> Result<(), Error> {
    for (blob, bytes) in &image.blobs {
        put_blob(layout, blob, bytes).await?;
    }
    layout.put_manifest(&image.manifest, at).await.map(drop)
}

/// Reads an image with all that it names, every byte hashed.
pub(super) async fn read(layout: &Layout, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
    let Some(root) = layout.manifest(at).await? else { return Ok(None) };
    let mut open = vec![root.clone()];
    while let Some(document) = open.pop() {
        for blob in document.blobs() {
            let bytes = layout.blob(blob, &Arc::new(Trail::of(blob)), 0).await?;
            bytes.try_for_each(|_| std::future::ready(Ok(()))).await?;
        }
        for child in document.children() {
            open.extend(layout.manifest(&TagOrDigest::Digest(child.digest.clone())).await?);
        }
    }
    Ok(Some(root.digest().clone()))
}
