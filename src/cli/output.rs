//! Results on stdout, errors on stderr. A reader that goes away is no error.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;

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
    print(&json(value)?)
}

/// A value as JSON that people can read too.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(Failure::failed)? + "\n")
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// Where they belong.
    Stdout,
    /// Where stdout is the image itself.
    Stderr,
}

impl Results {
    /// Writes a result.
    pub(super) fn print(self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout => print(text),
            Self::Stderr => {
                note(text);
                Ok(())
            }
        }
    }
}

/// Writes what stands beside a result to stderr.
pub(super) fn note(text: &str) {
    // There is nobody left to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error's lines to stderr.
pub(super) fn error(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // There is nobody left to tell.
        let _ = writeln!(stderr, "error: {line}");
    }
}
