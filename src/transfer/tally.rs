//! The counts that an image's report shows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::events::{BlobCounts, BlobOutcome, ImageReport};
use crate::oci::{Descriptor, Digest};

/// Counts of one image: each blob once, however many of its documents name it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) requests: Arc<AtomicU64>,
    bytes: AtomicU64,
    blobs: Mutex<(HashSet<Digest>, BlobCounts)>,
}

impl Tally {
    /// Counts a blob; returns whether it is the first time for this image.
    pub(super) fn count(&self, blob: &Descriptor, outcome: BlobOutcome) -> bool {
        let mut guard = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, counts) = &mut *guard;
        if !seen.insert(blob.digest.clone()) {
            return false;
        }
        match outcome {
            BlobOutcome::Copied => {
                counts.copied += 1;
                self.bytes.fetch_add(blob.size, Ordering::Relaxed);
            }
            BlobOutcome::Mounted => counts.mounted += 1,
            BlobOutcome::Present => counts.present += 1,
            BlobOutcome::Failed => {}
        }
        true
    }

    /// Writes the counts into a report.
    pub(super) fn write_to(&self, report: &mut ImageReport) {
        report.bytes = self.bytes.load(Ordering::Relaxed);
        report.blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner).1;
        report.requests = self.requests.load(Ordering::Relaxed);
    }
}
