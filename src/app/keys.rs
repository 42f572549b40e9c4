//! Requests that may come again: by the key that its client gave it, one is known for an hour. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::server::{Key, SyncAccepted};

/// So long a key is known,
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// and so many of them at once.
const MOST: usize = 2000;

/// The keys that are known, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Keys(VecDeque<Known>);

#[derive(Debug)]
struct Known {
    since: Instant,
    key: Key,
    answer: Answered,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// With this run.
    Run(SyncAccepted),
    /// With the import of this id.
    Import(String),
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'k> {
    /// Nothing.
    New,
    /// The same request came before, and was answered so.
    Same(&'k Answered),
    /// It was another request's.
    Taken,
}

impl Keys {
    pub(super) fn look(&self, key: &Key, now: Instant) -> Seen<'_> {
        let is_young = |known: &&Known| now.saturating_duration_since(known.since) < LIFETIME;
        match self.0.iter().filter(is_young).find(|known| known.key.name == key.name) {
            None => Seen::New,
            Some(known) if known.key.request == key.request => Seen::Same(&known.answer),
            Some(_) => Seen::Taken,
        }
    }

    /// A request with this key is answered so, whatever it was before.
    pub(super) fn note(&mut self, key: Key, answer: Answered, now: Instant) {
        self.0.retain(|known| known.key.name != key.name);
        while self.0.len() >= MOST
            || self.0.front().is_some_and(|known| now.saturating_duration_since(known.since) >= LIFETIME)
        {
            self.0.pop_front();
        }
        self.0.push_back(Known { since: now, key, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, request: &str) -> Key {
        Key { name: name.to_owned(), request: request.to_owned() }
    }

    fn import(number: usize) -> Answered {
        Answered::Import(number.to_string())
    }

    #[test]
    fn a_key_means_its_request_for_an_hour() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.look(&key("a", "sync hello"), now), Seen::New);
        keys.note(key("a", "sync hello"), import(1), now);
        assert_eq!(keys.look(&key("a", "sync hello"), now), Seen::Same(&import(1)));
        assert_eq!(keys.look(&key("a", "sync other"), now), Seen::Taken);
        assert_eq!(keys.look(&key("b", "sync hello"), now), Seen::New);
        assert_eq!(keys.look(&key("a", "sync other"), now + LIFETIME), Seen::New);
    }

    #[test]
    fn so_many_keys_are_known_at_most() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        (0..=MOST).for_each(|number| keys.note(key(&number.to_string(), "sync"), import(number), now));
        assert_eq!(keys.0.len(), MOST);
        assert_eq!(keys.look(&key("0", "sync"), now), Seen::New);
        keys.note(key("a", "sync"), import(0), now + LIFETIME);
        assert_eq!(keys.0.len(), 1);
    }
}
