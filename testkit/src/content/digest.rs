//! Digests: `ring` hashes as fast in a debug build as in a release build, which a test with large
//! blobs needs.

use std::fmt::Write as _;

use ring::digest::{Algorithm, Context, SHA256, SHA512};

/// The SHA-256 of `bytes`, as `sha256:<hex>`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// The SHA-512 of `bytes`, as `sha512:<hex>`.
#[must_use]
pub fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(ring::digest::digest(&SHA512, bytes).as_ref()))
}

/// Whether `digest` (SHA-256 or SHA-512) is the digest of `bytes`; `false` for any other algorithm.
#[must_use]
pub fn matches(digest: &str, bytes: &[u8]) -> bool {
    let hashed = |algorithm: &'static Algorithm| hex(ring::digest::digest(algorithm, bytes).as_ref());
    match digest.split_once(':') {
        Some(("sha256", expected)) => hashed(&SHA256) == expected,
        Some(("sha512", expected)) => hashed(&SHA512) == expected,
        _ => false,
    }
}

/// A SHA-256 in the making, for bytes that pass by.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    /// The hash of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added, as `sha256:<hex>`.
    #[must_use]
    pub fn finish(self) -> String {
        format!("sha256:{}", hex(self.0.finish().as_ref()))
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_config_has_its_well_known_digest() {
        let expected = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(digest(b"{}"), expected);
        assert!(matches(expected, b"{}"));
        assert!(!matches(expected, b"{ }"));
    }

    #[test]
    fn sha512_is_known_and_md5_is_not() {
        let empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        assert_eq!(sha512(b""), format!("sha512:{empty}"));
        assert!(matches(&sha512(b""), b""));
        assert!(!matches("md5:d41d8cd98f00b204e9800998ecf8427e", b""));
    }
}
