//! What an earlier process has written: a call that runs once a day still knows when a rule last succeeded.
//!
//! Source: Prometheus' text format, <https://prometheus.io/docs/instrumenting/exposition_formats/>.

/// The series of a family that has `rule` as its only label, with their values.
///
/// # Errors
/// If a line of the family is not one, or none is there: the text is of something else, or was cut off.
pub(super) fn of_rules(text: &str, family: &str) -> Result<Vec<(String, f64)>, NoMetrics> {
    let mut series = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix(family) {
            series.push(labelled(rest).ok_or(NoMetrics::Line(number + 1))?);
        }
    }
    if series.is_empty() {
        return Err(NoMetrics::Family(family.to_owned()));
    }
    Ok(series)
}

/// Why a text is not what this program wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMetrics {
    /// A line is broken.
    #[error("line {0} is broken")]
    Line(usize),
    /// It is of something else, or empty.
    #[error("it has no {0}")]
    Family(String),
}

/// `{rule="NAME"} VALUE`
fn labelled(text: &str) -> Option<(String, f64)> {
    let (name, rest) = quoted(text.strip_prefix("{rule=\"")?)?;
    let value: f64 = rest.strip_prefix("} ")?.trim_end().parse().ok()?;
    value.is_finite().then_some((name, value))
}

/// A value up to its closing quote, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.chars());
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_among_others() {
        let text =
            "# HELP up Whether.\n# TYPE up gauge\nup{rule=\"a\"} 1764000000.25\nup{rule=\"b \\\"\\\\\\n\"} 0\ndown 1\n";
        let read = of_rules(text, "up");
        assert_eq!(read, Ok(vec![("a".to_owned(), 1_764_000_000.25), ("b \"\\\n".to_owned(), 0.0)]));
    }

    #[test]
    fn what_is_empty_or_of_something_else_says_what_is_missing() {
        for text in ["", "\n", "root:x:0:0\n"] {
            assert_eq!(of_rules(text, "up"), Err(NoMetrics::Family("up".to_owned())), "{text:?}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_line() {
        for text in
            ["up", "up 1", "up{rule=\"a\"", "up{rule=\"a} 1", "up{rule=\"a\"} x", "up{rule=\"a\"} NaN", "up{rule=\"a"]
        {
            assert_eq!(of_rules(&format!("# a\n{text}\n"), "up"), Err(NoMetrics::Line(2)), "{text}");
        }
    }
}
