//! One tag alone, where a registry deletes nothing but documents, and with a document all of its tags: the tag is moved
//! onto a document that nothing else has, and that one is deleted.
//!
//! Where deletion is off, the tag would be lost for nothing. So an untagged document is deleted first, to see whether it
//! can be. That one is always the same: where it stays, it stays once.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::{Removal, RemovalError};
use crate::content::{BlobFound, Cause, Deleted, Error, Pull as _, Push as _};
use crate::oci::{Descriptor, Digest, Manifest, Tag, TagOrDigest, media_type};

/// Source: OCI image-spec, "Guidance for an Empty Descriptor".
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const DESCRIPTION: &str = "org.opencontainers.image.description";

impl Removal {
    pub(super) async fn with_stand_in(&self, tag: &Tag, digest: &Digest) -> Result<(), RemovalError> {
        let named = || self.reference(TagOrDigest::Tag(tag.clone()));
        let at = TagOrDigest::Digest(digest.clone());
        let original = self.context.unless_stopped(self.target.manifest(&at)).await??;
        let original = original.ok_or_else(|| super::not_found(&at, self.target.location()))?;
        if !self.deletes_documents().await? {
            return Err(RemovalError::Off(named()));
        }
        if self.digest_of(tag).await?.as_ref() != Some(digest) {
            return Err(RemovalError::Moved(named()));
        }
        if self.context.cancel.is_cancelled() {
            return Err(self.context.stopped().into());
        }
        // From here on to the end, whatever comes.
        let stand_in = document(&unique())?;
        self.target.put_manifest(&stand_in, &TagOrDigest::Tag(tag.clone())).await?;
        match self.target.delete_manifest(stand_in.digest()).await {
            Ok(Deleted::Done | Deleted::Gone) => Ok(()),
            Ok(Deleted::Unsupported) => self.put_back(tag, &original, "deletion was turned off just now").await,
            Err(error) => self.put_back(tag, &original, &error.with_advice()).await,
        }
    }

    /// Whether a document can be deleted here, by deleting one that nobody needs.
    async fn deletes_documents(&self) -> Result<bool, Error> {
        let probe = document("deleted by regferry to see whether the registry deletes manifests")?;
        self.bring_config().await?;
        self.target.put_manifest(&probe, &TagOrDigest::Digest(probe.digest().clone())).await?;
        // Gone is what another who looks at the same time leaves.
        Ok(self.target.delete_manifest(probe.digest()).await? != Deleted::Unsupported)
    }

    async fn bring_config(&self) -> Result<(), Error> {
        let config = config();
        if self.target.find_blob(&config).await? == BlobFound::Whole {
            return Ok(());
        }
        let mut upload = self.target.open_upload(&config).await?;
        let bytes = stream::iter([Ok(Bytes::from_static(EMPTY))]);
        self.target.upload(&mut upload, &config, 0, bytes).await
    }

    async fn put_back(&self, tag: &Tag, original: &Manifest, reason: &str) -> Result<(), RemovalError> {
        let at = TagOrDigest::Tag(tag.clone());
        let (tag, reason) = (self.reference(at.clone()), reason.to_owned());
        match self.target.put_manifest(original, &at).await {
            Ok(_) => Err(RemovalError::PutBack { tag, reason }),
            Err(error) => Err(RemovalError::Stranded {
                tag,
                reason,
                also: error.to_string(),
                original: self.reference(TagOrDigest::Digest(original.digest().clone())),
            }),
        }
    }
}

fn config() -> Descriptor {
    Descriptor {
        media_type: EMPTY_TYPE.to_owned(),
        digest: Digest::of(EMPTY),
        size: EMPTY.len() as u64,
        platform: None,
        artifact_type: None,
        annotations: None,
    }
}

/// A document without content that says what it is for.
fn document(description: &str) -> Result<Manifest, Error> {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config(),
        "layers": [],
        "annotations": { DESCRIPTION: description },
    });
    let bytes = Bytes::from(document.to_string());
    Manifest::parse(bytes, Some(media_type::OCI_MANIFEST), None)
        .map_err(|error| Error::new("making a manifest to delete", Cause::Document(error)))
}

/// A text that no other tag's stand-in has, of this process or another.
fn unique() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("stands in for a tag that regferry deletes: {}-{}", now.as_nanos(), std::process::id())
}
