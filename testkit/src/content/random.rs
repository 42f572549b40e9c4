//! Bytes that look random, do not compress, and are the same on every run and every machine.

use std::ops::Range;

use bytes::Bytes;

use super::digest::Sha256;

/// `size` pseudo-random bytes; the same for the same `seed`.
#[must_use]
pub fn pseudo_random(seed: u64, size: usize) -> Bytes {
    let mut state = seed;
    let mut bytes = vec![0; size.next_multiple_of(8)];
    for eight in bytes.chunks_exact_mut(8) {
        eight.copy_from_slice(&split_mix(&mut state).to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// A blob of any size that takes one MiB of memory: a pseudo-random chunk, again and again.
#[derive(Clone, Debug)]
pub struct Repeated {
    chunk: Bytes,
    size: u64,
}

impl Repeated {
    const CHUNK: usize = 1 << 20;

    /// `size` bytes made from `seed`.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        Self { chunk: pseudo_random(seed, Self::CHUNK), size }
    }

    /// The number of bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest, found by going through all the bytes once.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut position = 0;
        while position < self.size {
            let piece = self.piece(position..self.size);
            hash.update(&piece);
            position += piece.len() as u64;
        }
        hash.finish()
    }

    /// A first piece of `range`, shared and not copied; it ends where the chunk ends, if the range
    /// does not end before.
    #[must_use]
    pub fn piece(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.size);
        let from = usize::try_from(range.start % Self::CHUNK as u64).expect("less than the chunk");
        let wanted = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        self.chunk.slice(from..Self::CHUNK.min(from.saturating_add(wanted)))
    }
}

/// SplitMix64: eight good bytes from three lines of arithmetic.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(pseudo_random(7, 100), pseudo_random(7, 100));
        assert_ne!(pseudo_random(7, 100), pseudo_random(8, 100));
        assert_eq!(pseudo_random(7, 13).len(), 13);
        assert!(pseudo_random(7, 0).is_empty());
    }

    #[test]
    fn pieces_make_up_the_whole_whatever_the_offset() {
        let blob = Repeated::new(1, 3 * (1 << 20) + 5);
        let mut whole = Vec::new();
        while (whole.len() as u64) < blob.size() {
            let position = whole.len() as u64;
            whole.extend_from_slice(&blob.piece(position..blob.size().min(position + 70_001)));
        }
        assert_eq!(crate::content::digest(&whole), blob.digest());
    }
}
