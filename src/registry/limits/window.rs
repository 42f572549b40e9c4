//! How many requests of one class a registry takes at once, found out by asking. Pure: the clock is a parameter.

use std::time::{Duration, Instant};

use super::Held;
use crate::events::ThrottleReason;

/// Where it begins: small, since a registry that takes more soon shows it.
const INITIAL: f64 = 4.0;
/// The first distance between requests where even one at a time is too much.
const FIRST_PACE: Duration = Duration::from_millis(100);
const LONGEST_PACE: Duration = Duration::from_secs(2);
/// A distance below this is none.
const SHORTEST_PACE: Duration = Duration::from_millis(10);

/// Grows by successes: doubled in a round trip until the registry first throttles, from then on by two. A throttled
/// request halves it, once in a round trip; below one request at a time, the distance between requests doubles instead.
#[derive(Debug)]
pub(super) struct Window {
    size: f64,
    most: f64,
    in_flight: usize,
    has_been_cut: bool,
    last_cut: Option<Instant>,
    pace: Duration,
    next: Option<Instant>,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        let most = most as f64;
        Self {
            size: INITIAL.min(most),
            most,
            in_flight: 0,
            has_been_cut: false,
            last_cut: None,
            pace: Duration::ZERO,
            next: None,
        }
    }

    /// Whether one more may go now.
    pub(super) fn check(&self, now: Instant) -> Result<(), Held> {
        if self.in_flight as f64 + 1.0 > self.size {
            return Err(Held { reason: ThrottleReason::Window, until: None, news: false });
        }
        match self.next.filter(|next| *next > now) {
            Some(next) => Err(Held { reason: ThrottleReason::Window, until: Some(next), news: false }),
            None => Ok(()),
        }
    }

    pub(super) fn enter(&mut self, now: Instant) {
        self.in_flight += 1;
        self.next = Some(now + self.pace);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
    }

    pub(super) fn succeeded(&mut self) {
        if !self.pace.is_zero() {
            self.pace = self.pace * 9 / 10;
            if self.pace < SHORTEST_PACE {
                self.pace = Duration::ZERO;
            }
            return;
        }
        let growth = if self.has_been_cut { (2.0 / self.size).min(1.0) } else { 1.0 };
        self.size = (self.size + growth).min(self.most);
    }

    /// A request that was sent at `sent` was throttled. Those that were on their way when the window was last cut say
    /// nothing new.
    pub(super) fn throttled(&mut self, sent: Instant, now: Instant) {
        if self.last_cut.is_some_and(|cut| sent <= cut) {
            return;
        }
        self.last_cut = Some(now);
        self.has_been_cut = true;
        if self.size > 1.0 {
            self.size = (self.size / 2.0).max(1.0);
        } else {
            self.pace = (self.pace * 2).clamp(FIRST_PACE, LONGEST_PACE);
        }
        self.next = Some(now + self.pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(window: &mut Window, now: Instant) -> usize {
        let before = window.in_flight;
        while window.check(now).is_ok() {
            window.enter(now);
        }
        window.in_flight - before
    }

    fn answer(window: &mut Window, count: usize) {
        for _ in 0..count {
            window.leave();
            window.succeeded();
        }
    }

    #[test]
    fn it_doubles_until_it_is_cut_and_never_outgrows_its_bound() {
        let (mut window, now) = (Window::new(20), Instant::now());
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let sent = fill(&mut window, now);
            sizes.push(sent);
            answer(&mut window, sent);
        }
        assert_eq!(sizes, [4, 8, 16, 20, 20]);
    }

    #[test]
    fn one_round_trip_cuts_it_once_and_then_it_grows_slowly() {
        let (mut window, start) = (Window::new(64), Instant::now());
        let sent = fill(&mut window, start);
        answer(&mut window, sent);
        let sent = fill(&mut window, start);
        assert_eq!(sent, 8);
        let later = start + Duration::from_millis(20);
        for _ in 0..sent {
            window.leave();
            window.throttled(start, later);
        }
        let sizes: Vec<usize> = (0..3)
            .map(|_| {
                let sent = fill(&mut window, later);
                answer(&mut window, sent);
                sent
            })
            .collect();
        assert_eq!(sizes, [4, 5, 7]);
    }

    #[test]
    fn below_one_at_a_time_it_keeps_a_distance_and_finds_the_rate() {
        const ALLOWED: Duration = Duration::from_millis(200);
        let (mut window, mut now) = (Window::new(32), Instant::now());
        let (mut last_taken, mut taken, mut refused) = (None::<Instant>, 0, 0);
        let start = now;
        while now < start + Duration::from_secs(60) {
            match window.check(now) {
                Ok(()) => {
                    window.enter(now);
                    window.leave();
                    if last_taken.is_none_or(|last| now - last >= ALLOWED) {
                        (last_taken, taken) = (Some(now), taken + 1);
                        window.succeeded();
                    } else {
                        refused += 1;
                        window.throttled(now, now);
                    }
                    now += Duration::from_millis(5);
                }
                Err(held) => now = held.until.unwrap(),
            }
        }
        assert!(taken > 150, "of the 300 that the registry would take, {taken} were");
        assert!(refused < taken / 2, "{refused} were refused, {taken} taken");
    }
}
