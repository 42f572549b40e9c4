//! The counts that an image's report shows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::content::Error;
use crate::events::{BlobCounts, BlobOutcome, ImageOutcome, ImageReport};
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

/// Notes why an image did not get there. One that was stopped did not fail: it was left alone.
pub(super) fn note_failure(report: &mut ImageReport, error: &Error) {
    report.outcome = if error.is_cancelled() { ImageOutcome::Skipped } else { ImageOutcome::Failed };
    report.error = Some(error.with_advice());
}
