//! The counts that an image's report shows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::content::Error;
use crate::events::{BlobOutcome, ImageOutcome, ImageReport};
use crate::oci::{Descriptor, Digest};

/// Counts of one image: each blob once, however many of its documents name it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) requests: Arc<AtomicU64>,
    blobs: Mutex<HashMap<Digest, (BlobOutcome, u64)>>,
}

impl Tally {
    /// Counts a blob; returns whether this is news. One that was there and had to be sent after all counts as sent.
    pub(super) fn count(&self, blob: &Descriptor, outcome: BlobOutcome) -> bool {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        match blobs.entry(blob.digest.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((outcome, blob.size));
                true
            }
            Entry::Occupied(_) if outcome == BlobOutcome::Present => false,
            Entry::Occupied(mut entry) => {
                entry.insert((outcome, blob.size));
                true
            }
        }
    }

    /// Writes the counts into a report.
    pub(super) fn write_to(&self, report: &mut ImageReport) {
        for (outcome, size) in self.blobs.lock().unwrap_or_else(PoisonError::into_inner).values() {
            match outcome {
                BlobOutcome::Copied => {
                    report.blobs.copied += 1;
                    report.bytes += size;
                }
                BlobOutcome::Mounted => report.blobs.mounted += 1,
                BlobOutcome::Present => report.blobs.present += 1,
                BlobOutcome::Failed => {}
            }
        }
        report.requests = self.requests.load(Ordering::Relaxed);
    }
}

/// Notes why an image did not get there. One that was stopped did not fail: it was left alone.
pub(super) fn note_failure(report: &mut ImageReport, error: &Error) {
    report.outcome = if error.is_cancelled() { ImageOutcome::Skipped } else { ImageOutcome::Failed };
    report.error = Some(error.with_advice());
}
