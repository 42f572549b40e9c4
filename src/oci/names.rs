//! Repository names and tags, by the grammar of the distribution spec ("Pulling manifests").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A repository's name, `library/alpine`, without the registry's host. Cheap to clone.
///
/// Grammar: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, at most 255 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(Arc<str>);

/// A tag, `3.18`. Cheap to clone. Grammar: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// Why a text is no repository name or no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidName {
    reason: String,
}

impl InvalidName {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl Repository {
    /// The name as text; empty for [`Repository::of_layout`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one repository of an image layout, which has no name.
    pub fn of_layout() -> Self {
        Self(Arc::from(""))
    }
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `latest`, which a reference without tag and digest means.
    pub fn latest() -> Self {
        Self::known("latest")
    }

    /// A text of which the grammar is known to hold.
    pub(super) fn known(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl FromStr for Repository {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |reason: String| Err(InvalidName::because(reason));
        if text.is_empty() {
            return invalid("the repository name is empty".into());
        }
        if text.len() > 255 {
            return invalid("the repository name is longer than 255 characters".into());
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return invalid(format!("repository names are lower case: did you mean {:?}?", text.to_ascii_lowercase()));
        }
        match text.split('/').find(|part| !is_path_component(part)) {
            Some("") => invalid(format!("the repository name {text:?} has an empty part between slashes")),
            Some(part) => invalid(format!(
                "{part:?} is no part of a repository name: letters and digits, separated by '.', '_', '__' or '-'"
            )),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

/// One part between slashes: alphanumerics, with single separators of `.`, `_`, `__` or any number of `-` inside.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !part.starts_with(alphanumeric) || !part.ends_with(alphanumeric) {
        return false;
    }
    part.split(alphanumeric)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

impl FromStr for Tag {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(word);
        if starts && text.len() <= 128 && bytes.all(|b| word(b) || matches!(b, b'.' | b'-')) {
            return Ok(Self(Arc::from(text)));
        }
        let shown: String = text.chars().take(130).collect();
        Err(InvalidName::because(format!(
            "{shown:?} is no tag: up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'"
        )))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The text as errors show it: a login that somebody put before the host is not repeated. A digest's `@` ends none.
pub fn without_login(text: &str) -> String {
    let named = text.rfind("@sha256:").or_else(|| text.rfind("@sha512:")).unwrap_or(text.len());
    let shown = match text[..named].rfind('@') {
        Some(login_ends) => format!("…{}", &text[login_ends..]),
        None => text.to_owned(),
    };
    shown.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammars_examples_hold() {
        for good in ["alpine", "library/alpine", "a/b/c/d", "a.b_c__d-e---f", "0", "my-app2"] {
            assert!(good.parse::<Repository>().is_ok(), "{good} was refused");
        }
        for bad in
            ["", "/", "a//b", "a/", "/a", "-a", "a-", "a..b", "a___b", "a._b", "A", "ä", "a/../b", "a b", "a%2fb"]
        {
            assert!(bad.parse::<Repository>().is_err(), "{bad} was taken");
        }
        assert!("a".repeat(255).parse::<Repository>().is_ok());
        assert!("a".repeat(256).parse::<Repository>().is_err());
    }

    #[test]
    fn tags_follow_their_grammar() {
        for good in ["latest", "3.18", "_x", "V1.0-rc.1", "a"] {
            assert!(good.parse::<Tag>().is_ok(), "{good} was refused");
        }
        for bad in ["", ".x", "-x", "a/b", "a:b", "a b", "..", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad} was taken");
        }
    }

    proptest! {
        #[test]
        fn what_the_grammar_makes_is_taken(name in "[a-z0-9]+((\\.|_|__|-{1,3})[a-z0-9]+){0,3}(/[a-z0-9]+((\\.|_|__|-{1,3})[a-z0-9]+){0,3}){0,3}") {
            prop_assume!(name.len() <= 255);
            prop_assert!(name.parse::<Repository>().is_ok());
        }
    }
}
