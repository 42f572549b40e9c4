//! A value of the file, with its place and whatever its kind.

use std::ops::Range;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::problems::Problems;

/// A key's value; none where the file does not have the key.
pub(super) type Entry<T> = Option<Written<T>>;

/// A value: where it stands, and what it says if it is of the kind that is wanted there.
///
/// One of another kind does not end the deserialising, as it does for serde: the rest of the file is looked at too.
pub(super) struct Written<T> {
    pub(super) span: Range<usize>,
    value: Option<T>,
}

impl<T> Written<T> {
    /// A value that stands here.
    pub(super) fn at(span: Range<usize>, value: T) -> Self {
        Self { span, value: Some(value) }
    }

    /// The value, or a problem that says which kind is wanted. The value itself is not shown: it may be a secret.
    pub(super) fn of_kind(self, kind: &str, problems: &mut Problems<'_>) -> Option<Spanned<T>> {
        if self.value.is_none() {
            problems.add(&self.span, format!("must be {kind}"));
        }
        self.value.map(|value| Spanned::new(self.span, value))
    }
}

/// Where a key's value stands, if the file has it.
pub(super) fn span<T>(entry: Option<&Written<T>>) -> Option<Range<usize>> {
    entry.map(|written| written.span.clone())
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<OfKind<T>>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner().0 })
    }
}

/// A value that is none where it is of another kind. Sound because a TOML value's deserializer owns that value: what
/// is left of it when it fails is dropped, and the one around it goes on with the next.
struct OfKind<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OfKind<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
    }
}
