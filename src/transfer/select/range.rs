//! Ranges of versions, as `semver` takes them.
//!
//! Comparisons between commas, or spaces, must all hold: `>=3.18, <4`. Between `||` stand alternatives. The comparisons
//! are `=`, `>`, `>=`, `<`, `<=`, `~1.2` (1.2.x), `^1.2` (1.2 to before 2), `1.2.*`, and `*` for every release; of a
//! version that lacks numbers `=1.2` takes all of 1.2.x, `>1.2` and `<=1.2` begin and end behind it. A version without
//! an operator means `=`, as for the other tools that mirror images, and not `^` as for Cargo. Versions in a range are
//! read as [tags](super::version) are, a `v` in front or `3.13.0rc1` for a pre-release included, but have no variant.
//!
//! A tag matches if its numbers do, whatever its variant: 3.18.4-slim is in `>=3.18`. A pre-release matches only
//! an alternative that names a pre-release of the very same version: 1.30.0-rc.1 is in `>=1.30.0-alpha.0`, not in
//! `>=1.29`. In the same way a serial such as 20240329 matches only an alternative that names a serial.

use std::fmt;
use std::str::FromStr;

use semver::VersionReq;

use super::version::{self, Version};
use crate::oci::Tag;

/// A range of versions. Prints as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRange {
    text: String,
    /// At least one.
    alternatives: Vec<VersionReq>,
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{range:?} is no range of versions: {reason}; write comparisons as in \">=3.18, <4\", and || between alternatives"
)]
pub struct InvalidRange {
    range: String,
    reason: String,
}

impl VersionRange {
    /// Whether the tag is a version of this range.
    pub(super) fn matches(&self, tag: &Tag) -> bool {
        Version::read(tag.as_str()).is_some_and(|version| {
            let (core, is_serial) = (version.core(), version.is_serial());
            self.alternatives.iter().any(|range| (!is_serial || names_serial(range)) && range.matches(&core))
        })
    }
}

impl FromStr for VersionRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let alternatives = text.split("||").map(alternative).collect::<Result<_, _>>();
        let alternatives = alternatives.map_err(|reason| InvalidRange { range: text.to_owned(), reason })?;
        Ok(Self { text: text.to_owned(), alternatives })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn names_serial(range: &VersionReq) -> bool {
    range.comparators.iter().any(|comparator| version::is_serial(comparator.major))
}

fn alternative(text: &str) -> Result<VersionReq, String> {
    let comparisons: Vec<String> = between_commas(text).split(',').map(comparison).collect::<Result<_, _>>()?;
    VersionReq::parse(&comparisons.join(",")).map_err(|error| error.to_string())
}

/// Commas in place of the spaces that other tools take between comparisons: `>=3.18 <4`.
fn between_commas(text: &str) -> String {
    let parts = text.split(',').map(|part| {
        let operators = ["<", ">", "=", "~", "^"];
        operators.iter().fold(part.trim().to_owned(), |part, op| part.replace(&format!(" {op}"), &format!(",{op}")))
    });
    parts.collect::<Vec<_>>().join(",")
}

/// A comparison as the parser of ranges takes it. What has no version in it is left for that parser to judge.
fn comparison(text: &str) -> Result<String, String> {
    let text = text.trim();
    let (operator, written) = text.split_at(text.find(|c| !"=<>~^ ".contains(c)).unwrap_or(text.len()));
    let is_wildcard = written.ends_with(['*', 'x', 'X']);
    let Some(version) = Version::read(written).filter(|_| !is_wildcard) else { return Ok(text.to_owned()) };
    if !version.variant.is_empty() {
        let variant = version.variant;
        return Err(format!(
            "{variant:?} is a variant, not a part of the version: choose it by include = [\"*-{variant}\"]"
        ));
    }
    let core = version.core();
    let is_release = core.pre.is_empty();
    let given = match version.numbers() {
        numbers if numbers.len() > 3 => {
            return Err(format!("{written} has more than three numbers, which is all that is compared"));
        }
        [major] if is_release => major.to_string(),
        [major, minor] if is_release => format!("{major}.{minor}"),
        _ => core.to_string(),
    };
    let operator = if operator.is_empty() { "=" } else { operator };
    Ok(format!("{operator}{given}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes<'t>(range: &str, tags: &[&'t str]) -> Vec<&'t str> {
        let range: VersionRange = range.parse().unwrap();
        tags.iter().copied().filter(|tag| range.matches(&tag.parse().unwrap())).collect()
    }

    #[test]
    fn a_variant_does_not_fall_out_of_a_range_and_a_pre_release_does() {
        let tags = ["3.17", "3.18-alpine", "3.18.4_2", "3.19-rc1", "3.19rc2-slim", "v3.19", "4.0-beta", "4", "latest"];
        assert_eq!(takes(">=3.18, <4", &tags), ["3.18-alpine", "3.18.4_2", "v3.19"]);
        assert_eq!(takes("*", &tags), ["3.17", "3.18-alpine", "3.18.4_2", "v3.19", "4"]);
    }

    #[test]
    fn a_prerelease_needs_a_range_that_names_one() {
        let tags = ["1.29.0-rc.1", "1.30.0-alpha.0", "1.30.0-rc.1-slim", "1.30.0rc10", "1.30.0", "1.31.0-rc.1"];
        assert_eq!(takes(">=1.29", &tags), ["1.30.0"]);
        assert_eq!(takes(">=1.30.0-rc.0", &tags), ["1.30.0-rc.1-slim", "1.30.0rc10", "1.30.0"]);
        assert_eq!(takes(">1.30rc9", &tags), ["1.30.0rc10", "1.30.0"]);
        assert_eq!(takes(">=1.29.0-alpha, <1.30 || =1.31.0-rc.1", &tags), ["1.29.0-rc.1", "1.31.0-rc.1"]);
    }

    #[test]
    fn a_serial_needs_a_range_that_names_one() {
        let tags = ["3.19", "20230901", "20240329", "20240329-slim", "1711929"];
        assert_eq!(takes(">=3", &tags), ["3.19"]);
        assert_eq!(takes(">=20240101", &tags), ["20240329", "20240329-slim"]);
    }

    #[test]
    fn comparisons_take_what_their_operator_says() {
        let tags = ["v1.1.9", "1.2", "1.2.3", "1.2.3.4", "1.3.0", "2.0"];
        for (range, taken) in [
            ("=1.2", &["1.2", "1.2.3", "1.2.3.4"][..]),
            ("1.2.*", &["1.2", "1.2.3", "1.2.3.4"]),
            ("1.2.x", &["1.2", "1.2.3", "1.2.3.4"]),
            ("~1.2", &["1.2", "1.2.3", "1.2.3.4"]),
            ("1.2", &["1.2", "1.2.3", "1.2.3.4"]),
            ("v1.2.3", &["1.2.3", "1.2.3.4"]),
            ("^v1.02", &["1.2", "1.2.3", "1.2.3.4", "1.3.0"]),
            (">1.2", &["1.3.0", "2.0"]),
            ("<= 1.2", &["v1.1.9", "1.2", "1.2.3", "1.2.3.4"]),
            ("=1.2.3", &["1.2.3", "1.2.3.4"]),
            ("<1.2||>=2", &["v1.1.9", "2.0"]),
            (">= 1.2.3  <2", &["1.2.3", "1.2.3.4", "1.3.0"]),
            (">=1.2.3 , < 1.3 || = 2.0", &["1.2.3", "1.2.3.4", "2.0"]),
        ] {
            assert_eq!(takes(range, &tags), taken, "{range}");
        }
    }

    #[test]
    fn broken_ranges_are_named_with_a_way_out() {
        for (range, hint) in [
            ("", "unexpected end of input"),
            ("latest", "unexpected character 'l'"),
            ("3 - 4", "write comparisons as in"),
            (">=3 ||", "and || between alternatives"),
            (">=1.27-alpine", "\"alpine\" is a variant"),
            (">=1.2.3.4", "1.2.3.4 has more than three numbers"),
            ("!=1.2", "unexpected character '!'"),
            (">=", "unexpected end"),
        ] {
            let error = range.parse::<VersionRange>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.starts_with(&format!("{range:?} is no range")), "{error}");
        }
    }
}
