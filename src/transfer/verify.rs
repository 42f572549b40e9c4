//! Looking below a target's tag: whether all that it stands for is there, level by level and by digest.
//!
//! It costs, at the target, one GET for each document and one HEAD for each blob, and with [`Depth::Deep`] one GET for
//! each blob besides. What many tags of a repository share is looked at once in a run. That comes on top of the two
//! HEADs which compare the tags, and of the search for referrers, which takes nothing for granted that is remembered.
//! Where `platform_mode` is `sparse`, the root costs a second GET.
//!
//! The source is asked for no document: only, with `sparse`, for lists inside of lists, and where something is damaged,
//! for what is needed to tell more or to mend it.
//!
//! Foreign layers are skipped, and with `sparse` what is not wanted. Of what refers to an image only its being listed is
//! looked at, and tags that the rule would not write are not.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use futures_util::future::{BoxFuture, try_join_all};
use serde::{Deserialize, Serialize};

use super::damage::{Damage, Fault};
use super::documents::MAX_DEPTH;
use super::once::Once;
use super::original::Original;
use super::platforms::{PlatformMode, Platforms};
use super::route::Route;
use super::shape::Shape;
use crate::content::{BlobFound, Cause, Error, Pull, Push, Trail};
use crate::oci::{Content, Descriptor, Digest, Manifest, ManifestError, TagOrDigest};

/// How closely blobs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Whether they are there and of the right size.
    Shallow,
    /// All of their bytes are read again and hashed.
    Deep,
}

/// What one run has looked at in one target repository.
#[derive(Default)]
pub(super) struct Checked {
    /// What is damaged of each document and below it.
    documents: Once<Digest, Arc<[Damage]>>,
    blobs: Once<Digest, Option<Fault>>,
    mended: Mutex<HashSet<Digest>>,
}

impl Checked {
    /// Whether nobody has begun yet to mend this part. From here on somebody has.
    pub(super) fn begin_mending(&self, digest: &Digest) -> bool {
        self.mended.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone())
    }

    /// Lets them be looked at again.
    pub(super) fn forget(&self, parts: &HashSet<Digest>) {
        for digest in parts {
            self.documents.forget(digest);
            self.blobs.forget(digest);
        }
    }
}

/// What is looked for, and what was seen already.
#[derive(Clone, Copy)]
struct Look<'a> {
    shape: &'a Shape,
    /// The name by which the root is to be had.
    at: &'a TagOrDigest,
    depth: Depth,
    checked: &'a Checked,
}

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// What is to be below a document that the target has. For a list of which only some is wanted, the target's own
    /// document tells.
    pub(super) async fn shape_in_place(
        &self,
        original: &Original,
        (root, as_written): (&Digest, bool),
        platforms: Option<&Platforms>,
    ) -> Result<Shape, Error> {
        let whole = Shape { as_written, ..Shape::whole(root.clone()) };
        let Some(platforms) = platforms.filter(|platforms| platforms.mode() == PlatformMode::Sparse) else {
            return Ok(whole);
        };
        let at = TagOrDigest::Digest(root.clone());
        match self.context.unless_stopped(self.sound_document(&at)).await?? {
            Ok(image) if matches!(image.content(), Content::Image(_)) => return Ok(whole),
            Ok(list) => original.documents.keep(list),
            Err(_) => {}
        }
        self.context.unless_stopped(self.shape(&original.documents, root, Some(platforms))).await?
    }

    /// What the target lacks of an image, or has with other bytes. `at` is the name under which it has the image.
    pub(super) async fn damage(
        &self,
        shape: &Shape,
        at: &TagOrDigest,
        depth: Depth,
        checked: &Checked,
    ) -> Result<Arc<[Damage]>, Error> {
        self.context.unless_stopped(self.below(&shape.root, Look { shape, at, depth, checked }, 0)).await?
    }

    /// What is damaged of a document and below it. Boxed, since lists lie in lists.
    fn below<'a>(
        &'a self,
        digest: &'a Digest,
        look: Look<'a>,
        level: usize,
    ) -> BoxFuture<'a, Result<Arc<[Damage]>, Error>> {
        Box::pin(look.checked.documents.get(digest, async move {
            let mut found = self.sound_document(&TagOrDigest::Digest(digest.clone())).await?;
            if level == 0 && matches!(found, Err(Fault::Absent)) {
                found = self.root_by_name(digest, look.at).await?;
            }
            match found {
                Ok(document) => self.parts(&document, look, level).await,
                Err(fault) => Ok([Damage::of_document(digest, fault)].into()),
            }
        }))
    }

    async fn parts(&self, document: &Manifest, look: Look<'_>, level: usize) -> Result<Arc<[Damage]>, Error> {
        let children: Vec<&Descriptor> = document.children().filter(|child| look.shape.has(child)).collect();
        if level == MAX_DEPTH && !children.is_empty() {
            let what = format!("verifying manifest {} of {}", look.shape.root, self.target.location());
            let reason = format!("a list nested deeper than {MAX_DEPTH}");
            return Err(Error::new(what, Cause::Document(ManifestError::Unknown { what: reason })));
        }
        let mut seen = HashSet::new();
        let blobs = document.blobs().filter(|blob| seen.insert(&blob.digest)).map(|blob| self.blob_damage(blob, look));
        let below = children.iter().map(|child| async move {
            let damage = self.below(&child.digest, look, level + 1).await?;
            Ok(damage.iter().map(|damage| damage.clone().of_platform(child.platform.as_ref())).collect::<Vec<_>>())
        });
        let (blobs, below) = tokio::try_join!(try_join_all(blobs), try_join_all(below))?;
        let all = blobs.into_iter().flatten().chain(below.into_iter().flatten());
        Ok(all.map(|damage| damage.below(document.digest())).collect())
    }

    /// A document whose bytes are what its digest says, or what is wrong with it.
    async fn sound_document(&self, at: &TagOrDigest) -> Result<Result<Manifest, Fault>, Error> {
        match self.target.manifest(at).await {
            Ok(found) => Ok(found.ok_or(Fault::Absent)),
            Err(error) if matches!(error.cause(), Cause::Document(_)) => Ok(Err(Fault::OtherBytes)),
            // As in `resolve_target`: some registries forbid what is not there.
            Err(error) if error.is_forbidden() => Ok(Err(Fault::Absent)),
            Err(error) => Err(error),
        }
    }

    /// A registry may know a document by another algorithm's digest than the source does.
    async fn root_by_name(&self, digest: &Digest, at: &TagOrDigest) -> Result<Result<Manifest, Fault>, Error> {
        let named = self.sound_document(at).await?;
        Ok(named.and_then(|root| if digest.matches(root.bytes()) { Ok(root) } else { Err(Fault::Absent) }))
    }

    async fn blob_damage(&self, blob: &Descriptor, look: Look<'_>) -> Result<Option<Damage>, Error> {
        let look_at = async {
            match (self.target.find_blob(blob).await?, look.depth) {
                (BlobFound::Absent, _) => Ok(Some(Fault::Absent)),
                (BlobFound::OtherSize(size), _) => Ok(Some(Fault::OtherSize(size))),
                (BlobFound::Whole, Depth::Shallow) => Ok(None),
                (BlobFound::Whole, Depth::Deep) => self.read_again(blob).await,
            }
        };
        let fault = look.checked.blobs.get(&blob.digest, look_at).await?;
        Ok(fault.map(|fault| Damage::of_blob(blob, fault)))
    }

    async fn read_again(&self, blob: &Descriptor) -> Result<Option<Fault>, Error> {
        let read = async {
            let bytes = self.target.blob(blob, &Trail::of(blob).into(), 0).await?;
            // After the connection that the bytes come by, as transfers do: see `lanes`.
            let _permit = self.context.blobs.acquire(&self.target.location().host, &self.context.claimant).await;
            bytes.try_for_each(|_| std::future::ready(Ok(()))).await
        };
        match read.await {
            Ok(()) => Ok(None),
            Err(error) if matches!(error.cause(), Cause::Mismatch { .. }) => Ok(Some(Fault::OtherBytes)),
            Err(error) if error.is_not_found() => Ok(Some(Fault::Absent)),
            Err(error) => Err(error),
        }
    }
}
