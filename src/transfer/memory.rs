//! What a process remembers from run to run: it saves requests only. Losing it loses nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::content::Location;
use crate::oci::{Digest, Platform, Tag};

/// Facts that stay true, and what was last seen to be in place.
#[derive(Default)]
pub(super) struct Memory {
    /// What a list becomes when only these platforms of it are wanted.
    pub(super) smaller: Bounded<(Digest, Vec<Platform>), Digest>,
    /// The documents that a document lists, those inside of lists too, as far as they are for these platforms; for any
    /// if none is named.
    pub(super) listed: Bounded<(Digest, Vec<Platform>), Vec<Digest>>,
    /// What the source listed as referring to a document, when all of it was at this target.
    pub(super) referrers: Bounded<(Location, Digest), Vec<Digest>>,
    /// What a tag pointed at when the target had the same.
    pub(super) tags: Bounded<(Location, Tag), Digest>,
}

impl Memory {
    /// Drops what was seen to be in place in a repository, since something of it was deleted.
    pub(super) fn forget(&self, at: &Location) {
        self.referrers.retain(|(location, _)| location != at);
        self.tags.retain(|(location, _)| location != at);
    }
}

/// A map that forgets everything before it grows too large.
pub(super) struct Bounded<K, V>(Mutex<HashMap<K, V>>);

/// Some 10 MB of each kind.
const MOST: usize = 50_000;

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Bounded<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, value);
    }

    fn retain(&self, is_kept: impl Fn(&K) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| is_kept(key));
    }
}
