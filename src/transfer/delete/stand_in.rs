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
        // From here on to the end, whatever comes: stopped, it goes no further, and puts the tag back.
        let stand_in = document(&unique())?;
        let (reason, stored) = match self.target.put_manifest(&stand_in, &TagOrDigest::Tag(tag.clone())).await {
            Ok(_) => match self.delete_stand_in(tag, &stand_in).await {
                Ok(()) => return Ok(()),
                Err(reason) => (reason, None),
            },
            // What failed may have been done all the same.
            Err(error) => (error.with_advice(), stored(&error)),
        };
        let ours = |found: &Digest| found == stand_in.digest() || stored.as_ref() == Some(found);
        self.put_back(tag, &original, &reason, ours).await
    }

    /// Deletes the stand-in, and the tag with it; or tells what keeps it.
    async fn delete_stand_in(&self, tag: &Tag, stand_in: &Manifest) -> Result<(), String> {
        match self.target.delete_manifest(stand_in.digest()).await {
            Ok(Deleted::Done) => Ok(()),
            // So says also who does not know the request.
            Ok(Deleted::Gone) => match self.digest_of(tag).await {
                Ok(found) if found.as_ref() != Some(stand_in.digest()) => Ok(()),
                Ok(_) => Err("the registry says that what stands in for it is not there, and still has it".to_owned()),
                Err(error) => Err(error.with_advice()),
            },
            Ok(Deleted::Unsupported) => Err("deletion was turned off just now".to_owned()),
            Err(error) => Err(error.with_advice()),
        }
    }

    /// Whether a document can be deleted here, by deleting one that nobody needs.
    async fn deletes_documents(&self) -> Result<bool, RemovalError> {
        let probe = document("deleted by regferry to see whether the registry deletes manifests")?;
        self.bring_config().await?;
        self.target.put_manifest(&probe, &TagOrDigest::Digest(probe.digest().clone())).await?;
        match self.target.delete_manifest(probe.digest()).await.map_err(RemovalError::of_deletion)? {
            Deleted::Done => Ok(true),
            // Another who looks at the same time leaves that; and who does not know the request says it.
            Deleted::Gone => Ok(self.is_gone(probe.digest()).await?),
            Deleted::Unsupported => Ok(false),
        }
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

    /// Lets the tag point where it pointed, if it does not; what somebody else has pushed meanwhile is left alone.
    async fn put_back(
        &self,
        tag: &Tag,
        original: &Manifest,
        reason: &str,
        is_ours: impl Fn(&Digest) -> bool,
    ) -> Result<(), RemovalError> {
        let at = TagOrDigest::Tag(tag.clone());
        let (named, reason) = (self.reference(at.clone()), reason.to_owned());
        match self.unstopped.resolve(&at).await {
            Ok(Some(found)) if found == *original.digest() => {
                return Err(RemovalError::PutBack { tag: named, reason });
            }
            Ok(Some(found)) if !is_ours(&found) => return Err(RemovalError::Moved(named)),
            // It went after all, and only the answer was lost.
            Ok(None) => return Ok(()),
            // What cannot be seen is put where it belongs.
            Ok(_) | Err(_) => {}
        }
        match self.unstopped.put_manifest(original, &at).await {
            Ok(_) => Err(RemovalError::PutBack { tag: named, reason }),
            Err(error) => Err(RemovalError::Stranded {
                tag: named,
                reason,
                also: error.to_string(),
                original: self.reference(TagOrDigest::Digest(original.digest().clone())),
            }),
        }
    }
}

/// What the registry has in the place of what was sent, if it says so.
fn stored(error: &Error) -> Option<Digest> {
    match error.cause() {
        Cause::StoredOther { stored, .. } => Some(stored.clone()),
        _ => None,
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
