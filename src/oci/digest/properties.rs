//! What holds for every text that may be a digest, and for the digests of all bytes.

use super::{Digest, Hasher, SHA512};

/// A digest's text is the only one that it has; and whatever way bytes are hashed, their digest is one.
pub fn digest(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        parsed(text);
    }
    for whole in [Digest::of(data), hashed_in_pieces(Hasher::new(&SHA512), data)] {
        assert!(whole.matches(data), "{whole} is not what its bytes hash to");
        assert_eq!(hashed_in_pieces(whole.hasher(), data), whole);
        parsed(&whole.to_string());
    }
}

fn parsed(text: &str) {
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert_eq!(digest.to_string(), text);
            assert!(text.starts_with(digest.short().trim_end_matches('…')));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}

fn hashed_in_pieces(mut hasher: Hasher, data: &[u8]) -> Digest {
    data.chunks(7).for_each(|piece| hasher.update(piece));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            digest(&data);
        }

        #[test]
        fn what_is_almost_a_digest_keeps_it(text in "(sha256|sha512|SHA256|md5)[:@]([0-9a-f]{63,65}|[0-9a-g]{64}|[0-9a-f]{128}|[0-9a-fA-F\u{e9}]{0,66})") {
            digest(text.as_bytes());
        }
    }
}
