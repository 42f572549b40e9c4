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
    size: u64,
    begin: Hasher,
    marks: Mutex<VecDeque<(u64, Hasher)>>,
}

impl Trail {
    /// The trail of a blob of which nothing is read yet.
    pub fn of(blob: &Descriptor) -> Self {
        Self { size: blob.size, begin: blob.digest.hasher(), marks: Mutex::default() }
    }

    /// The last place not behind `offset` whose hash is known, and that hash.
    pub fn before(&self, offset: u64) -> (u64, Hasher) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = marks.iter().rev().find(|(position, _)| *position <= offset);
        nearest.cloned().unwrap_or_else(|| (0, self.begin.clone()))
    }

    /// Hashes a piece that begins at `position`, however large, and keeps the hash at the places on its way.
    pub(super) fn follow(&self, hasher: &mut Hasher, mut position: u64, mut piece: &[u8]) {
        while !piece.is_empty() {
            let room = SPACING - position % SPACING;
            let (part, rest) = piece.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(piece.len()));
            hasher.update(part);
            (position, piece) = (position + part.len() as u64, rest);
            // Behind the last byte there is nothing to read on.
            if position.is_multiple_of(SPACING) && position < self.size {
                self.mark(position, hasher);
            }
        }
    }

    fn mark(&self, position: u64, hasher: &Hasher) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        // Read again from further back, it passes places that are known.
        if marks.back().is_some_and(|(last, _)| position <= *last) {
            return;
        }
        if marks.len() == KEPT {
            marks.pop_front();
        }
        marks.push_back((position, hasher.clone()));
    }
}
