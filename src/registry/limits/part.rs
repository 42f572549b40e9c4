//! A limit that several processes keep together: which part of it is this one's, and how much of it this one wants.
//! Pure: the clock is a parameter.

use std::time::{Duration, Instant};

use super::rate::Rate;

/// All of a limit: parts are told in millionths.
pub const WHOLE: u32 = 1_000_000;

/// What may be used of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// How much of a million.
    pub share: u32,
    /// From then on nothing.
    pub until: Instant,
}

/// What is wanted of a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// What would be used of all of it.
    pub want: u32,
    /// What cannot be given back now, of what is had: connections that are open.
    pub bound: u32,
}

/// Who uses so much of what it has would use more.
const NEARLY_ALL: f64 = 0.8;
/// Who uses less than that has room to grow until its next part.
const ROOM: f64 = 1.5;
/// Wants that differ by less than this are one: parts that change at every beat are of no use.
const STEP: u32 = WHOLE / 16;

/// One process's side of a limit.
#[derive(Debug)]
pub(super) struct Ours {
    part: Part,
    used: Meter,
    /// Somebody waits who would not have to with a part that is large enough.
    is_lacking: bool,
}

impl Ours {
    /// Nothing yet.
    pub(super) fn none(now: Instant) -> Self {
        Self { part: Part { share: 0, until: now }, used: Meter::default(), is_lacking: false }
    }

    /// The share that may be used now.
    pub(super) fn share(&self, now: Instant) -> u32 {
        if now < self.part.until { self.part.share } else { 0 }
    }

    pub(super) fn give(&mut self, part: Part) {
        self.is_lacking &= part.share == 0;
        self.part = part;
    }

    /// Somebody is kept waiting by it. Whether that is news, and nothing is to be had of it.
    pub(super) fn lacks(&mut self, now: Instant) -> bool {
        !std::mem::replace(&mut self.is_lacking, true) && self.share(now) == 0
    }

    /// So much was used of it.
    pub(super) fn uses(&mut self, amount: f64, now: Instant) {
        self.used.count(amount, now);
    }

    /// How much a second was used lately.
    pub(super) fn used_a_second(&mut self, now: Instant) -> f64 {
        self.used.a_second(now)
    }

    /// How much of it is wanted, by what of `whole` is used and what is `granted`: if anything, `least` of it.
    pub(super) fn want(&self, used: f64, granted: f64, whole: f64, least: u32) -> u32 {
        if self.is_lacking || (used > 0.0 && used >= granted * NEARLY_ALL) {
            return WHOLE;
        }
        if used <= 0.0 {
            return 0;
        }
        let want = (used * ROOM / whole * f64::from(WHOLE)).min(f64::from(WHOLE)) as u32;
        want.next_multiple_of(STEP).max(least).min(WHOLE)
    }
}

/// How much a second lately: over the last two seconds that are over.
#[derive(Debug, Default)]
struct Meter {
    second: Option<Instant>,
    counting: f64,
    last: [f64; 2],
}

impl Meter {
    fn count(&mut self, amount: f64, now: Instant) {
        self.pass(now);
        self.counting += amount;
    }

    fn a_second(&mut self, now: Instant) -> f64 {
        self.pass(now);
        f64::midpoint(self.last[0], self.last[1])
    }

    fn pass(&mut self, now: Instant) {
        const SECOND: Duration = Duration::from_secs(1);
        let began = *self.second.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_secs();
        match passed {
            0 => return,
            1 => self.last = [self.last[1], self.counting],
            2 => self.last = [self.counting, 0.0],
            _ => self.last = [0.0, 0.0],
        }
        (self.second, self.counting) = (Some(began + SECOND * u32::try_from(passed).unwrap_or(u32::MAX)), 0.0);
    }
}

impl Rate {
    /// A part of it. In any second no more is let through than that part of rate and burst together, so that all parts
    /// together let through what the whole does: where a part has less than one request of the burst, which it needs to
    /// send anything at all, it pays for that with its rate, but with no more than half of it.
    pub(super) fn part(self, share: u32) -> Self {
        let part = part_of_one(share);
        let burst = self.burst_of(share);
        let rate = self.per_second * part;
        let in_a_second = (self.per_second + f64::from(self.burst.get())) * part;
        Self { per_second: rate.min(in_a_second - f64::from(burst.get())).max(rate / 2.0), burst }
    }

    fn burst_of(self, share: u32) -> std::num::NonZeroU32 {
        let burst = u64::from(self.burst.get()) * u64::from(share) / u64::from(WHOLE);
        let burst = u32::try_from(burst).ok().and_then(std::num::NonZeroU32::new);
        burst.unwrap_or(std::num::NonZeroU32::MIN)
    }

    /// The least part that is of use: two requests in a second.
    pub(super) fn least(self) -> u32 {
        let least = 2.0 / (self.per_second + f64::from(self.burst.get()));
        (least.min(1.0) * f64::from(WHOLE)) as u32
    }
}

/// A share as a number from 0 to 1.
pub(super) fn part_of_one(share: u32) -> f64 {
    f64::from(share) / f64::from(WHOLE)
}

/// A part of so many connections: one at least, so that a part is of use.
pub(super) fn connections(all: usize, share: u32) -> usize {
    let part = (all as u64 * u64::from(share)) / u64::from(WHOLE);
    if share == 0 { 0 } else { usize::try_from(part).unwrap_or(all).max(1) }
}

/// The smallest share with so many connections.
pub(super) fn share_of(connections: usize, all: usize) -> u32 {
    let share = (connections as u64 * u64::from(WHOLE)).div_ceil(all.max(1) as u64);
    u32::try_from(share).unwrap_or(WHOLE).min(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    fn fifty() -> Rate {
        Rate { per_second: 50.0, burst: NonZeroU32::new(5).unwrap() }
    }

    #[test]
    fn a_third_of_fifty_is_all_of_a_third() {
        let third = fifty().part(333_333);
        assert_eq!(third.burst.get(), 1);
        assert!((16.6..16.7).contains(&third.per_second), "{}", third.per_second);
        assert_eq!(fifty().part(WHOLE), fifty());
    }

    proptest! {
        #[test]
        fn all_parts_together_let_no_more_through_in_a_second_than_the_whole(
            weights in prop::collection::vec(1u32..1000, 1..6),
        ) {
            let sum: u32 = weights.iter().sum();
            let shares: Vec<u32> = weights.iter().map(|weight| weight * (WHOLE / sum)).collect();
            // Less than two requests in a second are not asked for.
            prop_assume!(shares.iter().all(|share| *share >= fifty().least()));
            let parts = shares.iter().map(|share| fifty().part(*share));
            let most: f64 = parts.map(|part| part.per_second + f64::from(part.burst.get())).sum();
            prop_assert!(most <= 55.0 + 1e-6, "{most}");
        }

        #[test]
        fn connections_are_divided_and_none_is_made(all in 1usize..200, weights in prop::collection::vec(1u32..100, 1..6)) {
            let sum: u32 = weights.iter().sum();
            let shares: Vec<u32> = weights.iter().map(|weight| weight * (WHOLE / sum)).collect();
            prop_assume!(shares.iter().all(|share| *share >= share_of(1, all)));
            prop_assert!(shares.iter().map(|share| connections(all, *share)).sum::<usize>() <= all);
        }

        #[test]
        fn a_share_of_some_connections_has_them(all in 1usize..1000, some in 1usize..1000) {
            prop_assume!(some <= all);
            prop_assert_eq!(connections(all, share_of(some, all)), some);
        }
    }

    #[test]
    fn who_uses_nearly_all_that_it_has_wants_all_and_who_uses_little_wants_little_more() {
        let start = Instant::now();
        let mut ours = Ours::none(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        for n in 0..40u64 {
            ours.uses(1.0, start + Duration::from_millis(n * 50));
        }
        let used = ours.used_a_second(after(2));
        assert!((used - 20.0).abs() < 1e-9, "{used}");
        assert_eq!(ours.want(used, 20.0, 50.0, 0), WHOLE);
        assert_eq!(ours.want(used, 50.0, 50.0, 0), 625_000);
        assert_eq!(ours.want(ours.used.last[0], 50.0, 50.0, 700_000), 700_000, "the least that is of use");
        let used = ours.used_a_second(after(5));
        assert_eq!(ours.want(used, 50.0, 50.0, 1), 0, "nothing was used lately");
        assert!(ours.lacks(after(5)) && !ours.lacks(after(5)));
        assert_eq!(ours.want(0.0, 0.0, 50.0, 0), WHOLE, "who waits wants");
        ours.give(Part { share: 1, until: after(9) });
        assert_eq!((ours.want(0.0, 1.0, 50.0, 0), ours.share(after(8)), ours.share(after(9))), (0, 1, 0));
    }
}
