//! What messages are: JSON that says its version, so that a replica knows what is for newer ones.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// What a message is to this replica.
#[derive(Debug, PartialEq)]
pub(super) enum Read<T> {
    Body(T),
    /// A newer replica's.
    Newer,
    /// Nobody's.
    Garbage(String),
}

/// As it goes out.
pub(super) fn written(body: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(&Versioned { v: VERSION, body }).map(Bytes::from)
}

/// As it came in.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Read<T> {
    match serde_json::from_slice::<Version>(payload) {
        Ok(Version { v }) if v != VERSION => return Read::Newer,
        Ok(_) => {}
        Err(error) => return Read::Garbage(error.to_string()),
    }
    match serde_json::from_slice::<Versioned<T>>(payload) {
        Ok(Versioned { body, .. }) => Read::Body(body),
        Err(error) => Read::Garbage(error.to_string()),
    }
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    body: T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&written(&["a"]).unwrap()), Read::Body(vec!["a".to_owned()]));
    }

    #[test]
    fn another_version_is_newer_whatever_is_in_it_and_what_has_none_is_garbage() {
        assert_eq!(read::<String>(br#"{"v":2,"other":[]}"#), Read::Newer);
        assert!(matches!(read::<String>(br#"{"v":1,"body":7}"#), Read::Garbage(_)));
        assert!(matches!(read::<String>(b"\xff"), Read::Garbage(_)));
    }
}
