//! How uploads are cut, learnt from what a registry answered: whole, until that is refused or breaks again and again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::oci::{Descriptor, Digest};

/// Sizes of chunks that are tried: below what proxies are known to take (100 MB, 20 MB, 5 MB, 4 MiB, 1 MiB).
const SIZES: [u64; 5] = [64 << 20, 16 << 20, 4 << 20, 2 << 20, 512 << 10];

/// A body that broke so often may be too large for what stands before the registry: some do not say so, they cut.
const BREAKS: usize = 2;

/// A break is remembered for this long.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// What is known of one registry.
pub(super) struct Chunking {
    /// The size for all uploads; 0 as long as whole bodies are taken.
    size: AtomicU64,
    /// How often the upload of a blob broke, since it last arrived.
    breaks: Mutex<HashMap<Digest, (usize, Instant)>>,
}

impl Chunking {
    /// Begins with chunks of a size, or with whole bodies.
    pub(super) fn new(forced: Option<u64>) -> Self {
        Self { size: forced.unwrap_or(0).into(), breaks: Mutex::default() }
    }

    /// The size of chunks for a blob; `None` to send it whole.
    pub(super) fn size_for(&self, blob: &Descriptor) -> Option<u64> {
        let known = Some(self.size.load(Ordering::Relaxed)).filter(|size| *size > 0);
        let broke = self.breaks().get(&blob.digest).map_or(0, |(times, _)| *times);
        let tried = broke.checked_sub(BREAKS).map(|more| {
            let mut smaller = SIZES.into_iter().filter(|size| *size < known.unwrap_or(blob.size));
            smaller.clone().nth(more / BREAKS).or(smaller.next_back())
        });
        tried.flatten().or(known).filter(|size| *size < blob.size)
    }

    /// A body of `refused` bytes was too large: from here on, for this registry, smaller ones. `None` if they cannot
    /// get smaller.
    pub(super) fn refused(&self, refused: u64) -> Option<u64> {
        let smaller = SIZES.into_iter().find(|size| *size < refused)?;
        Some(self.keep(smaller))
    }

    /// The upload of a blob broke off after so many bytes had arrived. As many as the largest chunk has are no sign of a
    /// bound on bodies.
    pub(super) fn broke(&self, blob: &Descriptor, arrived: u64) {
        if arrived >= SIZES[0] {
            return;
        }
        let mut breaks = self.breaks();
        breaks.retain(|_, (_, last)| last.elapsed() < REMEMBERED);
        let (times, last) = breaks.entry(blob.digest.clone()).or_insert((0, Instant::now()));
        (*times, *last) = (*times + 1, Instant::now());
    }

    /// The registry does not take chunks: their blob goes whole again.
    pub(super) fn unwanted(&self, blob: &Descriptor) {
        self.breaks().remove(&blob.digest);
    }

    /// A blob arrived. If that took chunks, they are the way for all.
    pub(super) fn arrived(&self, blob: &Descriptor, in_chunks_of: Option<u64>) {
        let broke = self.breaks().remove(&blob.digest).map_or(0, |(times, _)| times);
        if let Some(size) = in_chunks_of.filter(|_| broke >= BREAKS) {
            self.keep(size);
        }
    }

    /// Another upload may have learnt more meanwhile.
    fn keep(&self, size: u64) -> u64 {
        let known = self.size.load(Ordering::Relaxed);
        let size = if known == 0 { size } else { size.min(known) };
        self.size.store(size, Ordering::Relaxed);
        size
    }

    fn breaks(&self) -> MutexGuard<'_, HashMap<Digest, (usize, Instant)>> {
        self.breaks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn blob(size: u64) -> Descriptor {
        let digest = Digest::of(&size.to_le_bytes());
        Descriptor { media_type: String::new(), digest, size, platform: None, artifact_type: None, annotations: None }
    }

    #[test]
    fn a_refusal_is_remembered_for_all() {
        let chunking = Chunking::new(None);
        assert_eq!(chunking.size_for(&blob(30 * MIB)), None);
        assert_eq!(chunking.refused(30 * MIB), Some(16 * MIB));
        assert_eq!(chunking.size_for(&blob(100 * MIB)), Some(16 * MIB));
        assert_eq!(chunking.size_for(&blob(MIB)), None, "it fits");
        assert_eq!(chunking.refused(16 * MIB), Some(4 * MIB));
        assert_eq!(chunking.refused(100 * MIB), Some(4 * MIB), "what was learnt is not forgotten");
        assert_eq!(chunking.refused(512 << 10), None);
    }

    #[test]
    fn a_blob_that_breaks_again_goes_in_chunks_and_teaches_when_they_arrive() {
        let chunking = Chunking::new(None);
        let large = blob(100 * MIB);
        chunking.broke(&large, 0);
        assert_eq!(chunking.size_for(&large), None, "once is the network");
        chunking.broke(&large, 0);
        assert_eq!(chunking.size_for(&large), Some(64 * MIB));
        chunking.broke(&large, 0);
        chunking.broke(&large, 0);
        assert_eq!(chunking.size_for(&large), Some(16 * MIB));
        assert_eq!(chunking.size_for(&blob(80 * MIB)), None, "others are not concerned yet");
        chunking.arrived(&large, Some(16 * MIB));
        assert_eq!(chunking.size_for(&blob(80 * MIB)), Some(16 * MIB));
    }

    #[test]
    fn a_line_that_breaks_now_and_then_is_no_bound() {
        let chunking = Chunking::new(None);
        let large = blob(10_000 * MIB);
        (0..20).for_each(|_| chunking.broke(&large, 500 * MIB));
        assert_eq!(chunking.size_for(&large), None);
    }

    #[test]
    fn a_registry_that_takes_no_chunks_gets_whole_bodies_again() {
        let chunking = Chunking::new(None);
        let large = blob(100 * MIB);
        (0..BREAKS).for_each(|_| chunking.broke(&large, 0));
        chunking.unwanted(&large);
        assert_eq!(chunking.size_for(&large), None);
    }

    #[test]
    fn a_size_that_is_configured_holds_from_the_first_upload() {
        let chunking = Chunking::new(Some(10 * MIB));
        assert_eq!(chunking.size_for(&blob(30 * MIB)), Some(10 * MIB));
        assert_eq!(chunking.size_for(&blob(10 * MIB)), None);
    }
}
