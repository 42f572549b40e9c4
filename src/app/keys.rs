//! Requests that may come again: by the key that its client gave it, one is known for an hour. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::server::Key;

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
    id: String,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'k> {
    /// Nothing.
    New,
    /// The same request came before, and got this id.
    Same(&'k str),
    /// It was another request's.
    Taken,
}

impl Keys {
    pub(super) fn look(&self, key: &Key, now: Instant) -> Seen<'_> {
        let is_young = |known: &&Known| now.saturating_duration_since(known.since) < LIFETIME;
        match self.0.iter().filter(is_young).find(|known| known.key.name == key.name) {
            None => Seen::New,
            Some(known) if known.key.request == key.request => Seen::Same(&known.id),
            Some(_) => Seen::Taken,
        }
    }

    /// A request with this key got this id, whatever it got before.
    pub(super) fn note(&mut self, key: Key, id: String, now: Instant) {
        self.0.retain(|known| known.key.name != key.name);
        while self.0.len() >= MOST
            || self.0.front().is_some_and(|known| now.saturating_duration_since(known.since) >= LIFETIME)
        {
            self.0.pop_front();
        }
        self.0.push_back(Known { since: now, key, id });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, request: &str) -> Key {
        Key { name: name.to_owned(), request: request.to_owned() }
    }

    #[test]
    fn a_key_means_its_request_for_an_hour() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.look(&key("a", "sync hello"), now), Seen::New);
        keys.note(key("a", "sync hello"), "1".to_owned(), now);
        assert_eq!(keys.look(&key("a", "sync hello"), now), Seen::Same("1"));
        assert_eq!(keys.look(&key("a", "sync other"), now), Seen::Taken);
        assert_eq!(keys.look(&key("b", "sync hello"), now), Seen::New);
        assert_eq!(keys.look(&key("a", "sync other"), now + LIFETIME), Seen::New);
    }

    #[test]
    fn so_many_keys_are_known_at_most() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        (0..=MOST).for_each(|number| keys.note(key(&number.to_string(), "sync"), number.to_string(), now));
        assert_eq!(keys.0.len(), MOST);
        assert_eq!(keys.look(&key("0", "sync"), now), Seen::New);
        keys.note(key("a", "sync"), "a".to_owned(), now + LIFETIME);
        assert_eq!(keys.0.len(), 1);
    }
}
