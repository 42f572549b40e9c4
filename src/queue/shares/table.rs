//! Who has which share of one limit, as it stands in the bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The shares of one limit, by replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    /// The replicas' entries.
    pub replicas: BTreeMap<Arc<str>, Entry>,
    /// Of a quota of pulls, what the registry said of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}

/// What a registry said of its quota of pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Left {
    /// Pulls that are left.
    pub remaining: u64,
    /// Pulls in a window.
    pub limit: Option<u64>,
    /// How long a window is.
    pub window_seconds: u64,
    /// When it said so, in milliseconds since 1970.
    pub at: u64,
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

impl Table {
    /// What all but one replica have.
    pub(super) fn taken_beside(&self, replica: &str) -> u32 {
        let others = self.replicas.iter().filter(|(name, _)| &***name != replica);
        others.map(|(_, entry)| entry.share).fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::message::{Read, read, written};

    #[test]
    fn a_table_is_written_as_it_has_always_been() {
        let entry = Entry { share: 500_000, want: 20, beat: 7 };
        let table = Table { replicas: BTreeMap::from([("a".into(), entry)]), left: None };
        let document = written(&table).unwrap();
        let text = r#"{"v":1,"body":{"replicas":{"a":{"share":500000,"want":20,"beat":7}}}}"#;
        assert_eq!(std::str::from_utf8(&document).unwrap(), text);
        assert_eq!(read(&document), Read::Body(table));
    }

    #[test]
    fn what_is_added_to_it_is_passed_over() {
        let document = br#"{"v":1,"body":{"new":1,"replicas":{"a":{"share":1,"want":2,"beat":3,"new":4}}}}"#;
        let Read::Body(table) = read::<Table>(document) else { panic!("it is a table") };
        assert_eq!(table.replicas["a"], Entry { share: 1, want: 2, beat: 3 });
    }
}
