//! Where blobs were seen to lie, kept longer than a run for who has a place to keep it: it saves bytes and requests only.
//! Losing it, or its being wrong, loses nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::memory::{Bounded, Changes, Digests};
use crate::content::Location;
use crate::oci::{Digest, Host, Repository};

/// For so long a blob is taken to be where it was seen, as what a run learns is. A registry clears away what nothing needs,
/// and not every one says so when a document names what is gone.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// Of more repositories that have a blob none is needed.
const MOST_REPOSITORIES: usize = 4;

/// Where blobs were seen. Keeps nothing until somebody watches it.
#[derive(Default)]
pub(super) struct Whereabouts {
    is_watched: AtomicBool,
    seen: Bounded<(Host, Digest), Places>,
}

/// The repositories that have a blob, each with the time when it was seen there; the latest last.
pub(super) type Places = Vec<(Repository, SystemTime)>;

impl Digests for Places {
    fn count(&self) -> usize {
        self.len()
    }
}

impl Whereabouts {
    /// From now on it keeps what it is told.
    pub(super) fn watch(&self) {
        self.seen.watch();
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// An earlier process saw a blob in these repositories.
    pub(super) fn recall(&self, host: Host, digest: Digest, places: Places) {
        match places.is_empty() {
            true => self.seen.remove(&(host, digest)),
            false => self.seen.insert((host, digest), places),
        }
    }

    /// A blob is in a repository now. A layout is asked for nothing, so that nothing is saved there.
    pub(super) fn note(&self, at: &Location, digest: &Digest) {
        if !self.is_watched.load(Ordering::Relaxed) || at.host.is_layout() {
            return;
        }
        let key = (at.host.clone(), digest.clone());
        let mut places = self.seen.get(&key).unwrap_or_default();
        places.retain(|(repository, _)| *repository != at.repository);
        places.push((at.repository.clone(), SystemTime::now()));
        places.drain(..places.len().saturating_sub(MOST_REPOSITORIES));
        self.seen.insert(key, places);
    }

    /// Whether a blob was in a repository not long ago.
    pub(super) fn was_lately_in(&self, at: &Location, digest: &Digest) -> bool {
        let is_it = |(repository, seen): &(Repository, SystemTime)| {
            *repository == at.repository && seen.elapsed().is_ok_and(|age| age < LATELY)
        };
        self.places(at, digest).iter().any(is_it)
    }

    /// The last other repository of the same registry where a blob was seen.
    pub(super) fn elsewhere(&self, at: &Location, digest: &Digest) -> Option<Repository> {
        let mut others = self.places(at, digest).into_iter().map(|(repository, _)| repository);
        others.rfind(|repository| *repository != at.repository)
    }

    /// Drops what was seen in a repository.
    pub(super) fn forget(&self, at: &Location) {
        let has_it = |(host, _): &(Host, Digest), places: &Places| {
            *host == at.host && places.iter().any(|(repository, _)| *repository == at.repository)
        };
        self.seen.retain(|key, places| !has_it(key, places));
    }

    /// Drops what was seen of a blob.
    pub(super) fn forget_blob(&self, host: &Host, digest: &Digest) {
        self.seen.remove(&(host.clone(), digest.clone()));
    }

    pub(super) fn changes(&self) -> Changes<(Host, Digest), Places> {
        self.seen.changes()
    }

    pub(super) fn all(&self) -> Vec<((Host, Digest), Option<Places>)> {
        self.seen.all()
    }

    fn places(&self, at: &Location, digest: &Digest) -> Places {
        self.seen.get(&(at.host.clone(), digest.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_kept_that_nobody_watches() {
        let (whereabouts, blob) = (Whereabouts::default(), Digest::of(b"blob"));
        whereabouts.note(&at("r.example/a"), &blob);
        assert!(!whereabouts.was_lately_in(&at("r.example/a"), &blob));
    }

    #[test]
    fn a_blob_is_taken_to_be_where_it_was_lately_and_may_be_mounted_from_where_it_was_once() {
        let (whereabouts, blob) = (Whereabouts::default(), Digest::of(b"blob"));
        let long_ago = SystemTime::now() - LATELY;
        whereabouts.watch();
        whereabouts.recall("r.example".parse().unwrap(), blob.clone(), vec![("a".parse().unwrap(), long_ago)]);
        whereabouts.note(&at("r.example/b"), &blob);
        assert!(!whereabouts.was_lately_in(&at("r.example/a"), &blob));
        assert!(whereabouts.was_lately_in(&at("r.example/b"), &blob));
        let elsewhere = |from: &str| whereabouts.elsewhere(&at(from), &blob).map(|repository| repository.to_string());
        assert_eq!(elsewhere("r.example/b"), Some("a".to_owned()));
        assert_eq!(elsewhere("r.example/c"), Some("b".to_owned()), "where it was seen last");
        assert_eq!(elsewhere("s.example/b"), None);
        whereabouts.forget(&at("r.example/b"));
        assert_eq!(elsewhere("r.example/c"), None);
    }

    #[test]
    fn of_many_repositories_the_latest_are_kept() {
        let (whereabouts, blob) = (Whereabouts::default(), Digest::of(b"blob"));
        whereabouts.watch();
        (0..9).for_each(|number| whereabouts.note(&at(&format!("r.example/{number}")), &blob));
        let places = whereabouts.places(&at("r.example/x"), &blob);
        let names: Vec<String> = places.iter().map(|(repository, _)| repository.to_string()).collect();
        assert_eq!(names, ["5", "6", "7", "8"]);
    }
}
