//! One source repository and one target repository.

use std::sync::Arc;

use super::context::Context;
use super::relay::Relays;
use super::tally::Tally;
use crate::content::Pull;
use crate::oci::Digest;

/// The way of one image from a source repository into a target repository.
pub(super) struct Route<'a, S: Pull, T> {
    pub(super) source: &'a S,
    pub(super) target: &'a T,
    /// The other targets of the same source: what they have need not come from the source.
    pub(super) siblings: &'a [T],
    pub(super) relays: &'a Arc<Relays<S::Blob>>,
    pub(super) context: &'a Context,
    pub(super) tally: &'a Tally,
    pub(super) tags: Tags,
}

/// Whether a tag that points elsewhere is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tags {
    /// It is.
    Move,
    /// It is left alone.
    Stay,
}

/// What is known of the target's tag before anyone asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Unknown,
    /// The target's listing does not have it.
    Absent,
    /// This is what it pointed at when it was last looked at.
    Seen(Digest),
}
