//! Results on stdout, errors on stderr. A reader that goes away is no error.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::Size;
use crate::transfer::Mode;

/// Writes to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout, unchanged.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("writing to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as JSON to stdout.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    print(&(text + "\n"))
}

/// Writes an error's lines to stderr.
pub(super) fn error(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // There is nobody left to tell.
        let _ = writeln!(stderr, "error: {line}");
    }
}

/// What became of an image, in words; of a plan, what would.
pub(super) fn outcome(image: &ImageReport, mode: Mode) -> String {
    match (&image.outcome, &image.error) {
        (ImageOutcome::Failed, Some(error)) => format!("failed: {error}"),
        (ImageOutcome::Failed, None) => "failed".to_owned(),
        (ImageOutcome::Unchanged, _) => "unchanged".to_owned(),
        (ImageOutcome::Skipped, Some(reason)) => format!("skipped: {reason}"),
        (ImageOutcome::Skipped, None) => "skipped".to_owned(),
        (ImageOutcome::Copied, _) => {
            let (blobs, size) = (image.blobs, Size(image.bytes));
            let words = match mode {
                Mode::Plan => ["to copy", "to mount", "present"],
                Mode::Execute | Mode::Repair => ["copied", "mounted", "present"],
            };
            let counts = [blobs.copied, blobs.mounted, blobs.present].into_iter().zip(words);
            let parts: Vec<String> =
                counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
            let blobs = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
            match mode {
                Mode::Plan => format!("blobs: {blobs}; {size}"),
                Mode::Execute | Mode::Repair => {
                    format!("blobs: {blobs}; {size} in {:.1} s", image.elapsed.as_secs_f64())
                }
            }
        }
    }
}
