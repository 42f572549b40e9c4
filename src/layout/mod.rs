//! OCI image layouts: directories that hold images as a repository does.
//!
//! Images are listed in `index.json`, under their tag as `org.opencontainers.image.ref.name`; everything else lies below
//! `blobs` by its digest. Written so that, cut anywhere, it can be read and what is listed is whole: see `folder`.
//! Source: OCI image-spec, "Image Layout".

pub mod archive;
#[cfg(test)]
mod crashes;
mod disk;
mod folder;
#[cfg(test)]
mod hostile;
mod listing;
mod pull;
mod push;
#[cfg(test)]
mod samples;

/// What holds whatever comes, as tests and fuzzing hold it against any bytes.
#[cfg(any(test, fuzzing))]
pub mod properties {
    pub use super::archive::properties::archive;
    pub use super::listing::properties::index;
}

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use pull::FileBody;
pub use push::Upload;

use crate::content::{Cause, Error, Fence, Location};
use crate::events::Observer;
use crate::oci::{Host, Repository};
use folder::{Folder, Lock};

/// How often it is looked whether another process has let the lock go.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// It is held for a moment: who waits longer than this tells.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// An image layout. Cheap to clone.
#[derive(Clone)]
pub struct Layout {
    folder: Arc<Folder>,
    location: Location,
    trust: Trust,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    fence: Option<Arc<dyn Fence>>,
}

/// What is taken for being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// What is listed, or has a file: as a source, and where what is there is looked through anyway.
    Listed,
    /// Only what is there with all that it names, as a registry sees to by itself: at a target.
    Whole,
}

impl Layout {
    /// The layout in a directory; `None` if a host is a registry. Nothing is looked at yet: it is made when something is
    /// written.
    pub fn at(host: &Host, trust: Trust, observer: Arc<dyn Observer>) -> Option<Self> {
        let folder = Arc::new(Folder::at(host.layout_dir()?));
        let location = Location { host: host.clone(), repository: Repository::of_layout() };
        Some(Self { folder, location, trust, observer, cancel: CancellationToken::new(), fence: None })
    }

    /// The same layout for a piece of work: `cancel` ends its waiting.
    #[must_use]
    pub fn on_behalf_of(&self, cancel: &CancellationToken) -> Self {
        Self { cancel: cancel.clone(), ..self.clone() }
    }

    /// The same layout for work that another process may take over.
    #[must_use]
    pub fn fenced(&self, fence: &Arc<dyn Fence>) -> Self {
        Self { fence: Some(Arc::clone(fence)), ..self.clone() }
    }

    /// Asked before something is written.
    async fn hold(&self, what: &str) -> Result<(), Error> {
        match &self.fence {
            Some(fence) => fence.hold().await.map_err(|displaced| self.error(what, displaced.into())),
            None => Ok(()),
        }
    }

    /// Asked before the list of images is changed.
    async fn check(&self, what: &str) -> Result<(), Error> {
        match &self.fence {
            Some(fence) => fence.check().await.map_err(|displaced| self.error(what, displaced.into())),
            None => Ok(()),
        }
    }

    /// Waits for the lock; a stop ends that.
    async fn locked(&self, what: &str) -> Result<Lock, Error> {
        self.blocking(what.to_owned(), Folder::prepare).await?;
        let (began, mut has_told) = (Instant::now(), false);
        loop {
            if let Some(lock) = self.blocking(what.to_owned(), Folder::try_lock).await? {
                return Ok(lock);
            }
            if began.elapsed() > LONG_WAIT && !std::mem::replace(&mut has_told, true) {
                let waited = "another process has had it locked for long: still waiting";
                self.observer.warning(&self.location.host, waited);
            }
            let pause = self.cancel.run_until_cancelled(tokio::time::sleep(LOCK_PAUSE)).await;
            pause.ok_or_else(|| self.error(what, Cause::Cancelled))?;
        }
    }

    /// Does what blocks where it may. What has begun ends, also if nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(&Folder) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = Arc::clone(&self.folder);
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or(Err(Cause::Cancelled)).map_err(|cause| self.error(what, cause))
    }

    fn error(&self, what: impl Into<String>, cause: Cause) -> Error {
        Error::new(what, cause).at(&self.location.host)
    }
}
