//! Tags read as versions.
//!
//! `[v]NUMBER[.NUMBER]…[SUFFIX]`, where a suffix begins with `-`, `_`, `+` or `.`; what reads otherwise (`latest`,
//! `bookworm-20240311`, `1.0.2k`) is no version.
//!
//! - **Numbers** that are left out are zero: `3.18` is 3.18.0. A fourth and further ones count in the order of
//!   versions, not in ranges.
//! - A suffix is a **pre-release** if its first word is one of [`WORDS`], in any case: `-rc.1`, `-RC2`, `.Beta1`,
//!   `-alpha.0`, `-SNAPSHOT`, `-nightly`. It may stand at the number itself (`17beta1`, `3.13.0rc2`), where after two
//!   numbers or more `a1`, `b2` and `c1` mean alpha, beta and rc, as Python writes them. `m` is a milestone if a number
//!   follows (`-M1`). A pre-release ends at the next `-`, `_` or `+`; a variant may follow: `3.13.0rc2-slim`.
//! - Any other suffix is a **variant** (`-alpine3.19`, `-perl`, `-debian-12-r3`, `-1`, `_2`, `.Final`): another build
//!   of that release, and no lesser version.
//! - A first number of six digits or more is a **serial**: a date (`20240329`), the count of a build, a commit whose
//!   short name happens to have no letters. It is a version only beside others of its kind.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease};

use super::natural::{self, Run};

/// The words that make a suffix a pre-release, beside `a`, `b`, `c` and `m`: see the module.
const WORDS: [&str; 21] = [
    "alpha",
    "beta",
    "canary",
    "cr",
    "dev",
    "devel",
    "develop",
    "ea",
    "eap",
    "experimental",
    "insiders",
    "milestone",
    "next",
    "nightly",
    "pre",
    "prerelease",
    "preview",
    "rc",
    "snapshot",
    "unstable",
    "wip",
];

/// Numbers from here on are serials.
const SERIAL: u64 = 100_000;

const SEPARATORS: [char; 3] = ['-', '_', '+'];

/// A tag that is a version.
#[derive(Debug)]
pub(super) struct Version<'t> {
    /// At least one.
    numbers: Vec<u64>,
    /// Empty for a release.
    pre_release: Prerelease,
    /// Empty for the plain one.
    pub(super) variant: &'t str,
}

impl<'t> Version<'t> {
    /// None if the text is no version.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (numbers, suffix) = numbers(text.strip_prefix(['v', 'V']).unwrap_or(text))?;
        let (pre_release, variant) = split(suffix, &numbers)?;
        Some(Self { numbers, pre_release, variant })
    }

    /// The numbers as they were given.
    pub(super) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Whether this is the date or the count of a build rather than a version.
    pub(super) fn is_serial(&self) -> bool {
        is_serial(self.numbers.first().copied().unwrap_or_default())
    }

    /// What ranges are compared with: three numbers and the pre-release.
    pub(super) fn core(&self) -> semver::Version {
        let number = |index: usize| self.numbers.get(index).copied().unwrap_or_default();
        let (major, minor, patch) = (number(0), number(1), number(2));
        semver::Version { major, minor, patch, pre: self.pre_release.clone(), build: BuildMetadata::EMPTY }
    }

    /// From older to newer: serials before versions; by numbers; pre-releases before their release; variants before the
    /// plain one; those with fewer numbers written before those with more (`3.19` before `3.19.0`); variants by name.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let by_kind = other.is_serial().cmp(&self.is_serial());
        by_kind
            .then_with(|| compare_numbers(&self.numbers, &other.numbers))
            .then_with(|| self.pre_release.cmp(&other.pre_release))
            .then_with(|| self.variant.is_empty().cmp(&other.variant.is_empty()))
            .then_with(|| self.numbers.len().cmp(&other.numbers.len()))
            .then_with(|| natural::compare(self.variant, other.variant))
    }
}

/// Whether a first number is that of a serial.
pub(super) fn is_serial(first: u64) -> bool {
    first >= SERIAL
}

/// The numbers at the beginning, and what follows them.
fn numbers(text: &str) -> Option<(Vec<u64>, &str)> {
    let (mut numbers, mut rest) = (Vec::with_capacity(4), text);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        numbers.push(number.parse().ok()?);
        match after.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
            _ => return Some((numbers, after)),
        }
    }
}

/// The pre-release and the variant of a suffix; none if it is no suffix.
fn split<'t>(suffix: &'t str, numbers: &[u64]) -> Option<(Prerelease, &'t str)> {
    if suffix.is_empty() {
        return Some((Prerelease::EMPTY, ""));
    }
    let separated = suffix.strip_prefix(SEPARATORS).or_else(|| suffix.strip_prefix('.'));
    let text = separated.unwrap_or(suffix);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let (first, rest) = text.split_once(SEPARATORS).unwrap_or((text, ""));
    let letters_may_do = separated.is_none() && numbers.len() > 1;
    match pre_release(first, letters_may_do) {
        Some(pre_release) => Some((pre_release, rest)),
        None => separated.map(|variant| (Prerelease::EMPTY, variant)),
    }
}

/// A pre-release in the form that versions are compared in: `RC2` is `rc.2`, so that it comes before `rc.10`.
fn pre_release(text: &str, letters_may_do: bool) -> Option<Prerelease> {
    let text = text.to_ascii_lowercase();
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(letters);
    let is_numbered = rest.starts_with(|c: char| c.is_ascii_digit());
    let word = match word {
        "a" if letters_may_do && is_numbered => "alpha",
        "b" if letters_may_do && is_numbered => "beta",
        "c" if letters_may_do && is_numbered => "rc",
        "m" if is_numbered => "m",
        word if WORDS.contains(&word) => word,
        _ => return None,
    };
    let identifiers = rest.split('.').flat_map(natural::runs).map(|run| match run {
        Run::Number { number, .. } => number,
        Run::Word(word) => word,
    });
    let canonical: Vec<&str> = std::iter::once(word).chain(identifiers).collect();
    Prerelease::new(&canonical.join(".")).ok()
}

/// As if the shorter one went on with zeros.
fn compare_numbers(a: &[u64], b: &[u64]) -> Ordering {
    let padded = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or_default();
    let pairs = (0..a.len().max(b.len())).map(|index| padded(a, index).cmp(&padded(b, index)));
    pairs.fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, &str)> {
        Version::read(text).map(|version| (version.core().to_string(), version.variant))
    }

    #[test]
    fn what_is_left_out_is_zero_and_a_v_does_not_count() {
        for (text, means) in [
            ("3", "3.0.0"),
            ("3.18", "3.18.0"),
            ("v1.29.2", "1.29.2"),
            ("V2.0.1", "2.0.1"),
            ("24.04", "24.4.0"),
            ("2024.03.29", "2024.3.29"),
            ("10.0.17763.1697", "10.0.17763"),
            ("20240329", "20240329.0.0"),
        ] {
            assert_eq!(read(text), Some((means.to_owned(), "")), "{text}");
        }
    }

    #[test]
    fn a_suffix_is_a_variant() {
        for (text, means, variant) in [
            ("1.27.0-alpine3.19-perl", "1.27.0", "alpine3.19-perl"),
            ("3.12-slim-bookworm", "3.12.0", "slim-bookworm"),
            ("1.21.5-debian-12-r3", "1.21.5", "debian-12-r3"),
            ("v1.28.2_k3s1", "1.28.2", "k3s1"),
            ("9.0.1-1", "9.0.1", "1"),
            ("16.10.0-ce.0", "16.10.0", "ce.0"),
            ("5.0.0.RELEASE", "5.0.0", "RELEASE"),
            ("7-alphabet", "7.0.0", "alphabet"),
            ("1.0.0-b123", "1.0.0", "b123"),
            ("1.0.0-m", "1.0.0", "m"),
        ] {
            assert_eq!(read(text), Some((means.to_owned(), variant)), "{text}");
        }
    }

    #[test]
    fn a_suffix_that_begins_with_a_word_for_it_is_a_pre_release_and_may_have_a_variant() {
        for (text, means, variant) in [
            ("v1.30.0-alpha.0", "1.30.0-alpha.0", ""),
            ("3.13.0rc2-slim-bookworm", "3.13.0-rc.2", "slim-bookworm"),
            ("3.13.0a6", "3.13.0-alpha.6", ""),
            ("3.13.0b2", "3.13.0-beta.2", ""),
            ("3.13-rc-slim", "3.13.0-rc", "slim"),
            ("17beta1-alpine3.20", "17.0.0-beta.1", "alpine3.20"),
            ("1.0.0-RC01", "1.0.0-rc.1", ""),
            ("1.0.0-M2", "1.0.0-m.2", ""),
            ("2.0.0.Beta1", "2.0.0-beta.1", ""),
            ("1.2.3.dev20240101", "1.2.3-dev.20240101", ""),
            ("21-ea-12-jdk", "21.0.0-ea", "12-jdk"),
            ("1.2.3-SNAPSHOT", "1.2.3-snapshot", ""),
            ("16.10.0-rc42.ce.0", "16.10.0-rc.42.ce.0", ""),
            ("v1.29.0-rc.1.38_abcdef", "1.29.0-rc.1.38", "abcdef"),
        ] {
            assert_eq!(read(text), Some((means.to_owned(), variant)), "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "latest",
            "edge",
            "bookworm-20240311",
            "stable-alpine3.19",
            "v",
            "vault",
            "1.0.2k",
            "8u292",
            "1.",
            "1.2-",
            "1.2.-x",
            "4f5e6d7",
            "31b4567",
            "99999999999999999999",
            "rc",
            "_1",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_from_older_to_newer() {
        let ascending = [
            "20240101",
            "20240329",
            "1.9",
            "1.26.9",
            "1.27.0-alpha.2",
            "1.27.0-alpha.10",
            "1.27.0-beta.1",
            "1.27.0rc1-slim",
            "1.27.0rc1",
            "1.27-alpine",
            "1.27.0-alpine3.9",
            "1.27.0-alpine3.19",
            "1.27",
            "1.27.0",
            "1.27.0.1",
            "1.27.1",
            "2",
        ];
        let versions: Vec<Version<'_>> = ascending.into_iter().map(|text| Version::read(text).unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a.compare(b).is_lt()), "{versions:#?}");
    }
}
