//! Tables and their keys: those that are known, and those that nobody knows.
//!
//! Which keys a table knows is asked of the struct that it is read into: serde hands the names of its fields to the
//! deserializer. So no list of keys stands beside the struct, to be forgotten when a field is added.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use toml::Spanned;

use super::problems::Problems;
use super::written::{Entry, Written};

/// A table of the file, read into the struct of its keys.
pub(super) struct Table<T> {
    keys: T,
    unknown: Vec<UnknownKey>,
}

struct UnknownKey {
    span: Range<usize>,
    nearest: Option<&'static str>,
}

impl<T> Table<T> {
    /// The keys that are known. Each of the others becomes a problem.
    pub(super) fn known(self, problems: &mut Problems<'_>) -> T {
        for key in self.unknown {
            match key.nearest {
                Some(nearest) => problems.add(&key.span, format!("unknown key; did you mean `{nearest}`?")),
                None => problems.add(&key.span, "unknown key"),
            }
        }
        self.keys
    }
}

/// The keys of a section, none of them set where the file does not have it.
pub(super) fn section<T: Default>(entry: Entry<Table<T>>, problems: &mut Problems<'_>) -> T {
    let table = entry.and_then(|table| table.of_kind("a table", problems));
    table.map(|table| table.into_inner().known(problems)).unwrap_or_default()
}

/// The known word that comes nearest, if one is near. The measure favours a common beginning: `user` for `username`.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const NEAR: f64 = 0.8;
    let ranked = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    ranked.filter(|(likeness, _)| *likeness >= NEAR).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut unknown = Vec::new();
        let keys = T::deserialize(Watch { inner: deserializer, fields: &[], unknown: &mut unknown })?;
        Ok(Self { keys, unknown })
    }
}

/// Stands before a deserializer, then its visitor, then its map, and lets a struct see only the keys that it has.
struct Watch<'u, I> {
    inner: I,
    fields: &'static [&'static str],
    unknown: &'u mut Vec<UnknownKey>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watch<'_, D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Watch { inner: visitor, fields, unknown: self.unknown })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Watch { inner: map, fields: self.fields, unknown: self.unknown })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Watch<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.inner.next_key::<Spanned<String>>()? {
            if self.fields.contains(&key.get_ref().as_str()) {
                return seed.deserialize(key.into_inner().into_deserializer()).map(Some);
            }
            self.unknown
                .push(UnknownKey { span: key.span(), nearest: nearest(key.get_ref(), self.fields.iter().copied()) });
            self.inner.next_value::<Written<IgnoredAny>>()?;
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_find_their_key_and_other_words_none() {
        const KNOWN: &[&str] = &["include", "exclude", "username", "password", "connect_timeout", "listen"];
        for (written, meant) in [
            ("inclde", "include"),
            ("excludes", "exclude"),
            ("user", "username"),
            ("passwd", "password"),
            ("connect-timeout", "connect_timeout"),
            ("listen_addr", "listen"),
        ] {
            assert_eq!(nearest(written, KNOWN.iter().copied()), Some(meant));
        }
        for written in ["platforms", "jitter", "cron", "", "x"] {
            assert_eq!(nearest(written, KNOWN.iter().copied()), None, "{written}");
        }
    }
}
