//! When: which rules are due. Pure: the clocks are a parameter.
//!
//! Two clocks count. Intervals go by the time that passes, cron by the date. [`Timetable`] takes both with every look. A
//! date that leaps ahead of the time that passed tells that the machine slept. Of many machines that share their rules
//! none has another's time that passed: [`ClusterTimetable`] goes by the date alone.

mod clock;
mod cluster;
mod common;
mod cron;
mod debounce;
mod grid;
#[cfg(test)]
mod tests;
mod ticks;
mod timetable;
mod zone;

use std::time::Duration;

use jiff::Timestamp;

pub use clock::Now;
pub use cluster::{ClusterTimetable, DueTick, is_news};
pub use cron::{Cron, InvalidCron};
pub use debounce::Debounce;
pub use timetable::{Due, Planned, Timetable};
pub use zone::Zone;

/// When a rule runs, beside its first run at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// So long from the start of one run to the start of the next.
    Every(Duration),
    /// At times of the day, by the calendar of a time zone.
    Cron(Cron),
}

impl Schedule {
    /// The longest time from one tick to the next, as of `now`: what is older than that was not run when it was due.
    pub fn longest_wait(&self, now: Timestamp) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::Cron(cron) => cron.longest_wait(now),
        }
    }

    /// The shortest time from one tick to the next: whoever is put off for longer misses one. Where a clock changes, two
    /// ticks of cron may come closer.
    pub fn shortest_wait(&self) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::Cron(cron) => cron.shortest_wait(),
        }
    }
}

/// All that is said of a rule's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// When it runs.
    pub schedule: Schedule,
    /// Each tick is put off by a time of its own, from none to this. More than [`Schedule::shortest_wait`] skips ticks.
    pub jitter: Duration,
    /// How often a run looks below unchanged tags too; never if there is none.
    pub recheck: Option<Duration>,
}

impl Timing {
    /// The longest time from the start of one run to the next: see [`Schedule::longest_wait`].
    pub fn longest_wait(&self, now: Timestamp) -> Duration {
        self.schedule.longest_wait(now) + self.jitter
    }
}

impl Default for Timing {
    /// Every hour, at once, with a look below unchanged tags every day.
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        Self { schedule: Schedule::Every(HOUR), jitter: Duration::ZERO, recheck: Some(24 * HOUR) }
    }
}
