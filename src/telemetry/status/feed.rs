//! What happens, kept for a while for those who follow it: each reads on from where it is, at its own pace. Who is too slow
//! is told how many events it missed, and nobody holds up anybody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// So many events are kept,
const MOST: usize = 1024;
/// of so many bytes in all.
const MOST_BYTES: usize = 1 << 20;
/// Who reads on gets so many at once.
const AT_ONCE: usize = 64;

/// The last events.
#[derive(Debug)]
pub struct Feed {
    kept: Mutex<Kept>,
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    bytes: usize,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number: each has the next one, from 1 on.
    pub number: u64,
    /// What kind of event it is.
    pub name: &'static str,
    /// What happened, as JSON.
    pub data: Arc<str>,
}

/// What there is to read on.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    /// How many events are kept no more that should come first.
    pub missed: u64,
    /// The next events; there may be more.
    pub events: Vec<Event>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { kept: Mutex::default(), latest: watch::Sender::new(0) }
    }
}

impl Feed {
    /// Something happened.
    pub fn tell(&self, name: &'static str, what: &impl Serialize) {
        // What cannot be written as JSON is a fault that the tests of the documents find.
        let Ok(data) = serde_json::to_string(what) else { return };
        let mut kept = self.kept();
        let number = *self.latest.borrow() + 1;
        kept.bytes += data.len();
        kept.events.push_back(Event { number, name, data: data.into() });
        while kept.events.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.events.pop_front() else { break };
            kept.bytes -= oldest.data.len();
        }
        self.latest.send_replace(number);
    }

    /// The number of the last event, and a way to wait for the next.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What came after the event of this number.
    pub fn after(&self, number: u64) -> News {
        let kept = self.kept();
        let next = *self.latest.borrow() + 1;
        let oldest = kept.events.front().map_or(next, |event| event.number);
        let missed = oldest.saturating_sub(number + 1);
        let events = kept.events.iter().filter(|event| event.number > number).take(AT_ONCE).cloned().collect();
        News { missed, events }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(news: &News) -> Vec<u64> {
        news.events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn who_follows_reads_on_from_where_it_is() {
        let feed = Feed::default();
        assert_eq!(feed.after(0), News { missed: 0, events: Vec::new() });
        feed.tell("one", &1);
        feed.tell("two", &"zwei");
        assert_eq!(numbers(&feed.after(0)), [1, 2]);
        assert_eq!(feed.after(1).events, [Event { number: 2, name: "two", data: "\"zwei\"".into() }]);
        assert_eq!(feed.after(2), News { missed: 0, events: Vec::new() });
    }

    #[test]
    fn who_is_too_slow_is_told_how_much_it_missed_and_reads_on_in_parts() {
        let feed = Feed::default();
        (0..MOST + 10).for_each(|number| feed.tell("event", &number));
        let news = feed.after(3);
        assert_eq!(news.missed, 7);
        assert_eq!(news.events.len(), AT_ONCE);
        assert_eq!(feed.after(news.events[AT_ONCE - 1].number).missed, 0);
    }

    #[test]
    fn large_events_are_bounded_by_their_bytes() {
        let feed = Feed::default();
        let large = "x".repeat(MOST_BYTES / 4);
        (0..10).for_each(|_| feed.tell("event", &large));
        assert_eq!(numbers(&feed.after(0)), [8, 9, 10]);
        feed.tell("event", &"x".repeat(MOST_BYTES));
        assert_eq!(feed.after(10), News { missed: 1, events: Vec::new() }, "it is too large by itself");
        assert_eq!(*feed.follow().borrow(), 11);
    }
}
