//! Who may still write: several processes that do one work by turns must not undo each other's.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Says whether work that another process may have taken over is still this one's. Where there is none, nobody can take
/// it over.
///
/// Both are asked while the work waits for nothing else, and answer in moments: who cannot tell says no.
pub trait Fence: Send + Sync {
    /// Asked before anything is written for the work: before the first upload, mount or document. The first time it may
    /// take what says to others whose the work is; after that it costs nothing.
    ///
    /// # Errors
    /// If another has the work: nothing is written.
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>>;

    /// Asked right before a tag is written, or something is deleted, and before every further try of that: when the
    /// request has waited for its turn and goes out next.
    ///
    /// # Errors
    /// If the work is another's by now: that request is not made.
    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>>;
}

/// The work is not this process's any more: it stands down, and that is no failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Displaced(Arc<str>);

impl Displaced {
    /// `reason` reads as `another replica has taken this over`.
    pub fn new(reason: impl Into<Arc<str>>) -> Self {
        Self(reason.into())
    }
}
