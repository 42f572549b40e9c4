//! Values of which there are two kinds: a text or a list of texts, a switch or a table.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::keys::Table;
use super::problems::Problems;
use super::values;
use super::written::{Entry, Written};

/// One text, or a list of them.
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<Written<String>>),
}

/// `true` or `false`, or a table that says more.
pub(super) enum Switch<T> {
    Set(bool),
    Table(Table<T>),
}

/// The texts, each read by `parse`; those that are broken are told. None if the key is missing, or holds none at all.
pub(super) fn each<T>(
    entry: Entry<OneOrMany>,
    kind: &str,
    problems: &mut Problems<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<Spanned<T>>> {
    let value = entry?.of_kind(kind, problems)?;
    let at = value.span();
    let texts = match value.into_inner() {
        OneOrMany::One(text) => vec![Written::at(at.clone(), text)],
        OneOrMany::Many(texts) => texts,
    };
    if texts.is_empty() {
        problems.add(&at, "is an empty list: name one at least");
        return None;
    }
    let count = texts.len();
    let parsed = texts.into_iter().filter_map(|text| values::parsed(Some(text), values::TEXT, problems, &parse));
    let parsed: Vec<Spanned<T>> = parsed.collect();
    (parsed.len() == count).then_some(parsed)
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E: Error>(self, is_on: bool) -> Result<Switch<T>, E> {
                Ok(Switch::Set(is_on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Switch<T>, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Switch::Table)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
