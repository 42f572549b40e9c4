//! Cron: five fields, by the wall clock of a time zone.

mod waits;

use std::sync::Arc;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{Timestamp, Zoned};

use super::zone::Zone;

/// Times of the day that a cron expression names, in a time zone.
///
/// Where the clock changes, hours that are named (`30 2 * * *`) come once: those that the clock skips when it goes
/// forward right after that, those that come twice the first time. With `*` for the hour (`*/30 * * * *`,
/// `0 */6 * * *`) the clock is followed as it goes: what is skipped falls out, what comes twice is run twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Shared: the defaults' is in many rules.
    pattern: Arc<croner::Cron>,
    zone: Zone,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    /// It has more or fewer than five fields.
    #[error(
        "{text:?} has {count} {}: cron has five here, minute, hour, day of the month, month and day of the week, as \
         \"0 */6 * * *\"",
        if *count == 1 { "field" } else { "fields" }
    )]
    Fields {
        /// The expression.
        text: String,
        /// How many it has.
        count: usize,
    },
    /// One of its fields is not understood.
    #[error(
        "{text:?} has {field:?} for the {expected}: write a number, *, or a range, list or step, as 1-5, 0,30 or */15"
    )]
    Field {
        /// The expression.
        text: String,
        /// What is not understood.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It names days that are in no year.
    #[error("{text:?} is never: no year has such a day")]
    Never {
        /// The expression.
        text: String,
    },
}

impl Cron {
    /// Reads `minute hour day-of-month month day-of-week`; the days are of UTC until [`Cron::in_zone`].
    ///
    /// # Errors
    /// If it does not have five fields, one of them is not understood, or it never comes.
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let fields: [&str; 5] = fields
            .try_into()
            .map_err(|fields: Vec<&str>| InvalidCron::Fields { text: text.to_owned(), count: fields.len() })?;
        let pattern = Arc::new(pattern(text, fields)?);
        let cron = Self { pattern, zone: Zone::UTC };
        match cron.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(InvalidCron::Never { text: text.to_owned() }),
        }
    }

    /// The same times of the day in another zone.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// The first tick after `now`. There is none at the end of all calendars.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let here = now.to_zoned(self.zone.0.clone());
        if self.pattern.pattern.hours.from_wildcard {
            return self.pattern.find_next_occurrence(&here, false).ok().map(|tick| tick.timestamp());
        }
        self.next_by_the_wall_clock(&here)
    }

    /// The next tick of one whose hours are named. What comes twice is resolved to the first time, so that the second
    /// is found to be over.
    fn next_by_the_wall_clock(&self, here: &Zoned) -> Option<Timestamp> {
        let mut civil = here.datetime();
        loop {
            civil = self.pattern.find_next_occurrence(&civil, false).ok()?;
            let tick = self.resolve(civil)?;
            if tick > here.timestamp() {
                return Some(tick);
            }
        }
    }

    fn resolve(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.0.to_ambiguous_timestamp(civil);
        let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let first = ambiguous.earlier().ok()?;
        // In a gap that is as long before the clock goes forward as the time is behind it.
        if skipped { self.zone.0.following(first).next().map(|change| change.timestamp()) } else { Some(first) }
    }
}

/// What the fields are, in their order.
const FIELDS: [&str; 5] = [
    "minute (0-59)",
    "hour (0-23)",
    "day of the month (1-31)",
    "month (1-12 or JAN-DEC)",
    "day of the week (0-7 or SUN-SAT)",
];

fn pattern(text: &str, fields: [&str; 5]) -> Result<croner::Cron, InvalidCron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    // The parser does not say which field it did not understand: each is tried among stars.
    for (index, field) in fields.into_iter().enumerate() {
        let mut alone = ["*"; 5];
        alone[index] = field;
        if slips_through(index, field) || parser.parse(&alone.join(" ")).is_err() {
            return Err(InvalidCron::Field { text: text.to_owned(), field: field.to_owned(), expected: FIELDS[index] });
        }
    }
    parser.parse(&fields.join(" ")).map_err(|_| InvalidCron::Never { text: text.to_owned() })
}

/// What the parser takes, and nobody means: lists with nothing in them, and names of days and months for numbers of
/// anything (`MON` for the first minute).
fn slips_through(index: usize, field: &str) -> bool {
    let nothing = field.trim_start_matches('+').split(',').any(str::is_empty);
    let named = index < 3 && field.contains(|c: char| c.is_alphabetic() && !"LWlw".contains(c));
    nothing || named
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The next ticks after a moment, as that zone's clocks show them.
    fn ticks(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(text).unwrap().in_zone(Zone::named(zone).unwrap());
        let mut now: Timestamp = after.parse().unwrap();
        let mut next = || {
            now = cron.next_after(now).unwrap();
            now.to_zoned(cron.zone.0.clone()).strftime("%d %H:%M %z").to_string()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn five_fields_name_times_of_the_day_in_their_zone() {
        let midnight = "2026-01-05T00:00:00Z";
        assert_eq!(
            ticks("0 */6 * * *", "UTC", midnight, 4),
            ["05 06:00 +0000", "05 12:00 +0000", "05 18:00 +0000", "06 00:00 +0000"]
        );
        assert_eq!(
            ticks("30 2 * * *", "America/New_York", midnight, 2),
            ["05 02:30 -0500", "06 02:30 -0500"],
            "midnight of UTC is the evening before in New York"
        );
        assert_eq!(
            ticks("0 9-17/4 * * mon-fri", "UTC", "2026-01-09T16:00:00Z", 2),
            ["09 17:00 +0000", "12 09:00 +0000"]
        );
        assert_eq!(
            ticks("15 4 1 * SUN", "UTC", midnight, 4),
            ["11 04:15 +0000", "18 04:15 +0000", "25 04:15 +0000", "01 04:15 +0000"]
        );
        assert_eq!(ticks("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", 1), ["29 00:00 +0000"]);
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_once_right_after_it() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["29 03:00 +0200", "30 02:30 +0200"]
        );
        assert_eq!(
            ticks("30 2,14 * * *", "America/New_York", "2026-03-08T04:00:00Z", 3),
            ["08 03:00 -0400", "08 14:30 -0400", "09 02:30 -0400"]
        );
        assert_eq!(
            ticks("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["29 03:00 +0200", "30 02:15 +0200"],
            "two in the gap are one after it"
        );
        assert_eq!(
            ticks("15,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 3),
            ["04 02:30 +1100", "04 02:40 +1100", "05 02:15 +1100"],
            "a gap of half an hour"
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_taken_the_first_time() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["25 02:30 +0200", "26 02:30 +0100"]
        );
        assert_eq!(
            ticks("15,45 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 3),
            ["01 01:15 -0400", "01 01:45 -0400", "02 01:15 -0500"]
        );
        assert_eq!(
            ticks("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", 1),
            ["02 01:30 -0500"],
            "from within the second time"
        );
    }

    #[test]
    fn with_any_hour_the_clock_is_followed_as_it_goes() {
        assert_eq!(
            ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3),
            ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"]
        );
        assert_eq!(
            ticks("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", 4),
            ["25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100"]
        );
        assert_eq!(
            ticks("0 */6 * * *", "Europe/Berlin", "2026-03-28T20:00:00Z", 3),
            ["29 00:00 +0100", "29 06:00 +0200", "29 12:00 +0200"]
        );
        assert_eq!(
            ticks("0 */6 * * *", "America/New_York", "2026-11-01T03:00:00Z", 3),
            ["01 00:00 -0400", "01 06:00 -0500", "01 12:00 -0500"]
        );
    }

    #[test]
    fn what_is_no_cron_expression_is_told_with_the_field_that_is_wrong() {
        let told = |text: &str| Cron::parse(text).unwrap_err().to_string();
        assert_eq!(
            told("* * * *"),
            "\"* * * *\" has 4 fields: cron has five here, minute, hour, day of the month, month and day of the week, \
             as \"0 */6 * * *\""
        );
        assert!(told("0 0 */6 * * *").contains("has 6 fields"));
        assert!(told("@daily").contains("has 1 field:"));
        assert_eq!(
            told("0 24 * * *"),
            "\"0 24 * * *\" has \"24\" for the hour (0-23): write a number, *, or a range, list or step, as 1-5, 0,30 \
             or */15"
        );
        for (text, field) in [
            ("61 * * * *", "minute"),
            (", * * * *", "minute"),
            ("MON 0 * * *", "minute"),
            ("5/15 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("0 9-5 * * *", "hour"),
            ("0 0 32 * *", "day of the month"),
            ("0 0 FRI * *", "day of the month"),
            ("0 0 * 13 *", "month"),
            ("0 0 * FOO *", "month"),
            ("0 0 * * 8", "day of the week"),
            ("0 0 * * MON#6", "day of the week"),
            ("0 0 * * +", "day of the week"),
        ] {
            assert!(told(text).contains(&format!("for the {field} (")), "{}", told(text));
        }
        for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(told(text), format!("{text:?} is never: no year has such a day"));
        }
    }

    proptest! {
        #[test]
        fn every_day_has_one_tick_of_a_time_of_the_day(hour in 0u32..24, minute in 0u32..60, zone in prop::sample::select(vec![
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "UTC",
        ])) {
            let zone = Zone::named(zone).unwrap();
            let cron = Cron::parse(&format!("{minute} {hour} * * *")).unwrap().in_zone(zone.clone());
            let mut now = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
            let mut day = None;
            for _ in 0..366 {
                let next = cron.next_after(now).unwrap();
                prop_assert!(next > now);
                let date = next.to_zoned(zone.0.clone()).date();
                prop_assert!(day.is_none_or(|day: jiff::civil::Date| day.tomorrow().unwrap() == date), "{day:?}, {date}");
                (now, day) = (next, Some(date));
            }
        }

        #[test]
        fn no_text_is_too_much(text in "[0-9*/,?LW#+ -]{0,24}|([0-9*]{1,2}[,/-]?[0-9L]{0,2} ){5}") {
            if let Ok(cron) = Cron::parse(&text) {
                prop_assert!(cron.next_after(Timestamp::UNIX_EPOCH).is_some());
            }
        }
    }
}
