//! The two clocks, and what is made of them.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What both clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The clock that only goes forward, and may stand still while the machine sleeps.
    pub monotonic: Instant,
    /// The clock that tells the date, and may be set.
    pub wall: Timestamp,
}

/// A moment, as schedules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The time that passes: the monotonic clock, and what it slept through.
    pub(super) passing: Instant,
    /// The date.
    pub(super) wall: Timestamp,
}

/// Keeps count of the time that the monotonic clock slept through.
#[derive(Debug)]
pub(super) struct Clock {
    seen: Now,
    slept: Duration,
}

/// The two clocks are not read at once, and run at slightly different speeds.
const INEXACT: Duration = Duration::from_secs(1);

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self { seen: now, slept: Duration::ZERO }
    }

    /// Reads the clocks. A date that went further than the monotonic clock did means that the machine slept, or was
    /// frozen by its host, or that the date was set forward. These cannot be told apart, and the last does no harm:
    /// what was due in between is due now.
    pub(super) fn look(&mut self, now: Now) -> Moment {
        let ran = now.monotonic.saturating_duration_since(self.seen.monotonic);
        let went = Duration::try_from(now.wall.duration_since(self.seen.wall)).unwrap_or_default();
        let slept = went.saturating_sub(ran);
        if slept > INEXACT {
            self.slept += slept;
        }
        self.seen = now;
        self.moment()
    }

    /// The moment of the last look.
    pub(super) fn moment(&self) -> Moment {
        Moment { passing: self.seen.monotonic + self.slept, wall: self.seen.wall }
    }

    /// What the monotonic clock says so long after the last look.
    pub(super) fn in_a_while(&self, wait: Duration) -> Instant {
        self.seen.monotonic + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn start() -> Now {
        Now { monotonic: Instant::now(), wall: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    #[test]
    fn what_the_machine_slept_through_has_passed() {
        let begun = start();
        let mut clock = Clock::new(begun);
        let asleep = Now { wall: begun.wall + 8 * HOUR, ..begun };
        assert_eq!(clock.look(asleep).passing, begun.monotonic + 8 * HOUR);
        let later = Now { monotonic: begun.monotonic + HOUR, wall: asleep.wall + HOUR };
        assert_eq!(clock.look(later).passing, begun.monotonic + 9 * HOUR);
    }

    #[test]
    fn a_date_that_is_set_back_takes_no_time_away() {
        let begun = start();
        let mut clock = Clock::new(begun);
        let set_back = Now { monotonic: begun.monotonic + HOUR, wall: begun.wall - 20 * HOUR };
        assert_eq!(clock.look(set_back).passing, begun.monotonic + HOUR);
    }

    #[test]
    fn clocks_that_differ_by_little_add_nothing_up() {
        let mut now = start();
        let (begun, mut clock) = (now.monotonic, Clock::new(now));
        for _ in 0..1000 {
            now = Now { monotonic: now.monotonic + HOUR, wall: now.wall + HOUR + Duration::from_millis(20) };
            clock.look(now);
        }
        assert_eq!(clock.moment().passing, begun + 1000 * HOUR);
    }
}
