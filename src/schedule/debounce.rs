//! What is told several times in a short while, done once: pure, the clock is a parameter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so long without another word, what was told of is done;
const QUIET: Duration = Duration::from_millis(500);
/// and after so long in any case.
const LONGEST: Duration = Duration::from_secs(5);

/// Rules that somebody says have something to do. There are never more of them than rules.
#[derive(Debug, Default)]
pub struct Debounce(HashMap<Arc<str>, Told>);

#[derive(Debug, Clone, Copy)]
struct Told {
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// A rule is told of.
    pub fn tell(&mut self, rule: &Arc<str>, now: Instant) {
        let told = self.0.entry(Arc::clone(rule)).or_insert(Told { first: now, last: now });
        told.last = told.last.max(now);
    }

    /// When the next rule is due; `None` while none is told of.
    pub fn next(&self) -> Option<Instant> {
        self.0.values().map(Told::due).min()
    }

    /// A rule that is due: it is to run, and is forgotten here.
    pub fn take_due(&mut self, now: Instant) -> Option<Arc<str>> {
        let rule = self.0.iter().find(|(_, told)| told.due() <= now).map(|(rule, _)| Arc::clone(rule))?;
        self.0.remove(&rule);
        Some(rule)
    }

    /// Forgets rules that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|rule, _| is_there(rule));
    }
}

impl Told {
    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_short_intervals_is_one_and_not_put_off_for_ever() {
        let (mut debounce, rule, start) = (Debounce::default(), Arc::from("r"), Instant::now());
        debounce.tell(&rule, start);
        assert_eq!(debounce.next(), Some(start + QUIET));
        for tenths in 1..100 {
            let now = start + Duration::from_millis(100) * tenths;
            if let Some(due) = debounce.take_due(now) {
                assert_eq!((due, now), (rule, start + LONGEST));
                assert_eq!(debounce.next(), None);
                return;
            }
            debounce.tell(&rule, now);
        }
        panic!("it was never due");
    }

    #[test]
    fn rules_are_due_each_by_itself() {
        let (mut debounce, start) = (Debounce::default(), Instant::now());
        let (one, other, gone): (Arc<str>, Arc<str>, Arc<str>) = ("one".into(), "other".into(), "gone".into());
        debounce.tell(&one, start);
        debounce.tell(&gone, start);
        debounce.tell(&other, start + QUIET / 2);
        debounce.keep(|rule| rule != "gone");
        assert_eq!(debounce.take_due(start + QUIET / 2), None);
        assert_eq!(debounce.take_due(start + QUIET), Some(one));
        assert_eq!(debounce.take_due(start + QUIET), None);
        assert_eq!(debounce.next(), Some(start + QUIET / 2 + QUIET));
    }
}
