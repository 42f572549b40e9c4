//! How far a blob has come.

use std::sync::Arc;

use super::relay::Part;
use crate::content::{Location, Pull, Push, Trail};
use crate::oci::Descriptor;

/// How far a blob's transfer has come.
pub(super) struct Progress<S: Pull, T: Push> {
    pub(super) trail: Arc<Trail>,
    /// The session at the target, and the bytes that it has.
    pub(super) open: Option<(T::Upload, u64)>,
    /// The fetching that it has part in.
    pub(super) part: Option<Part<S::Blob>>,
    /// Targets that the bytes were not to be had from.
    pub(super) shunned: Vec<Location>,
    /// Whether it was too slow for the others once.
    pub(super) alone: bool,
}

impl<S: Pull, T: Push> Progress<S, T> {
    pub(super) fn new(blob: &Descriptor) -> Self {
        Self { trail: Arc::new(Trail::of(blob)), open: None, part: None, shunned: Vec::new(), alone: false }
    }

    /// Begins from the start.
    pub(super) fn restart(&mut self, blob: &Descriptor) {
        (self.trail, self.open) = (Arc::new(Trail::of(blob)), None);
    }

    pub(super) fn offset(&self) -> u64 {
        self.open.as_ref().map_or(0, |(_, offset)| *offset)
    }

    /// Whether it can share a stream with others.
    pub(super) fn may_join(&self) -> bool {
        self.offset() == 0 && !self.alone
    }
}
