//! The kinds of values that many keys share: texts, durations, numbers.
//!
//! Each gives the value, or none where the file has none that can be used: then the problem is told already, and the
//! caller may go on with a default.

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

const DURATION: &str = "a number with a unit in quotes, as \"90s\", \"15m\" or \"6h\"";

/// A length of time that is more than none.
pub(super) fn duration(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Duration> {
    let some = |text: &str| match length(text)? {
        Duration::ZERO => Err(format!("{text:?} is no time at all: it must be more than zero")),
        length => Ok(length),
    };
    parsed(entry, DURATION, problems, some).map(Spanned::into_inner)
}

/// A length of time, which may be none.
pub(super) fn duration_or_zero(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Duration> {
    parsed(entry, DURATION, problems, length).map(Spanned::into_inner)
}

/// Longer ones are slips, and would not fit the clock's arithmetic.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

fn length(text: &str) -> Result<Duration, String> {
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
    const MOST: usize = 10_000;
    let number = entry?.of_kind("a whole number, as 32", problems)?;
    match usize::try_from(*number.get_ref()) {
        Ok(count @ 1..=MOST) => Some(count),
        _ => {
            problems.add(&number.span(), format!("must be from 1 to {MOST}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn no_text_panics_the_duration(text in "[0-9a-zµ. é-]{0,12}") {
            let _ = length(&text);
        }
    }
}
