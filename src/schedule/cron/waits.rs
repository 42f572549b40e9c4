//! How far a schedule's ticks are from each other, at most and at least.
//!
//! Every hour has the same minutes and every day the same hours: an hour, a day and the days of years tell it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

use super::Cron;
use crate::schedule::Zone;

impl Cron {
    /// The longest time from one tick to the next, give or take what a clock changes by.
    pub(in crate::schedule) fn longest_wait(&self, now: Timestamp) -> Duration {
        let days: Vec<_> = self.firsts(now, next_day).skip(1).take(DAYS_OF_A_YEAR).collect();
        let Some(first) = days.first() else { return Duration::ZERO };
        let day = self.day_of(first);
        let between_days = longest(&days).saturating_sub(day.length());
        longest(&day.minutes).max(longest(&day.hours).saturating_sub(day.of_an_hour())).max(between_days)
    }

    /// The shortest time from one tick to the next, in a zone whose clock never changes.
    pub(in crate::schedule) fn shortest_wait(&self) -> Duration {
        let cron = self.clone().in_zone(Zone::UTC);
        let mut days = cron.firsts(Timestamp::UNIX_EPOCH - SECOND, next_day).take_while(|tick| tick.year() < YEARS_END);
        let Some(first) = days.next() else { return Duration::MAX };
        let day = cron.day_of(&first);
        let between_days = shortest_between_days(first, days).saturating_sub(day.length());
        shortest(&day.minutes).min(shortest(&day.hours).saturating_sub(day.of_an_hour())).min(between_days)
    }

    /// The ticks of the day that this one is the first of.
    fn day_of(&self, first: &Zoned) -> Day {
        let next_day = first.tomorrow().unwrap_or_else(|_| first.clone());
        let hours = self.firsts(first.timestamp() - SECOND, next_hour).take_while(|tick| tick.date() < next_day.date());
        let minutes = self.firsts(first.timestamp() - SECOND, |tick| tick.checked_add(SECOND));
        let is_of_the_hour = |tick: &Zoned| (tick.date(), tick.hour()) == (first.date(), first.hour());
        Day { hours: hours.collect(), minutes: minutes.take_while(is_of_the_hour).collect() }
    }

    /// The first tick after a moment, the first from where `next` says on, and so forth.
    fn firsts(
        &self,
        from: Timestamp,
        next: impl Fn(&Zoned) -> Result<Zoned, jiff::Error>,
    ) -> impl Iterator<Item = Zoned> {
        let tick = move |from: Timestamp| self.next_after(from).map(|tick| tick.to_zoned(self.zone.0.clone()));
        std::iter::successors(tick(from), move |last| tick(next(last).ok()?.timestamp() - SECOND))
    }
}

/// A day with ticks, as all others have them.
struct Day {
    /// The first of each hour.
    hours: Vec<Zoned>,
    /// Those of one hour.
    minutes: Vec<Zoned>,
}

impl Day {
    /// From the first tick of an hour to its last.
    fn of_an_hour(&self) -> Duration {
        length(&self.minutes)
    }

    /// From the first tick to the last.
    fn length(&self) -> Duration {
        length(&self.hours) + self.of_an_hour()
    }
}

/// Less than any tick is from another.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Of a schedule with a tick each day; of others, of more years.
const DAYS_OF_A_YEAR: usize = 370;
/// From 1970 on, all years that there are: each begins on each day of the week, leap years too.
const YEARS_END: i16 = 2000;

fn next_day(tick: &Zoned) -> Result<Zoned, jiff::Error> {
    tick.tomorrow()?.start_of_day()
}

fn next_hour(tick: &Zoned) -> Result<Zoned, jiff::Error> {
    tick.with().minute(0).second(0).build()?.checked_add(SignedDuration::from_hours(1))
}

/// From the first to the last.
fn length(ticks: &[Zoned]) -> Duration {
    ticks.first().zip(ticks.last()).map(|(first, last)| apart(first, last)).unwrap_or_default()
}

/// The longest time between two that follow each other.
fn longest(ticks: &[Zoned]) -> Duration {
    ticks.windows(2).map(|two| apart(&two[0], &two[1])).max().unwrap_or_default()
}

/// The shortest time between two that follow each other.
fn shortest(ticks: &[Zoned]) -> Duration {
    ticks.windows(2).map(|two| apart(&two[0], &two[1])).min().unwrap_or(Duration::MAX)
}

/// As [`shortest`], looking no further than it has to: no two days are closer than two that follow each other.
fn shortest_between_days(first: Zoned, days: impl Iterator<Item = Zoned>) -> Duration {
    let (mut last, mut shortest) = (first, Duration::MAX);
    for day in days {
        shortest = shortest.min(apart(&last, &day));
        if shortest <= A_DAY {
            break;
        }
        last = day;
    }
    shortest
}

fn apart(tick: &Zoned, later: &Zoned) -> Duration {
    tick.duration_until(later).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    #[test]
    fn the_longest_wait_is_that_of_the_whole_year() {
        for (text, expected) in [
            ("* * * * *", HOUR / 60),
            ("*/15 * * * *", HOUR / 4),
            ("0,10 * * * *", HOUR / 6 * 5),
            ("0 */6 * * *", 6 * HOUR),
            ("0 9-17 * * *", 16 * HOUR),
            ("30 4 * * *", A_DAY),
            ("0 9-17 * * mon-fri", 2 * A_DAY + 16 * HOUR),
            ("0 0-23 1-15 * *", 16 * A_DAY + HOUR),
            ("0 * * 12,1-5 *", 183 * A_DAY + HOUR),
            ("0 3 29 2 *", (8 * 365 + 1) * A_DAY),
        ] {
            assert_eq!(cron(text).longest_wait("2026-01-05T10:20:30Z".parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn the_shortest_wait_is_that_of_all_years() {
        for (text, expected) in [
            ("* * * * *", HOUR / 60),
            ("*/15 * * * *", HOUR / 4),
            ("0,10 * * * *", HOUR / 6),
            ("0,58 * * * *", HOUR / 30),
            ("0 */6 * * *", 6 * HOUR),
            ("0 */7 * * *", 3 * HOUR),
            ("0,58 0,23 * * *", HOUR / 30),
            ("0 9-17 * * mon-fri", HOUR),
            ("30 4 * * *", A_DAY),
            ("30 4 * * MON,THU", 3 * A_DAY),
            ("0 0 1 * *", 28 * A_DAY),
            ("0 0 1,31 * *", A_DAY),
            ("0 0,23 1,31 * *", HOUR),
            ("0 0 29 2 SUN", A_DAY),
            ("0 3 29 2 *", (4 * 365 + 1) * A_DAY),
        ] {
            assert_eq!(cron(text).shortest_wait(), expected, "{text}");
        }
    }

    /// Few values, so that schedules are sparse and irregular.
    fn field(values: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = String> {
        let some = prop::collection::vec(values, 1..4);
        let listed = some.prop_map(|some| some.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
        prop_oneof![1 => Just("*".to_owned()), 3 => listed]
    }

    proptest! {
        #[test]
        fn no_two_ticks_are_closer_than_the_shortest_wait(
            fields in (field(0..=59), field(0..=23), field(1..=28), field(1..=12), field(0..=6)),
            start in 0i64..2_000_000_000,
        ) {
            let (minute, hour, day, month, weekday) = fields;
            let text = format!("{minute} {hour} {day} {month} {weekday}");
            let (cron, mut last) = (cron(&text), Timestamp::from_second(start).unwrap());
            let shortest = cron.shortest_wait();
            last = cron.next_after(last).unwrap();
            for _ in 0..200 {
                let next = cron.next_after(last).unwrap();
                let apart = next.duration_since(last).unsigned_abs();
                prop_assert!(shortest <= apart, "{text}: {shortest:?}, {apart:?}");
                last = next;
            }
        }
    }
}
