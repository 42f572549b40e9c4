//! What a process remembers from run to run: it saves requests only. Losing it loses nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::Location;
use crate::oci::{Digest, Platform, Tag};

/// Facts that stay true, and what was last seen to be in place.
#[derive(Default)]
pub(super) struct Memory {
    /// The former.
    pub(super) facts: Arc<Facts>,
    /// What the source listed as referring to a document, when all of it was at this target.
    pub(super) referrers: Bounded<(Location, Digest), Vec<Digest>>,
    /// What a tag pointed at when the target had the same.
    pub(super) tags: Bounded<(Location, Tag), Digest>,
}

/// What stays true, wherever it was found out.
#[derive(Default)]
pub(super) struct Facts {
    /// What a list becomes when only these platforms of it are wanted.
    pub(super) smaller: Bounded<(Digest, Vec<Platform>), Digest>,
    /// The documents that a document lists, those inside of lists too, as far as they are for these platforms; for any
    /// if none is named.
    pub(super) listed: Bounded<(Digest, Vec<Platform>), Vec<Digest>>,
    /// The list that is composed of the documents that its sources point at.
    pub(super) composed: Bounded<Vec<Digest>, Digest>,
    /// What a rule waits for that is to compose a list of these.
    pub(super) awaited: Bounded<(Arc<str>, Vec<Digest>), Arc<str>>,
}

impl Memory {
    /// The same facts, and nothing of what was seen to be in place: where others write to the same targets, that is
    /// true no longer than until their next run. What all of them know goes along with each image.
    pub(super) fn among_others(&self) -> Self {
        Self { facts: Arc::clone(&self.facts), ..Self::default() }
    }

    /// Drops what was seen to be in place in a repository, since something of it was deleted.
    pub(super) fn forget(&self, at: &Location) {
        self.referrers.retain(|(location, _), _| location != at);
        self.tags.retain(|(location, _), _| location != at);
    }
}

/// A map that forgets everything before it grows too large.
pub(super) struct Bounded<K, V>(Mutex<Kept<K, V>>);

struct Kept<K, V> {
    entries: HashMap<K, V>,
    digests: usize,
}

/// Some 10 MB of keys of each kind,
const MOST: usize = 50_000;
/// and some 30 MB of what they stand for: an entry may have thousands of digests.
const MOST_DIGESTS: usize = 400_000;

/// How many digests a value holds.
pub(super) trait Digests {
    fn count(&self) -> usize;
}

impl Digests for Digest {
    fn count(&self) -> usize {
        1
    }
}

/// A line of text.
impl Digests for Arc<str> {
    fn count(&self) -> usize {
        1
    }
}

impl Digests for Vec<Digest> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { entries: HashMap::new(), digests: 0 }))
    }
}

impl<K: Eq + Hash, V: Clone + Digests> Bounded<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.kept().entries.get(key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut kept = self.kept();
        if kept.entries.len() >= MOST || kept.digests + value.count() > MOST_DIGESTS {
            (kept.entries, kept.digests) = (HashMap::new(), 0);
        }
        kept.digests += value.count();
        if let Some(before) = kept.entries.insert(key, value) {
            kept.digests -= before.count();
        }
    }

    pub(super) fn remove(&self, key: &K) {
        let mut kept = self.kept();
        if let Some(before) = kept.entries.remove(key) {
            kept.digests -= before.count();
        }
    }

    pub(super) fn retain(&self, is_kept: impl Fn(&K, &V) -> bool) {
        let mut kept = self.kept();
        kept.entries.retain(|key, value| is_kept(key, value));
        kept.digests = kept.entries.values().map(Digests::count).sum();
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_long_values_are_too_much_as_well() {
        let (memory, long) = (Bounded::default(), vec![Digest::of(b"a"); 10_000]);
        for key in 0..1000 {
            memory.insert(key, long.clone());
            memory.insert(key, long.clone());
            assert!(memory.kept().digests <= MOST_DIGESTS && memory.get(&key).is_some());
        }
        memory.retain(|key, _| *key == 999);
        assert_eq!(memory.kept().digests, long.len());
    }
}
