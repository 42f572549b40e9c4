//! Texts with numbers in them, compared as people read them: `r9` comes before `r10`.

use std::cmp::Ordering;

/// A stretch of digits, or of anything else. Numbers come before words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Run<'t> {
    /// Without leading zeros, so that the longer one is the larger one.
    Number { digits: usize, number: &'t str },
    /// As it stands.
    Word(&'t str),
}

/// Compares run by run. Texts that differ in leading zeros alone are equal.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    runs(a).cmp(runs(b))
}

/// The runs of a text, in its order.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Run<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end).filter(|(run, _)| !run.is_empty())?;
        rest = after;
        Some(if is_number { number(run) } else { Run::Word(run) })
    })
}

fn number(digits: &str) -> Run<'_> {
    let number = match digits.trim_start_matches('0') {
        "" => "0",
        number => number,
    };
    Run::Number { digits: number.len(), number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_count_as_numbers() {
        let ascending = ["", "1", "2", "10", "a", "alpine", "alpine3.9", "alpine3.19", "r9", "r10", "r10-x"];
        assert!(ascending.is_sorted_by(|a, b| compare(a, b).is_lt()));
        assert_eq!(compare("r007", "r7"), Ordering::Equal);
        assert_eq!(compare("a0", "a00"), Ordering::Equal);
    }
}
