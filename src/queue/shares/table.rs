//! Who has which share of one limit, as it stands in the bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The form that this version writes and understands.
const VERSION: u64 = 1;

/// The shares of one limit, by replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Table {
    /// The replicas' entries.
    pub replicas: BTreeMap<Arc<str>, Entry>,
}

/// One replica's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// What it may use at most.
    pub share: u32,
    /// What it would use if it had the whole limit.
    pub want: u32,
    /// Another number each time that it writes: it is alive.
    pub beat: u64,
}

/// Why a document is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer version wrote it: left to newer replicas.
    #[error("it is of version {0}, and this regferry knows version 1: update this replica")]
    Version(u64),
    /// It is damaged, or another program's.
    #[error("it is no table of shares: {0}")]
    Malformed(String),
}

/// What every version has.
#[derive(Serialize, Deserialize)]
struct Versioned {
    v: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    v: u64,
    replicas: BTreeMap<Arc<str>, Entry>,
}

impl Table {
    /// Reads a document.
    ///
    /// # Errors
    /// If it is none, or of a version that is not known here.
    pub fn read(document: &[u8]) -> Result<Self, Unreadable> {
        let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
        match serde_json::from_slice(document).map_err(malformed)? {
            Versioned { v: VERSION } => {}
            Versioned { v } => return Err(Unreadable::Version(v)),
        }
        let Written { replicas, .. } = serde_json::from_slice(document).map_err(malformed)?;
        Ok(Self { replicas })
    }

    /// The document.
    ///
    /// # Errors
    /// None that a table gives rise to.
    pub fn written(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Written { v: VERSION, replicas: self.replicas.clone() })
    }

    /// What all but one replica have.
    pub(super) fn taken_beside(&self, replica: &str) -> u32 {
        let others = self.replicas.iter().filter(|(name, _)| &***name != replica);
        others.map(|(_, entry)| entry.share).fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_written_as_it_has_always_been() {
        let entry = Entry { share: 500_000, want: 20, beat: 7 };
        let table = Table { replicas: BTreeMap::from([("a".into(), entry)]) };
        let document = table.written().unwrap();
        assert_eq!(
            String::from_utf8(document.clone()).unwrap(),
            r#"{"v":1,"replicas":{"a":{"share":500000,"want":20,"beat":7}}}"#
        );
        assert_eq!(Table::read(&document), Ok(table));
    }

    #[test]
    fn what_a_newer_version_adds_is_passed_over_and_a_newer_version_is_left_alone() {
        let read = Table::read(br#"{"v":1,"new":1,"replicas":{"a":{"share":1,"want":2,"beat":3,"new":4}}}"#);
        assert_eq!(read.unwrap().replicas["a"], Entry { share: 1, want: 2, beat: 3 });
        assert_eq!(Table::read(br#"{"v":2,"shares":[]}"#), Err(Unreadable::Version(2)));
    }

    proptest! {
        #[test]
        fn no_document_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), json in "[{}\\[\\]\",:a-z0-9]*") {
            let _ = Table::read(&bytes);
            let _ = Table::read(json.as_bytes());
        }
    }
}
