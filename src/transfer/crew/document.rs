//! A document that goes along with a task.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::oci::{Digest, Manifest};
use crate::transfer::documents::Documents;

/// So many bytes of documents go along: what is above that is fetched again.
const MOST: usize = 256 << 10;

/// A document of the image, fetched before its task was parked: it would be another pull. Its digest is checked when it
/// is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    digest: Digest,
    media_type: String,
    text: String,
}

impl Document {
    /// Those that were fetched.
    pub(super) fn of(documents: &Documents) -> Vec<Self> {
        let mut left = MOST;
        let document = |document: Manifest| {
            let text = std::str::from_utf8(document.bytes()).ok()?.to_owned();
            left = left.checked_sub(text.len())?;
            Some(Self { digest: document.digest().clone(), media_type: document.media_type().to_owned(), text })
        };
        documents.known().into_iter().filter_map(document).collect()
    }

    /// Puts it where a fetched one would be; one that is not what it is to be is fetched again.
    pub(super) fn keep_in(&self, documents: &Documents) {
        let bytes = Bytes::copy_from_slice(self.text.as_bytes());
        if let Ok(document) = Manifest::parse(bytes, Some(&self.media_type), Some(&self.digest)) {
            documents.keep(document);
        }
    }
}
