//! The kinds of values that many keys share: texts, durations, numbers.
//!
//! Each gives the value, or none where the file has none that can be used: then the problem is told already, and the
//! caller may go on with a default.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::problems::Problems;
use super::written::Entry;

/// The kind of most values.
pub(super) const TEXT: &str = "text in quotes";

/// A text made into something else, or told why it cannot be. `kind` is what is asked for in place of a value that is
/// no text.
pub(super) fn parsed<T>(
    entry: Entry<String>,
    kind: &str,
    problems: &mut Problems<'_>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<Spanned<T>> {
    let text = entry?.of_kind(kind, problems)?;
    let span = text.span();
    match parse(text.get_ref()) {
        Ok(value) => Some(Spanned::new(span, value)),
        Err(reason) => {
            problems.add(&span, reason);
            None
        }
    }
}

/// A text that says something.
pub(super) fn text(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<String> {
    let some = |text: &str| {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    };
    parsed(entry, TEXT, problems, some).map(Spanned::into_inner)
}

pub(super) const DURATION: &str = "a number with a unit in quotes, as \"90s\", \"15m\" or \"6h\"";

/// A length of time that is more than none.
pub(super) fn duration(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Duration> {
    parsed(entry, DURATION, problems, length_of_some).map(Spanned::into_inner)
}

/// A length of time, which may be none.
pub(super) fn duration_or_zero(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Duration> {
    parsed(entry, DURATION, problems, length).map(Spanned::into_inner)
}

/// A length of time that is more than none.
pub(super) fn length_of_some(text: &str) -> Result<Duration, String> {
    match length(text)? {
        Duration::ZERO => Err(format!("{text:?} is no time at all: it must be more than zero")),
        length => Ok(length),
    }
}

/// Longer ones are slips, and would not fit the clock's arithmetic.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

pub(super) fn length(text: &str) -> Result<Duration, String> {
    // A bare 0 is a duration to the parser; here every number has its unit.
    let unit = text.contains(|c: char| c.is_alphabetic());
    match humantime::parse_duration(text) {
        Ok(length) if unit && length <= LONGEST => Ok(length),
        Ok(_) if unit => Err(format!("{text:?} is too long: ten years are the most")),
        _ => Err(format!("{text:?} is no duration: write a number with a unit, as 90s, 15m or 6h")),
    }
}

/// How many of something there may be at once.
pub(super) fn count(entry: Entry<i64>, problems: &mut Problems<'_>) -> Option<usize> {
    whole(entry, 1..=10_000, problems).and_then(|count| usize::try_from(count).ok())
}

/// A whole number within bounds.
pub(super) fn whole(entry: Entry<i64>, bounds: RangeInclusive<u64>, problems: &mut Problems<'_>) -> Option<u64> {
    let number = entry?.of_kind("a whole number, as 32", problems)?;
    match u64::try_from(*number.get_ref()) {
        Ok(number) if bounds.contains(&number) => Some(number),
        _ => {
            problems.add(&number.span(), format!("must be from {} to {}", bounds.start(), bounds.end()));
            None
        }
    }
}

/// Yes or no.
pub(super) fn switch(entry: Entry<bool>, problems: &mut Problems<'_>) -> Option<bool> {
    entry?.of_kind("true or false", problems).map(Spanned::into_inner)
}

/// So many of something a second; less than one a second is written with a point.
pub(super) fn per_second(entry: Entry<f64>, problems: &mut Problems<'_>) -> Option<f64> {
    const BOUNDS: RangeInclusive<f64> = 0.001..=10_000.0;
    let number = entry?.of_kind("a number, as 20 or 0.5", problems)?;
    if BOUNDS.contains(number.get_ref()) {
        return Some(*number.get_ref());
    }
    problems.add(&number.span(), format!("must be from {} to {}", BOUNDS.start(), BOUNDS.end()));
    None
}

/// A number of bytes.
pub(super) fn size(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Spanned<u64>> {
    parsed(entry, "a number with a unit in quotes, as \"64MiB\"", problems, |text| {
        bytes(text).ok_or_else(|| format!("{text:?} is no size: write a number with a unit, as 512KiB, 64MiB or 1GiB"))
    })
}

/// Bytes per second.
pub(super) fn bandwidth(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<u64> {
    let parse = |text: &str| {
        let rate = text.strip_suffix("/s").and_then(|size| bytes(size.trim_end())).filter(|rate| *rate > 0);
        rate.ok_or_else(|| format!("{text:?} is no bandwidth: write bytes a second with their unit, as 50MiB/s"))
    };
    parsed(entry, "bytes a second in quotes, as \"50MiB/s\"", problems, parse).map(Spanned::into_inner)
}

/// Units of bytes, the longer names before those that they end in.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let number = number.trim_end();
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let fraction = number.parse::<f64>().ok().filter(|_| is_plain)? * unit as f64;
    (fraction < u64::MAX as f64).then_some(fraction as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("6h", 21_600), ("1h 30m", 5_400), ("1.5h", 5_400), ("0s", 0)]
        {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["15", "0", "", "-1s", "soon", "1 fortnight", "*/5 * * * *"] {
            assert_eq!(
                length(text),
                Err(format!("{text:?} is no duration: write a number with a unit, as 90s, 15m or 6h"))
            );
        }
        assert!(length("11y").unwrap_err().contains("too long"));
    }

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("64MiB", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("512KiB", 512 << 10),
            ("20MB", 20_000_000),
            ("7kB", 7_000),
            ("100B", 100),
            ("0B", 0),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["64", "", "MiB", "-1MiB", "1e3MiB", "infB", "64 mib", "99999999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
