//! What a process has learnt and the next one may go on with, as rows that can be written down.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::memory::{Changes, Digests, Memory, Seen};
use super::whereabouts::{Places, Whereabouts};
use crate::content::Location;
use crate::oci::{Digest, Host, Platform, Tag};

/// What is older than this is remembered no more: whatever `recheck` says, that was another time.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One thing that is remembered; what is none is forgotten. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembered {
    /// What a tag pointed at when the target had the same as the source.
    Tag {
        /// The target.
        at: Location,
        /// Its tag.
        tag: Tag,
        /// What it pointed at, and when it was looked at.
        seen: Option<(Digest, u64)>,
    },
    /// What the source listed as referring to a document, when all of it was at the target.
    Referrers {
        /// The target.
        at: Location,
        /// The document.
        of: Digest,
        /// What referred to it, and when that was looked at.
        seen: Option<(Vec<Digest>, u64)>,
    },
    /// What a list becomes when only some platforms of it are wanted.
    Smaller {
        /// The list.
        of: Digest,
        /// The platforms.
        platforms: Vec<Platform>,
        /// What it becomes.
        is: Option<Digest>,
    },
    /// The documents that a list has.
    Listed {
        /// The list.
        of: Digest,
        /// Only those for these platforms, if there are any here.
        platforms: Vec<Platform>,
        /// The documents.
        are: Option<Vec<Digest>>,
    },
    /// The list that is composed of some documents.
    Composed {
        /// The documents.
        of: Vec<Digest>,
        /// The list.
        is: Option<Digest>,
    },
    /// Where a blob was seen.
    Blob {
        /// The registry.
        host: String,
        /// The blob.
        digest: Digest,
        /// Its repositories, and when it was seen there.
        lies: Vec<(String, u64)>,
    },
}

impl Remembered {
    /// Whether it tells how a target was, which others may have changed since; the rest stays true, or does no harm.
    pub fn is_of_a_target(&self) -> bool {
        matches!(self, Self::Tag { .. } | Self::Referrers { .. })
    }

    /// Whether it follows from documents, by what this version makes of them.
    pub fn is_of_a_version(&self) -> bool {
        matches!(self, Self::Smaller { .. } | Self::Listed { .. } | Self::Composed { .. })
    }
}

/// What has changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// Whether something was forgotten that is not among the rows: what counts then is [`Recollection::all`].
    pub is_more: bool,
    /// What is known now of what has changed.
    pub rows: Vec<Remembered>,
}

/// What an engine has learnt, and those that go on with what it has.
#[derive(Clone)]
pub struct Recollection {
    memory: Arc<Memory>,
    whereabouts: Arc<Whereabouts>,
}

impl Recollection {
    pub(super) fn new(memory: &Arc<Memory>, whereabouts: &Arc<Whereabouts>) -> Self {
        Self { memory: Arc::clone(memory), whereabouts: Arc::clone(whereabouts) }
    }

    /// Of an engine that has learnt nothing.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_nothing() -> Self {
        Self::new(&Arc::default(), &Arc::default())
    }

    /// Takes in what an earlier process has written down, a row after the other.
    pub fn recall(&self, row: Remembered) {
        let (memory, facts) = (&self.memory, &self.memory.facts);
        match row {
            Remembered::Tag { at, tag, seen } => match seen.and_then(earlier) {
                Some(seen) => memory.tags.insert((at, tag), seen),
                None => memory.tags.remove(&(at, tag)),
            },
            Remembered::Referrers { at, of, seen } => match seen.and_then(earlier) {
                Some(seen) => memory.referrers.insert((at, of), seen),
                None => memory.referrers.remove(&(at, of)),
            },
            Remembered::Smaller { of, platforms, is: Some(is) } => facts.smaller.insert((of, platforms), is),
            Remembered::Smaller { of, platforms, is: None } => facts.smaller.remove(&(of, platforms)),
            Remembered::Listed { of, platforms, are: Some(are) } => facts.listed.insert((of, platforms), are),
            Remembered::Listed { of, platforms, are: None } => facts.listed.remove(&(of, platforms)),
            Remembered::Composed { of, is: Some(is) } => facts.composed.insert(of, is),
            Remembered::Composed { of, is: None } => facts.composed.remove(&of),
            Remembered::Blob { host, digest, lies } => {
                let place = |(name, seen): (String, u64)| Some((name.parse().ok()?, time(seen)?));
                let Ok(host) = host.parse() else { return };
                self.whereabouts.recall(host, digest, lies.into_iter().filter_map(place).collect());
            }
        }
    }

    /// From now on [`Recollection::changes`] tells what has changed.
    pub fn watch(&self) {
        let (memory, facts) = (&self.memory, &self.memory.facts);
        memory.tags.watch();
        memory.referrers.watch();
        facts.smaller.watch();
        facts.listed.watch();
        facts.composed.watch();
        self.whereabouts.watch();
    }

    /// What has changed since this was asked before.
    pub fn changes(&self) -> Changed {
        let (memory, facts) = (&self.memory, &self.memory.facts);
        let mut changed = Changed::default();
        changed.take(memory.tags.changes(), tag);
        changed.take(memory.referrers.changes(), referrers);
        changed.take(facts.smaller.changes(), smaller);
        changed.take(facts.listed.changes(), listed);
        changed.take(facts.composed.changes(), composed);
        changed.take(self.whereabouts.changes(), blob);
        changed
    }

    /// All that is known.
    pub fn all(&self) -> Vec<Remembered> {
        let (memory, facts) = (&self.memory, &self.memory.facts);
        let mut rows: Vec<Remembered> = Vec::new();
        rows.extend(memory.tags.all().into_iter().map(tag));
        rows.extend(memory.referrers.all().into_iter().map(referrers));
        rows.extend(facts.smaller.all().into_iter().map(smaller));
        rows.extend(facts.listed.all().into_iter().map(listed));
        rows.extend(facts.composed.all().into_iter().map(composed));
        rows.extend(self.whereabouts.all().into_iter().map(blob));
        rows
    }
}

impl Changed {
    fn take<K, V>(&mut self, changes: Changes<K, V>, row: impl Fn((K, Option<V>)) -> Remembered) {
        self.is_more |= changes.is_all;
        self.rows.extend(changes.entries.into_iter().map(row));
    }
}

fn tag(((at, tag), seen): ((Location, Tag), Option<Seen<Digest>>)) -> Remembered {
    Remembered::Tag { at, tag, seen: seen.map(written) }
}

fn referrers(((at, of), seen): ((Location, Digest), Option<Seen<Vec<Digest>>>)) -> Remembered {
    Remembered::Referrers { at, of, seen: seen.map(written) }
}

fn smaller(((of, platforms), is): ((Digest, Vec<Platform>), Option<Digest>)) -> Remembered {
    Remembered::Smaller { of, platforms, is }
}

fn listed(((of, platforms), are): ((Digest, Vec<Platform>), Option<Vec<Digest>>)) -> Remembered {
    Remembered::Listed { of, platforms, are }
}

fn composed((of, is): (Vec<Digest>, Option<Digest>)) -> Remembered {
    Remembered::Composed { of, is }
}

fn blob(((host, digest), places): ((Host, Digest), Option<Places>)) -> Remembered {
    let lies = places.into_iter().flatten().map(|(repository, seen)| (repository.to_string(), seconds(seen)));
    Remembered::Blob { host: host.to_string(), digest, lies: lies.collect() }
}

fn written<V>(seen: Seen<V>) -> (V, u64) {
    let at = seconds(seen.at);
    (seen.value, at)
}

fn earlier<V: Digests>((value, at): (V, u64)) -> Option<Seen<V>> {
    Some(Seen::earlier(value, time(at)?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time that is not too long ago, nor still to come: then the clock went back, and nobody knows how long ago it was.
fn time(seconds: u64) -> Option<SystemTime> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    time.elapsed().is_ok_and(|age| age < OLDEST).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(at: u64) -> Vec<Remembered> {
        let (a, b): (Digest, Digest) = (Digest::of(b"a"), Digest::of(b"b"));
        let location: Location = "r.example/app".parse().unwrap();
        let platforms = vec!["linux/arm/v7".parse().unwrap(), "windows(10.0.17763.1697)/amd64".parse().unwrap()];
        vec![
            Remembered::Tag { at: location.clone(), tag: "v1".parse().unwrap(), seen: Some((a.clone(), at)) },
            Remembered::Referrers { at: location.clone(), of: a.clone(), seen: Some((vec![b.clone()], at)) },
            Remembered::Smaller { of: a.clone(), platforms: platforms.clone(), is: Some(b.clone()) },
            Remembered::Listed { of: a.clone(), platforms, are: Some(vec![b.clone()]) },
            Remembered::Composed { of: vec![a.clone(), b.clone()], is: Some(a.clone()) },
            Remembered::Blob { host: location.host.to_string(), digest: b, lies: vec![("app".to_owned(), at)] },
        ]
    }

    #[test]
    fn what_is_written_down_is_recalled() {
        let rows = rows(seconds(SystemTime::now()));
        let text = serde_json::to_string(&rows).unwrap();
        let recollection = Recollection::of_nothing();
        for row in serde_json::from_str::<Vec<Remembered>>(&text).unwrap() {
            recollection.recall(row);
        }
        assert_eq!(recollection.all(), rows);
    }

    #[test]
    fn what_was_seen_too_long_ago_or_is_to_be_seen_yet_is_not_recalled() {
        let now = seconds(SystemTime::now());
        for at in [0, now - OLDEST.as_secs() - 1, now + 60, u64::MAX] {
            let recollection = Recollection::of_nothing();
            rows(at).into_iter().for_each(|row| recollection.recall(row));
            assert_eq!(recollection.all(), rows(at)[2..5], "{at}");
        }
    }

    #[test]
    fn changes_are_rows_too_and_what_is_gone_is_one() {
        let (recollection, now) = (Recollection::of_nothing(), seconds(SystemTime::now()));
        recollection.watch();
        rows(now).into_iter().for_each(|row| recollection.recall(row));
        assert_eq!(recollection.changes().rows, rows(now));
        assert_eq!(recollection.changes().rows, []);
        let location: Location = "r.example/app".parse().unwrap();
        recollection.memory.forget(&location);
        recollection.whereabouts.forget(&location);
        let gone = recollection.changes();
        assert!(!gone.is_more && gone.rows.len() == 3, "{gone:?}");
        let again = Recollection::of_nothing();
        rows(now).into_iter().chain(gone.rows).for_each(|row| again.recall(row));
        assert_eq!(again.all(), rows(now)[2..5]);
    }
}
