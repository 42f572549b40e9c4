//! Tags with what they pointed at, small enough to be written down by each run: 64 bytes each.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::transfer::AtTarget;

/// So many tags in one message: some 260 kB, of which a server takes one megabyte.
const IN_A_PART: usize = 4096;

/// So many of one rule, some 13 MB. More are not kept: they are asked for.
const MOST: usize = 200_000;

/// The last moves by their keys: the number, if they are over.
pub(super) type Heard = HashMap<String, Option<u64>>;

/// Tags, each by a hash of its name.
#[derive(Default)]
pub(super) struct Set(HashMap<u128, AtTarget>);

/// A part of it, as it stands in the bucket.
#[derive(Serialize, Deserialize)]
pub(super) struct Part {
    base: u64,
    /// Of each tag the name and the digest, 16 and 32 bytes.
    tags: String,
    /// Those that were moved after the base: which of them, and the number of the move.
    moved: Vec<(usize, u64)>,
}

impl Set {
    /// What a tag points at, if it does still: `base` is what the set was kept with, and `heard` the tag's last move since
    /// then.
    pub(super) fn get(&self, name: u128, base: u64, heard: Option<&Option<u64>>) -> Option<AtTarget> {
        let at = self.0.get(&name)?;
        let holds = match heard {
            None => at.last <= base,
            Some(ended) => *ended == Some(at.last),
        };
        holds.then(|| at.clone())
    }

    /// Other digests than those that every registry speaks are not kept.
    pub(super) fn insert(&mut self, name: u128, at: AtTarget) {
        if matches!(at.digest, Digest::Sha256(_)) && (self.0.len() < MOST || self.0.contains_key(&name)) {
            self.0.insert(name, at);
        }
    }

    /// All of it, to be kept with a base. Until then nothing else was heard of what was moved before it.
    pub(super) fn parts(&self, base: u64) -> Vec<Part> {
        let tags: Vec<(&u128, &AtTarget)> = self.0.iter().collect();
        tags.chunks(IN_A_PART).map(|tags| Part::of(base, tags)).collect()
    }

    /// Takes what was kept with this base, and nothing of another.
    pub(super) fn take(&mut self, part: &Part, base: u64) {
        let bytes = BASE64_STANDARD.decode(&part.tags).unwrap_or_default();
        if part.base != base {
            return;
        }
        let moved: HashMap<usize, u64> = part.moved.iter().copied().collect();
        for (number, tag) in bytes.chunks_exact(48).enumerate() {
            let (name, digest) = tag.split_at(16);
            if let (Ok(name), Ok(digest)) = (name.try_into(), digest.try_into()) {
                let last = moved.get(&number).copied().unwrap_or(0);
                self.insert(u128::from_be_bytes(name), AtTarget { digest: Digest::Sha256(digest), last });
            }
        }
    }
}

impl Part {
    fn of(base: u64, all: &[(&u128, &AtTarget)]) -> Self {
        let (mut tags, mut moved) = (Vec::with_capacity(all.len() * 48), Vec::new());
        for (number, (name, at)) in all.iter().enumerate() {
            if let Digest::Sha256(digest) = &at.digest {
                tags.extend(name.to_be_bytes());
                tags.extend(digest);
            }
            if at.last > base {
                moved.push((number, at.last));
            }
        }
        Self { base, tags: BASE64_STANDARD.encode(tags), moved }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::queue::message::written;

    fn at(last: u64) -> AtTarget {
        AtTarget { digest: Digest::of(b"a"), last }
    }

    #[test]
    fn what_nobody_has_moved_since_holds() {
        let mut set = Set::default();
        set.insert(1, at(7));
        assert_eq!(set.get(1, 10, None), Some(at(7)));
        assert_eq!(set.get(2, 10, None), None);
        assert_eq!(set.get(1, 5, None), None, "its own move is not to be heard of any more");
    }

    #[test]
    fn of_what_was_moved_since_its_own_move_alone_holds_once_it_is_over() {
        let mut set = Set::default();
        set.insert(1, at(12));
        assert_eq!(set.get(1, 10, Some(&Some(12))), Some(at(12)));
        for moved in [None, Some(11), Some(13)] {
            assert_eq!(set.get(1, 10, Some(&moved)), None);
        }
    }

    #[test]
    fn a_server_takes_a_part_however_many_tags_there_are() {
        let mut set = Set::default();
        for name in 0..MOST as u128 + 10 {
            set.insert(name << 64, at(u64::MAX));
        }
        let parts = set.parts(0);
        assert_eq!(parts.len(), MOST.div_ceil(IN_A_PART));
        assert!(parts.iter().all(|part| written(part).unwrap().len() < 500_000));
    }

    proptest! {
        #[test]
        fn what_was_kept_is_taken_with_its_base_alone(
            kept in prop::collection::hash_map(any::<u128>(), (any::<[u8; 32]>(), 0_u64..20), 0..20),
            base in 0_u64..20,
        ) {
            let mut set = Set::default();
            for (name, (digest, last)) in &kept {
                set.insert(*name, AtTarget { digest: Digest::Sha256(*digest), last: *last });
            }
            let (mut taken, mut other) = (Set::default(), Set::default());
            for part in set.parts(base) {
                taken.take(&part, base);
                other.take(&part, base + 1);
            }
            prop_assert_eq!((taken.0.len(), other.0.len()), (kept.len(), 0));
            for (name, (digest, last)) in kept {
                let there = taken.get(name, base, (last > base).then_some(&Some(last)));
                let last = if last > base { last } else { 0 };
                prop_assert_eq!(there, Some(AtTarget { digest: Digest::Sha256(digest), last }));
            }
        }
    }
}
