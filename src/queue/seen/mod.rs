//! What a rule's last run has seen in place, for the next one: a tag of a target that nobody has told of moving since
//! ([`Moves`](crate::transfer::Moves)) is there still, and need not be asked for.
//!
//! It stands in the bucket `seen`, in parts, with the number that the bucket `moves` had come to when the run began: its
//! base. The next run hears what has moved since then. That all of it is there to be heard, the base itself says: it is
//! an entry of `moves`, which drops the oldest first, and is overwritten by the run after the next. So what is written
//! late, by who lost the rule, or was left over when a bucket was lost, is never believed.

mod set;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::set::{Heard, Part, Set};
use super::bucket::Bucket;
use super::cluster::Cluster;
use super::error::Error;
use super::message::{Read, read, written};
use super::moves::{key, name};
use super::names::token;
use crate::content::Location;
use crate::events::ImageReport;
use crate::oci::{Tag, TagOrDigest};
use crate::transfer::{AtTarget, Brought, Mode, Movable, Sight, Task};

/// What has moved since the last run is heard up to so much, some 30 MB for a moment; else all is asked for.
const MOST_MOVES: u64 = 200_000;

/// What runs of a rule have seen: before this one, and this one.
pub(super) struct Seen {
    moves: Bucket,
    seen: Bucket,
    rule: String,
    base: Base,
    before: Before,
    now: Mutex<Set>,
}

/// Since when moves are heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    revision: u64,
    /// Under which of a rule's two keys it stands.
    is_odd: bool,
}

/// What the last run has left.
#[derive(Default)]
struct Before {
    set: Set,
    base: u64,
    heard: Heard,
}

/// How a rule's set begins.
#[derive(Serialize, Deserialize)]
struct Head {
    base: Base,
    parts: usize,
}

impl Seen {
    /// At the beginning of a run that follows, or checks again.
    ///
    /// # Errors
    /// If NATS does not say: such a run asks for everything, and leaves nothing to the next.
    pub(super) async fn begin(cluster: &Cluster, rule: &str) -> Result<Self, Error> {
        let (moves, seen, rule) = (cluster.moves(), cluster.seen(), token(rule));
        let head = seen.get(&rule).await?.and_then(|entry| match read::<Head>(&entry.value) {
            Read::Body(head) => Some(head),
            Read::Newer | Read::Garbage(_) => None,
        });
        // The one of before stays until it was read from.
        let is_odd = head.as_ref().is_some_and(|head| !head.base.is_odd);
        let revision = moves.put(&base_key(&rule, is_odd), Bytes::new()).await?;
        let mut begun = Self {
            moves,
            seen,
            rule,
            base: Base { revision, is_odd },
            before: Before::default(),
            now: Mutex::default(),
        };
        if let Some(head) = head {
            begun.before = begun.read(head).await?.unwrap_or_default();
        }
        Ok(begun)
    }

    /// None if what was heard since then may not be all.
    async fn read(&self, Head { base, parts }: Head) -> Result<Option<Before>, Error> {
        if base.revision >= self.base.revision {
            // The bucket was lost, and counts anew.
            return Ok(None);
        }
        let Some(changes) = self.moves.between(base.revision, self.base.revision, MOST_MOVES).await? else {
            return Ok(None);
        };
        let heard = changes.into_iter().map(|change| (change.key, change.value.is_none().then_some(change.revision)));
        let heard: HashMap<_, _> = heard.collect();
        let mut set = Set::default();
        for part in 0..parts {
            let Some(entry) = self.seen.get(&part_key(&self.rule, part)).await? else { continue };
            if let Read::Body(part) = read::<Part>(&entry.value) {
                set.take(&part, base.revision);
            }
        }
        // Last of all: what it vouches for has been read.
        let stands = self.moves.get(&base_key(&self.rule, base.is_odd)).await?;
        let is_whole = stands.is_some_and(|entry| entry.revision == base.revision);
        Ok(is_whole.then_some(Before { set, base: base.revision, heard }))
    }

    /// Before it is handed out: what is known of an image, if it may be believed, and that somebody wants to know more.
    pub(super) fn write_to(&self, task: &mut Task) {
        task.since = Some(self.base.revision);
        for target in task.targets.iter_mut().filter(|target| !target.is_absent) {
            if let (Mode::Follow, TagOrDigest::Tag(tag)) = (task.mode, &target.to) {
                target.seen = self.before.at(&target.location, tag);
            }
        }
    }

    /// What became of it. What was seen before this owner had the run does not count: nobody has heard what moved since.
    pub(super) fn note(&self, task: &Task, brought: &[Brought]) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, brought) in task.targets.iter().zip(brought) {
            let Brought { image: ImageReport { digest: Some(digest), .. }, sight: Some(Sight { since, last }), .. } =
                brought
            else {
                continue;
            };
            if let (TagOrDigest::Tag(tag), true) = (&target.to, *since == self.base.revision) {
                now.insert(name(&target.location, tag), AtTarget { digest: digest.clone(), last: *last });
            }
        }
    }

    /// At the end of the run, for the next one. What comes after who has lost the rule harms nobody.
    ///
    /// # Errors
    /// If NATS does not take it: the next run asks for everything.
    pub(super) async fn keep(&self) -> Result<(), Error> {
        let parts = self.now.lock().unwrap_or_else(PoisonError::into_inner).parts(self.base.revision);
        for (number, part) in parts.iter().enumerate() {
            self.put(&part_key(&self.rule, number), part).await?;
        }
        self.put(&self.rule, &Head { base: self.base, parts: parts.len() }).await
    }

    async fn put(&self, key: &str, value: &impl Serialize) -> Result<(), Error> {
        let Ok(value) = written(value) else { return Ok(()) };
        self.seen.put(key, value).await.map(drop)
    }
}

impl Before {
    fn at(&self, location: &Location, tag: &Tag) -> Option<AtTarget> {
        let heard = |what| self.heard.get(&key(&what));
        if heard(Movable::Repository(location.clone())).is_some() {
            return None;
        }
        let moved = heard(Movable::Tag(location.clone(), tag.clone()));
        self.set.get(name(location, tag), self.base, moved)
    }
}

fn base_key(rule: &str, is_odd: bool) -> String {
    format!("run.{rule}.{}", u8::from(is_odd))
}

fn part_key(rule: &str, number: usize) -> String {
    format!("{rule}.{number}")
}
