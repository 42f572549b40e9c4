//! What comes again and again is told once, and then from time to time with its number. Pure: the clock is a parameter.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

/// So many texts of one thing are told within a pause; one that is never the same twice is not told every time either.
const MOST_TEXTS: usize = 8;

/// Things that came and are not over, by their keys.
pub(super) struct Repeats<K> {
    pause: Duration,
    hasher: RandomState,
    entries: HashMap<K, Entry>,
}

/// Whether something that came is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// For the first time.
    First,
    /// Once more: the pause is over, or it comes with another text.
    Again(Past),
    /// Not now.
    Quiet(Past),
}

/// What there was of something so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    /// How often it came.
    pub(super) times: u64,
    /// How often it came since it was last told, without this time.
    pub(super) untold: u64,
    /// How long ago it came first.
    pub(super) lasting: Duration,
}

struct Entry {
    since: Instant,
    told: Instant,
    times: u64,
    untold: u64,
    texts: Vec<u64>,
}

impl Telling {
    /// Whether it is to be told.
    pub(super) fn is_told(&self) -> bool {
        !matches!(self, Self::Quiet(_))
    }

    /// What there was of it before, if it came before.
    pub(super) fn past(&self) -> Option<Past> {
        match self {
            Self::First => None,
            Self::Again(past) | Self::Quiet(past) => Some(*past),
        }
    }
}

impl<K: Eq + Hash> Repeats<K> {
    /// Things that are told again after `pause`.
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, hasher: RandomState::new(), entries: HashMap::new() }
    }

    /// It came, with this text.
    pub(super) fn came(&mut self, key: K, text: &str, now: Instant) -> Telling {
        let text = self.hasher.hash_one(text);
        let mut is_new = false;
        let entry = self.entries.entry(key).or_insert_with(|| {
            is_new = true;
            Entry { since: now, told: now, times: 0, untold: 0, texts: vec![text] }
        });
        entry.times += 1;
        if is_new {
            return Telling::First;
        }
        let past = entry.past(now);
        if entry.has_news(text) || now.saturating_duration_since(entry.told) >= self.pause {
            entry.tell(text, self.pause, now);
            Telling::Again(past)
        } else {
            entry.untold += 1;
            Telling::Quiet(past)
        }
    }

    /// It is over. Returns what there was of it, if it came at all.
    pub(super) fn over(&mut self, key: &K, now: Instant) -> Option<Past> {
        self.entries.remove(key).map(|entry| entry.past(now))
    }

    /// Forgets all others.
    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }

    /// Forgets what was not told since: what came meanwhile was.
    pub(super) fn forget_untold_since(&mut self, moment: Instant) {
        self.entries.retain(|_, entry| entry.told >= moment);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn past(&self, now: Instant) -> Past {
        Past { times: self.times, untold: self.untold, lasting: now.saturating_duration_since(self.since) }
    }

    fn has_news(&self, text: u64) -> bool {
        self.texts.len() < MOST_TEXTS && !self.texts.contains(&text)
    }

    fn tell(&mut self, text: u64, pause: Duration, now: Instant) {
        if now.saturating_duration_since(self.told) >= pause {
            self.texts.clear();
        }
        self.texts.push(text);
        self.told = now;
        self.untold = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn past(times: u64, untold: u64, lasting: Duration) -> Past {
        Past { times, untold, lasting }
    }

    #[test]
    fn the_same_is_told_again_after_the_pause_with_its_number() {
        let (mut repeats, start) = (Repeats::new(HOUR), Instant::now());
        assert_eq!(repeats.came("a", "no", start), Telling::First);
        for minute in 1..60 {
            let quiet = Telling::Quiet(past(u64::from(minute) + 1, u64::from(minute) - 1, minute * MINUTE));
            assert_eq!(repeats.came("a", "no", start + minute * MINUTE), quiet);
        }
        assert_eq!(repeats.came("a", "no", start + HOUR), Telling::Again(past(61, 59, HOUR)));
        assert_eq!(repeats.came("a", "no", start + HOUR), Telling::Quiet(past(62, 0, HOUR)));
    }

    #[test]
    fn another_text_is_told_at_once_and_the_one_before_is_known_still() {
        let (mut repeats, now) = (Repeats::new(HOUR), Instant::now());
        repeats.came("a", "refused", now);
        assert_eq!(repeats.came("a", "reset", now), Telling::Again(past(2, 0, Duration::ZERO)));
        assert!(!repeats.came("a", "refused", now).is_told());
        assert!(!repeats.came("a", "reset", now).is_told());
    }

    #[test]
    fn what_is_over_begins_anew() {
        let (mut repeats, now) = (Repeats::new(HOUR), Instant::now());
        repeats.came("a", "no", now);
        repeats.came("a", "no", now);
        assert_eq!(repeats.over(&"a", now + MINUTE), Some(past(2, 1, MINUTE)));
        assert_eq!(repeats.over(&"a", now), None);
        assert_eq!(repeats.came("a", "no", now), Telling::First);
    }

    #[test]
    fn keys_are_told_each_by_itself_and_can_be_forgotten() {
        let (mut repeats, now) = (Repeats::new(HOUR), Instant::now());
        repeats.came("a", "no", now);
        assert_eq!(repeats.came("b", "no", now), Telling::First);
        repeats.retain(|key| *key == "b");
        assert_eq!(repeats.came("a", "no", now), Telling::First);
        assert!(!repeats.came("b", "no", now).is_told());
    }

    #[test]
    fn what_was_not_told_for_long_can_be_forgotten() {
        let (mut repeats, now) = (Repeats::new(HOUR), Instant::now());
        repeats.came("a", "no", now);
        repeats.came("b", "no", now + HOUR);
        repeats.forget_untold_since(now + MINUTE);
        assert_eq!(repeats.came("a", "no", now + HOUR), Telling::First);
        assert!(!repeats.came("b", "no", now + HOUR).is_told());
    }

    proptest! {
        #[test]
        fn one_text_is_told_once_a_pause_and_never_missed(gaps in prop::collection::vec(0_u64..2000, 1..100)) {
            let (mut repeats, start) = (Repeats::new(HOUR), Instant::now());
            let (mut now, mut told, mut untold) = (start, None::<Instant>, 0);
            for (before, gap) in gaps.into_iter().enumerate() {
                now += Duration::from_secs(gap);
                let telling = repeats.came((), "no", now);
                let is_due = told.is_none_or(|told| now - told >= HOUR);
                prop_assert_eq!(telling.is_told(), is_due);
                if let Some(told) = telling.past() {
                    prop_assert_eq!((told.times, told.untold), (before as u64 + 1, untold));
                }
                untold = if is_due { 0 } else { untold + 1 };
                told = if is_due { Some(now) } else { told };
            }
        }

        #[test]
        fn however_often_the_text_changes_it_is_told_a_few_times_a_pause(
            texts in prop::collection::vec("[a-z]{0,3}", 1..200),
        ) {
            let (mut repeats, now) = (Repeats::new(HOUR), Instant::now());
            let told = texts.iter().filter(|text| repeats.came((), text, now).is_told()).count();
            let mut different = texts.clone();
            different.sort();
            different.dedup();
            prop_assert_eq!(told, different.len().min(MOST_TEXTS));
        }
    }
}
