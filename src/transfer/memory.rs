//! What a process remembers from run to run: it saves requests only. Losing it loses nothing.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::content::Location;
use crate::oci::{Digest, Platform, Tag};

/// Facts that stay true, and what was last seen to be in place.
#[derive(Default)]
pub(super) struct Memory {
    /// The former.
    pub(super) facts: Arc<Facts>,
    /// What the source listed as referring to a document, when all of it was at this target.
    pub(super) referrers: Bounded<(Location, Digest), Seen<Vec<Digest>>>,
    /// What a tag pointed at when the target had the same.
    pub(super) tags: Bounded<(Location, Tag), Seen<Digest>>,
}

/// Something that was seen to be in place at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen<V> {
    pub(super) value: V,
    /// When the target was asked.
    pub(super) at: SystemTime,
    /// Whether this process did: what an earlier one has seen ages also while nobody runs.
    by_us: bool,
}

impl<V> Seen<V> {
    pub(super) fn now(value: V) -> Self {
        Self { value, at: SystemTime::now(), by_us: true }
    }

    pub(super) fn earlier(value: V, at: SystemTime) -> Self {
        Self { value, at, by_us: false }
    }

    /// What was seen, if it is believed still. Of earlier processes it is for so long, if at all, and not where the clock
    /// went back since: nobody knows then how long ago that was.
    pub(super) fn believed(self, earlier: Option<Duration>) -> Option<V> {
        let is_young = |longest: Duration| self.at.elapsed().is_ok_and(|age| age < longest);
        (self.by_us || earlier.is_some_and(is_young)).then_some(self.value)
    }
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
    /// What has changed since somebody asked, if anybody does.
    changed: Option<Changed<K>>,
}

enum Changed<K> {
    These(HashSet<K>),
    /// It was all forgotten in between.
    Everything,
}

/// What has changed of a map.
pub(super) struct Changes<K, V> {
    /// Whether these are all entries that there are.
    pub(super) is_all: bool,
    /// The entries as they are now; none for those that are gone.
    pub(super) entries: Vec<(K, Option<V>)>,
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

impl<V: Digests> Digests for Seen<V> {
    fn count(&self) -> usize {
        self.value.count()
    }
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { entries: HashMap::new(), digests: 0, changed: None }))
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Digests> Bounded<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.kept().entries.get(key).cloned()
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let mut kept = self.kept();
        kept.note(&key);
        if kept.entries.len() >= MOST || kept.digests + value.count() > MOST_DIGESTS {
            (kept.entries, kept.digests) = (HashMap::new(), 0);
            kept.changed = kept.changed.take().map(|_| Changed::Everything);
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
            kept.note(key);
        }
    }

    pub(super) fn retain(&self, is_kept: impl Fn(&K, &V) -> bool) {
        let mut kept = self.kept();
        let gone = kept.entries.iter().filter(|(key, value)| !is_kept(key, value)).map(|(key, _)| key.clone());
        for key in gone.collect::<Vec<K>>() {
            kept.entries.remove(&key);
            kept.note(&key);
        }
        kept.digests = kept.entries.values().map(Digests::count).sum();
    }

    /// From now on somebody asks what has changed.
    pub(super) fn watch(&self) {
        self.kept().changed = Some(Changed::These(HashSet::new()));
    }

    /// What has changed since this was asked before.
    pub(super) fn changes(&self) -> Changes<K, V> {
        let mut kept = self.kept();
        let changed = kept.changed.as_mut().map(|now| std::mem::replace(now, Changed::These(HashSet::new())));
        match changed {
            Some(Changed::Everything) => Changes { is_all: true, entries: kept.all() },
            Some(Changed::These(keys)) => {
                let now = |key: K| (key.clone(), kept.entries.get(&key).cloned());
                Changes { is_all: false, entries: keys.into_iter().map(now).collect() }
            }
            None => Changes { is_all: false, entries: Vec::new() },
        }
    }

    pub(super) fn all(&self) -> Vec<(K, Option<V>)> {
        self.kept().all()
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    fn note(&mut self, key: &K) {
        if let Some(Changed::These(keys)) = &mut self.changed {
            keys.insert(key.clone());
        }
    }

    fn all(&self) -> Vec<(K, Option<V>)> {
        self.entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
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

    #[test]
    fn what_has_changed_is_told_once_to_who_asks() {
        let (memory, digest) = (Bounded::default(), Digest::of(b"a"));
        memory.insert(0, digest.clone());
        assert!(memory.changes().entries.is_empty(), "nobody asked");
        memory.watch();
        (1..4).for_each(|key| memory.insert(key, digest.clone()));
        memory.remove(&1);
        memory.remove(&9);
        memory.retain(|key, _| *key != 2);
        let mut changed = memory.changes().entries;
        changed.sort_by_key(|(key, _)| *key);
        assert_eq!(changed, [(1, None), (2, None), (3, Some(digest.clone()))]);
        assert!(memory.changes().entries.is_empty());

        (0..=MOST).for_each(|key| memory.insert(key, digest.clone()));
        let changes = memory.changes();
        assert!(changes.is_all);
        assert_eq!(changes.entries.len(), memory.all().len());
        assert!(!memory.changes().is_all);
    }

    #[test]
    fn what_an_earlier_process_saw_is_believed_for_a_while_and_not_by_a_clock_that_went_back() {
        let now = SystemTime::now();
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        assert_eq!(Seen::now(1).believed(None), Some(1));
        assert_eq!(Seen::earlier(1, now - minute).believed(None), None);
        assert_eq!(Seen::earlier(1, now - minute).believed(Some(hour)), Some(1));
        assert_eq!(Seen::earlier(1, now - hour).believed(Some(hour)), None);
        assert_eq!(Seen::earlier(1, now + minute).believed(Some(hour)), None);
    }
}
