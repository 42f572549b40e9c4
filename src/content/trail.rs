//! Where a blob's hash stood on its way, so that it can go on from there.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::oci::{Descriptor, Hasher};

/// A hash is kept this often, in bytes: what is read twice after a break is less than this.
const SPACING: u64 = 1 << 20;
/// So many are kept: what a registry loses at a break is what was on its way to it, not more.
const KEPT: usize = 64;

/// The hash of one blob at several places of it. Takes some 10 KiB, however large the blob.
pub struct Trail {
    begin: Hasher,
    marks: Mutex<VecDeque<(u64, Hasher)>>,
}

impl Trail {
    /// The trail of a blob of which nothing is read yet.
    pub fn of(blob: &Descriptor) -> Self {
        Self { begin: blob.digest.hasher(), marks: Mutex::default() }
    }

    /// The last place not behind `offset` whose hash is known, and that hash.
    pub fn before(&self, offset: u64) -> (u64, Hasher) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = marks.iter().rev().find(|(position, _)| *position <= offset);
        nearest.cloned().unwrap_or_else(|| (0, self.begin.clone()))
    }

    /// The hash stands so at `position`.
    pub(super) fn mark(&self, position: u64, hasher: &Hasher) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        // Read again from further back, it passes places that are known.
        if marks.back().is_some_and(|(last, _)| position < last + SPACING) {
            return;
        }
        if marks.is_empty() && position < SPACING {
            return;
        }
        if marks.len() == KEPT {
            marks.pop_front();
        }
        marks.push_back((position, hasher.clone()));
    }
}
