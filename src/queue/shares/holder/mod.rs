//! One replica's side of a limit that is shared.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fair::divide;
use super::table::{Entry, Table};
use crate::registry::{Part, WHOLE, Wish};

/// How long what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Between two writings of one replica.
    pub beat: Duration,
    /// How long a share may be used after what was written last was sent.
    pub ttl: Duration,
    /// How much longer others leave it alone: more than clocks can differ in the meantime.
    pub margin: Duration,
}

impl Timing {
    /// What all replicas of a cluster go by.
    pub const STANDARD: Self =
        Self { beat: Duration::from_secs(1), ttl: Duration::from_secs(4), margin: Duration::from_secs(1) };
}

/// Something to write in place of the table that it was made from, and of no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Beat {
    /// What is to be written.
    pub table: Table,
    number: u64,
}

/// One replica's side of one limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    me: Arc<str>,
    timing: Timing,
    in_use: Option<Part>,
    /// What was sent and is not known to be written.
    sent: Option<Sent>,
    beats: u64,
    /// The beat of each of the others that was seen last, and when it was seen first.
    seen: BTreeMap<Arc<str>, (u64, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sent {
    number: u64,
    share: u32,
    at: Instant,
}

impl Holder {
    /// A replica that has nothing yet. No other ever has its name.
    pub fn new(me: impl Into<Arc<str>>, timing: Timing) -> Self {
        Self { me: me.into(), timing, in_use: None, sent: None, beats: 0, seen: BTreeMap::new() }
    }

    /// What may be used now.
    pub fn in_use(&self, now: Instant) -> Option<Part> {
        self.in_use.filter(|in_use| now < in_use.until)
    }

    /// Takes in what stands in the bucket, which may be old. A beat of another counts from when it is seen first.
    pub fn see(&mut self, table: &Table, now: Instant) {
        self.seen.retain(|name, _| table.replicas.contains_key(name));
        for (name, entry) in table.replicas.iter().filter(|(name, _)| **name != self.me) {
            match self.seen.get(name) {
                Some((beat, _)) if *beat == entry.beat => {}
                _ => drop(self.seen.insert(Arc::clone(name), (entry.beat, now))),
            }
        }
        // Who was taken for dead, or whose bucket is another now, has no right to anything.
        let entitled = table.replicas.get(&self.me).map_or(0, |entry| entry.share);
        self.use_at_most(entitled);
    }

    /// What to write next in place of this table. What it gives back is not used from here on.
    pub fn beat(&mut self, table: &Table, wish: Wish, now: Instant) -> Beat {
        self.see(table, now);
        let mut next = table.clone();
        next.replicas.retain(|name, _| self.is_alive(name, now));
        self.beats += 1;
        let before = next.replicas.get(&self.me).map_or(0, |entry| entry.share);
        next.replicas.insert(Arc::clone(&self.me), Entry { share: before, want: wish.want, beat: self.beats });
        let share = self.share_of(&next, before.min(wish.bound));
        if let Some(entry) = next.replicas.get_mut(&self.me) {
            entry.share = share;
        }
        self.use_at_most(share);
        self.sent = Some(Sent { number: self.beats, share, at: now });
        Beat { table: next, number: self.beats }
    }

    /// What to write to go away: nothing is used from here on.
    pub fn leave(&mut self, table: &Table) -> Table {
        (self.in_use, self.sent) = (None, None);
        let mut next = table.clone();
        next.replicas.remove(&self.me);
        next
    }

    /// A beat was written, and nobody had written in between. Of a beat that another one followed nothing is taken for
    /// certain any more.
    pub fn written(&mut self, beat: &Beat) {
        if let Some(Sent { share, at, .. }) = self.sent.take_if(|sent| sent.number == beat.number) {
            self.in_use = Some(Part { share, until: at + self.timing.ttl });
        }
    }

    /// A beat was not written, or nobody knows: nothing is to be expected of it.
    pub fn not_written(&mut self, beat: &Beat) {
        self.sent.take_if(|sent| sent.number == beat.number);
    }

    fn is_alive(&self, name: &Arc<str>, now: Instant) -> bool {
        let silent = |(_, since): &(u64, Instant)| now.saturating_duration_since(*since);
        *name == self.me || self.seen.get(name).is_none_or(|seen| silent(seen) <= self.timing.ttl + self.timing.margin)
    }

    /// Its share by what all want, no more than the others leave, and no less than what it cannot give back.
    fn share_of(&self, table: &Table, bound: u32) -> u32 {
        let wants: Vec<u32> = table.replicas.values().map(|entry| entry.want).collect();
        let place = table.replicas.keys().position(|name| *name == self.me);
        let fair = place.and_then(|place| divide(&wants).get(place).copied()).unwrap_or_default();
        fair.max(bound).min(WHOLE.saturating_sub(table.taken_beside(&self.me)))
    }

    fn use_at_most(&mut self, share: u32) {
        if let Some(in_use) = &mut self.in_use {
            in_use.share = in_use.share.min(share);
        }
    }
}
