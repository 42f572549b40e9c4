//! The bytes behind a blob, which need not be in memory.

use std::ops::Range;

use bytes::Bytes;

use crate::content::Repeated;

/// What a registry has of a blob.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    /// All of it.
    Held(Bytes),
    /// The recipe to make it while it is sent.
    Generated(Repeated),
    /// Its size alone: it was hashed on arrival and let go.
    Discarded(u64),
}

// A frame of this size costs nothing to make (the bytes are shared) and keeps the connection busy.
const PIECE: u64 = 64 * 1024;

impl Stored {
    pub(super) fn size(&self) -> u64 {
        match self {
            Stored::Held(bytes) => bytes.len() as u64,
            Stored::Generated(blob) => blob.size(),
            Stored::Discarded(size) => *size,
        }
    }

    /// A first piece of `range`, which must lie within the size and not be empty.
    pub(super) fn piece(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(range.start + PIECE);
        match self {
            Stored::Held(bytes) => bytes.slice(index(range.start)..index(end)),
            Stored::Generated(blob) => blob.piece(range.start..end),
            Stored::Discarded(_) => Bytes::new(),
        }
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("a position in bytes that are in memory")
}
