//! JSON objects whose fields are kept as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::oci::ManifestError;

/// An object's fields in their order, each value byte for byte. `serde_json::Value` would sort them, and write numbers
/// and texts its own way.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(String, Cow<'a, RawValue>)>);

impl<'a> Fields<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(json).map_err(invalid)
    }

    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Writes a field in its place, or at the end.
    pub(super) fn set(&mut self, name: &str, value: &impl Serialize) -> Result<(), ManifestError> {
        let value = Cow::Owned(to_raw_value(value).map_err(invalid)?);
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// The object without space between its fields.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(invalid)
    }
}

pub(super) fn invalid(error: serde_json::Error) -> ManifestError {
    ManifestError::Json(error.to_string())
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            fields.push((name, Cow::Borrowed(value)));
        }
        Ok(Fields(fields))
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was_written() {
        let json = br#"{ "z": 1.50, "a": [1,  "\u0041"], "a b": {"x":1, "x":2} }"#;
        let mut fields = Fields::parse(json).unwrap();
        fields.set("new", &"n").unwrap();
        fields.set("z", &2).unwrap();
        let written = fields.to_json().unwrap();
        assert_eq!(written, br#"{"z":2,"a":[1,  "\u0041"],"a b":{"x":1, "x":2},"new":"n"}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", "1", "null", "{"] {
            assert!(Fields::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
