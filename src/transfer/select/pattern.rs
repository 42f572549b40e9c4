//! What `include` and `exclude` are made of.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use crate::oci::{InvalidName, Tag};

/// Some tags: one by its name, those of a glob (`3.*`), or those that a regular expression between slashes (`/v\d+/`)
/// matches as a whole. Prints as it was written.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Exact(Tag),
    Glob(GlobMatcher),
    Regex { regex: Regex, text: String },
}

/// As they are written.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {reason}")]
pub struct InvalidPattern {
    pattern: String,
    reason: String,
}

impl Pattern {
    /// The one tag, if the pattern is its name.
    pub(super) fn exact(&self) -> Option<&Tag> {
        match &self.0 {
            Kind::Exact(tag) => Some(tag),
            Kind::Glob(_) | Kind::Regex { .. } => None,
        }
    }

    /// Whether it takes this tag.
    pub fn matches(&self, tag: &Tag) -> bool {
        match &self.0 {
            Kind::Exact(exact) => exact == tag,
            Kind::Glob(glob) => glob.is_match(tag.as_str()),
            Kind::Regex { regex, .. } => regex.is_match(tag.as_str()),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |reason: String| InvalidPattern { pattern: text.to_owned(), reason };
        let expression = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let kind = if let Some(expression) = expression {
            let regex = Regex::new(&format!("^(?:{expression})$")).map_err(|error| invalid(last_line(&error)))?;
            Kind::Regex { regex, text: text.to_owned() }
        } else if text.contains(['*', '?', '[', '{']) {
            let glob = GlobBuilder::new(text).build().map_err(|error| invalid(error.kind().to_string()))?;
            Kind::Glob(glob.compile_matcher())
        } else {
            Kind::Exact(text.parse().map_err(|error: InvalidName| invalid(error.to_string()))?)
        };
        Ok(Self(kind))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(tag) => f.write_str(tag.as_str()),
            Kind::Glob(glob) => f.write_str(glob.glob().glob()),
            Kind::Regex { text, .. } => f.write_str(text),
        }
    }
}

/// The parser draws its error over several lines; the last one says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_print_as_they_were_written() {
        for text in ["latest", "3.*", "v[12]", "{a,b}", r"/v\d+/", "//"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn broken_patterns_are_named() {
        for (pattern, hint) in
            [("/(/", "unclosed group"), ("a[", "unclosed character class"), ("a b", "is no tag"), ("", "is no tag")]
        {
            let error = pattern.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.starts_with(&format!("{pattern:?}")), "{error}");
        }
    }
}
