//! `schedule` and the keys beside it: when a rule runs.

use std::time::Duration;

use toml::Spanned;

use super::keys::nearest;
use super::problems::Problems;
use super::values;
use super::written::Entry;
use crate::schedule::{Cron, Schedule, Timing, Zone};

/// The keys, as rules and their defaults have them.
pub(super) struct Keys {
    pub(super) schedule: Entry<String>,
    pub(super) timezone: Entry<String>,
    pub(super) jitter: Entry<String>,
    pub(super) recheck: Entry<String>,
}

/// What holds for a rule that does not say otherwise.
pub(super) struct Defaults {
    timing: Timing,
    /// Of cron schedules; those of rules too.
    zone: Zone,
}

pub(super) fn defaults(keys: Keys, problems: &mut Problems<'_>) -> Defaults {
    let default = Timing::default();
    let zone = zone(keys.timezone, problems).unwrap_or(Zone::UTC);
    let schedule = in_zone(schedule(keys.schedule, problems).unwrap_or(default.schedule), &zone);
    let timing = Timing {
        jitter: jitter(keys.jitter, &schedule, problems).unwrap_or(default.jitter),
        schedule,
        recheck: recheck(keys.recheck, default.recheck, problems),
    };
    Defaults { timing, zone }
}

/// When a rule runs that says this itself.
pub(super) fn timing(keys: Keys, defaults: &Defaults, problems: &mut Problems<'_>) -> Timing {
    let (has_own, timezone) = (keys.schedule.is_some(), keys.timezone.as_ref().map(|timezone| timezone.span.clone()));
    let (own, zone) = (schedule(keys.schedule, problems), zone(keys.timezone, problems));
    let is_broken = has_own && own.is_none();
    let schedule = own.unwrap_or_else(|| defaults.timing.schedule.clone());
    if let (Schedule::Every(_), Some(timezone), false) = (&schedule, timezone, is_broken) {
        problems.add(&timezone, "is for cron alone: an interval is as long in every zone; leave it out, or write cron");
    }
    Timing {
        jitter: jitter(keys.jitter, &schedule, problems)
            .unwrap_or_else(|| shortened(defaults.timing.jitter, &schedule)),
        schedule: in_zone(schedule, zone.as_ref().unwrap_or(&defaults.zone)),
        recheck: recheck(keys.recheck, defaults.timing.recheck, problems),
    }
}

fn in_zone(schedule: Schedule, zone: &Zone) -> Schedule {
    match schedule {
        Schedule::Cron(cron) => Schedule::Cron(cron.in_zone(zone.clone())),
        every @ Schedule::Every(_) => every,
    }
}

/// A jitter, which may not be longer than from one tick to the next: it would put runs off until after that.
fn jitter(entry: Entry<String>, schedule: &Schedule, problems: &mut Problems<'_>) -> Option<Duration> {
    let jitter = values::parsed(entry, values::DURATION, problems, values::length)?;
    let allowed = shortened(*jitter.get_ref(), schedule);
    if allowed < *jitter.get_ref() {
        let what = match schedule {
            Schedule::Every(_) => "the interval",
            Schedule::Cron(_) => "the shortest time between two ticks",
        };
        let most = humantime::format_duration(allowed);
        problems.add(&jitter.span(), format!("is longer than {what}, and would skip runs: write {most} at most"));
    }
    Some(allowed)
}

/// As much of a jitter as fits the schedule.
fn shortened(jitter: Duration, schedule: &Schedule) -> Duration {
    if jitter.is_zero() { jitter } else { jitter.min(schedule.shortest_wait()) }
}

fn recheck(entry: Entry<String>, default: Option<Duration>, problems: &mut Problems<'_>) -> Option<Duration> {
    match values::duration_or_zero(entry, problems) {
        None => default,
        Some(every) => Some(every).filter(|every| !every.is_zero()),
    }
}

fn schedule(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Schedule> {
    const KIND: &str = "an interval or cron's five fields in quotes, as \"15m\" or \"0 */6 * * *\"";
    let parse = |text: &str| {
        if is_cron(text) {
            return Cron::parse(text).map(Schedule::Cron).map_err(|error| error.to_string());
        }
        match humantime::parse_duration(text) {
            Ok(_) => values::length_of_some(text).map(Schedule::Every),
            Err(_) => Err(format!(
                "{text:?} is no schedule: write an interval with its unit, as 15m or 6h, or cron's five fields, as \
                 0 */6 * * *"
            )),
        }
    };
    values::parsed(entry, KIND, problems, parse).map(Spanned::into_inner)
}

/// Whether a text is meant as cron: an interval has a letter in one of its first two words, and no sign.
fn is_cron(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let has_no_unit = |words: &[&str]| !words.iter().any(|word| word.contains(char::is_alphabetic));
    text.contains(['*', '@']) || words.len() >= 4 && has_no_unit(&words[..2])
}

fn zone(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Zone> {
    let parse = |text: &str| Zone::named(text).ok_or_else(|| unknown_zone(text));
    values::parsed(entry, values::TEXT, problems, parse).map(Spanned::into_inner)
}

fn unknown_zone(text: &str) -> String {
    let names = Zone::names();
    // People write the city alone.
    let city = text.replace(' ', "_");
    let named = |name: &&String| name.rsplit('/').next().is_some_and(|part| part.eq_ignore_ascii_case(&city));
    let meant =
        names.iter().find(named).map(String::as_str).or_else(|| nearest(text, names.iter().map(String::as_str)));
    match meant {
        Some(meant) => format!("{text:?} is no time zone; did you mean {meant:?}?"),
        None => format!("{text:?} is no time zone: write its IANA name, as \"Europe/Berlin\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_as_cron_is_told_from_an_interval() {
        for text in ["* * * *", "0 */6 * * *", "@daily", "0 0 1 1 0", "0 0 1 JAN MON", "0 0 0 1 1 0"] {
            assert!(is_cron(text), "{text}");
        }
        for text in ["15m", "1h 30m", "15", "", "1d 2h 3m 4s", "1 h 30 m", "now and then please"] {
            assert!(!is_cron(text), "{text}");
        }
    }

    #[test]
    fn a_zone_that_is_near_is_offered() {
        for (text, meant) in [
            ("Berlin", "Europe/Berlin"),
            ("new york", "America/New_York"),
            ("Europe/Berln", "Europe/Berlin"),
            ("America/New York", "America/New_York"),
        ] {
            assert_eq!(unknown_zone(text), format!("{text:?} is no time zone; did you mean {meant:?}?"));
        }
        assert!(unknown_zone("+02:00").ends_with("write its IANA name, as \"Europe/Berlin\""));
    }
}
