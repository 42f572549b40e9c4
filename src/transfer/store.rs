//! Where images are kept: a repository of a registry, or an image layout. What is said of repositories holds for both.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::{BoxFuture, Either};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::engine::Engine;
use super::mode::Mode;
use crate::backoff::Patience;
use crate::content::{BlobFound, Cause, Deleted, Error, Fence, Location, Mount, Pull, Push, Put, Trail};
use crate::layout::{Layout, Trust};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Repository, Tag, TagOrDigest};
use crate::registry::{Access, Remote, Seat};

/// A repository of either kind. Cheap to clone.
#[derive(Clone)]
pub enum Store {
    /// In a registry.
    Registry(Remote),
    /// In a directory.
    Layout(Layout),
}

/// Does the same with either.
macro_rules! either {
    ($store:expr, $kind:ident => $work:expr) => {
        match $store {
            Store::Registry($kind) => $work,
            Store::Layout($kind) => $work,
        }
    };
}

impl Engine {
    /// A repository, for reading or for writing too. `trust` says what an image layout is taken to have. Nothing is sent
    /// or looked at yet.
    ///
    /// # Errors
    /// If the registry's settings cannot work.
    pub(super) fn store(&self, at: &Location, access: Access, trust: Trust) -> Result<Store, Error> {
        match Layout::at(&at.host, trust, Arc::clone(&self.observer)) {
            Some(layout) => Ok(Store::Layout(layout)),
            None => self.registries.remote(at, access).map(Store::Registry),
        }
    }

    /// A target of a run, as its work sees it.
    ///
    /// # Errors
    /// If the registry's settings cannot work.
    pub(super) fn target(&self, at: &Location, mode: Mode, context: &Context) -> Result<Store, Error> {
        let access = if mode.changes() { Access::Push } else { Access::Pull };
        // Who verifies wants to be told what is missing of an image, not that there is none.
        let trust = if matches!(mode, Mode::Verify(_)) { Trust::Listed } else { Trust::Whole };
        let store = self.store(at, access, trust)?.on_behalf_of(&Arc::default(), &context.cancel);
        Ok(store.fenced(context.fence.as_ref()))
    }

    /// The same for reading.
    ///
    /// # Errors
    /// If the registry's settings cannot work.
    pub fn source(&self, at: &Location) -> Result<Store, Error> {
        self.store(at, Access::Pull, Trust::Listed)
    }
}

impl Store {
    /// The same repository for a piece of work: its requests are counted in `requests`, and `cancel` ends its waiting.
    #[must_use]
    pub fn on_behalf_of(&self, requests: &Arc<AtomicU64>, cancel: &CancellationToken) -> Self {
        match self {
            Self::Registry(remote) => Self::Registry(remote.on_behalf_of(requests, cancel)),
            Self::Layout(layout) => Self::Layout(layout.on_behalf_of(cancel)),
        }
    }

    /// The same repository for work that another process may take over, if one may.
    pub(super) fn fenced(self, fence: Option<&Arc<dyn Fence>>) -> Self {
        match (self, fence) {
            (store, None) => store,
            (Self::Registry(remote), Some(fence)) => Self::Registry(remote.fenced(fence)),
            (Self::Layout(layout), Some(fence)) => Self::Layout(layout.fenced(fence)),
        }
    }

    /// The same repository for a run that shares the registry's quota of pulls with others.
    pub(super) fn seated(self, seat: Option<&Arc<Seat>>) -> Self {
        match (self, seat) {
            (Self::Registry(remote), Some(seat)) => Self::Registry(remote.seated(seat)),
            (store, _) => store,
        }
    }
}

impl Pull for Store {
    type Blob = Either<<Remote as Pull>::Blob, <Layout as Pull>::Blob>;

    fn location(&self) -> &Location {
        either!(self, kind => kind.location())
    }

    async fn meant(&self, reference: &Reference) -> Result<TagOrDigest, Error> {
        either!(self, kind => kind.meant(reference).await)
    }

    async fn resolve(&self, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
        either!(self, kind => kind.resolve(at).await)
    }

    async fn manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        either!(self, kind => kind.manifest(at).await)
    }

    async fn blob(&self, blob: &Descriptor, trail: &Arc<Trail>, from: u64) -> Result<Self::Blob, Error> {
        match self {
            Self::Registry(remote) => remote.blob(blob, trail, from).await.map(Either::Left),
            Self::Layout(layout) => layout.blob(blob, trail, from).await.map(Either::Right),
        }
    }

    async fn in_lanes(&self, streams: usize) -> Self {
        match self {
            Self::Registry(remote) => Self::Registry(remote.in_lanes(streams).await),
            Self::Layout(layout) => Self::Layout(layout.in_lanes(streams).await),
        }
    }

    fn patience(&self) -> Patience {
        either!(self, kind => kind.patience())
    }

    async fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        either!(self, kind => kind.tags().await)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        either!(self, kind => kind.referrers(subject).await)
    }
}

impl Push for Store {
    type Upload = Either<<Remote as Push>::Upload, <Layout as Push>::Upload>;

    async fn find_blob(&self, blob: &Descriptor) -> Result<BlobFound, Error> {
        either!(self, kind => kind.find_blob(blob).await)
    }

    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<Mount<Self::Upload>, Error> {
        match self {
            Self::Registry(remote) => remote.mount(blob, from).await.map(|mount| mount.map(Either::Left)),
            Self::Layout(layout) => layout.mount(blob, from).await.map(|mount| mount.map(Either::Right)),
        }
    }

    async fn open_upload(&self, blob: &Descriptor) -> Result<Self::Upload, Error> {
        match self {
            Self::Registry(remote) => remote.open_upload(blob).await.map(Either::Left),
            Self::Layout(layout) => layout.open_upload(blob).await.map(Either::Right),
        }
    }

    async fn upload<B>(&self, upload: &mut Self::Upload, blob: &Descriptor, from: u64, bytes: B) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        // One box a blob, not one a piece: else the compiler has types in types without end before it.
        let sent: BoxFuture<'_, Result<(), Error>> = match (self, upload) {
            (Self::Registry(remote), Either::Left(upload)) => Box::pin(remote.upload(upload, blob, from, bytes)),
            (Self::Layout(layout), Either::Right(upload)) => Box::pin(layout.upload(upload, blob, from, bytes)),
            // It was opened elsewhere.
            _ => return Err(Error::new(format!("sending blob {blob} to {}", self.location()), Cause::SessionLost)),
        };
        sent.await
    }

    async fn kept(&self, upload: &mut Self::Upload, blob: &Descriptor) -> Option<u64> {
        match (self, upload) {
            (Self::Registry(remote), Either::Left(upload)) => remote.kept(upload, blob).await,
            (Self::Layout(layout), Either::Right(upload)) => layout.kept(upload, blob).await,
            _ => None,
        }
    }

    async fn abandon(&self, upload: &Self::Upload) {
        match (self, upload) {
            (Self::Registry(remote), Either::Left(upload)) => remote.abandon(upload).await,
            (Self::Layout(layout), Either::Right(upload)) => layout.abandon(upload).await,
            _ => {}
        }
    }

    async fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        either!(self, kind => kind.put_manifest(manifest, at).await)
    }

    async fn keep_untagged(&self, root: &Digest) -> Result<(), Error> {
        either!(self, kind => kind.keep_untagged(root).await)
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<Deleted, Error> {
        either!(self, kind => kind.delete_tag(tag).await)
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<Deleted, Error> {
        either!(self, kind => kind.delete_manifest(digest).await)
    }
}
