//! Content digests: what a document or a blob *is*, wherever it lies.

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::fmt;
use std::str::FromStr;

use ring::digest::{Algorithm, Context, SHA256, SHA512};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>`.
///
/// Kept as bytes, not text: a mirror holds one for every tag it looks after.
/// Grammar: OCI image-spec, "Digests"; both registered algorithms are supported.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// The algorithm every registry speaks.
    Sha256([u8; 32]),
    /// Registered and rare; boxed so that it does not widen the common one.
    Sha512(Box<[u8; 64]>),
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(&SHA256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// A hasher of this digest's algorithm, to check a stream against it.
    pub fn hasher(&self) -> Hasher {
        Hasher::new(match self {
            Self::Sha256(_) => &SHA256,
            Self::Sha512(_) => &SHA512,
        })
    }

    /// Whether `bytes` hash to this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }

    /// The first twelve hex digits, as logs and tables show it: `sha256:ab12cd34ef56…`.
    pub fn short(&self) -> String {
        let text = self.to_string();
        let colon = text.find(':').unwrap_or(0);
        format!("{}…", &text[..colon + 13])
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        self.parts().0
    }

    /// The digits alone, as an image layout names its files.
    pub fn hex(&self) -> String {
        self.parts().1.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parts(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Sha256(bytes) => ("sha256", bytes),
            Self::Sha512(bytes) => ("sha512", bytes.as_slice()),
        }
    }
}

/// Hashes a stream piece by piece.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    fn new(algorithm: &'static Algorithm) -> Self {
        Self(Context::new(algorithm))
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        let hash = self.0.finish();
        match <[u8; 32]>::try_from(hash.as_ref()) {
            Ok(bytes) => Digest::Sha256(bytes),
            Err(_) => {
                let mut bytes = Box::new([0; 64]);
                bytes.copy_from_slice(hash.as_ref());
                Digest::Sha512(bytes)
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid digest {text:?}: {reason}")]
pub struct InvalidDigest {
    text: String,
    reason: &'static str,
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = |reason| InvalidDigest { text: text.chars().take(160).collect(), reason };
        let (algorithm, hex) = text.split_once(':').ok_or_else(|| invalid("it has the form ALGORITHM:HEX"))?;
        match algorithm {
            "sha256" => decode(hex).map(Self::Sha256).ok_or_else(|| invalid("sha256 takes 64 lower-case hex digits")),
            "sha512" => decode(hex)
                .map(|bytes| Self::Sha512(Box::new(bytes)))
                .ok_or_else(|| invalid("sha512 takes 128 lower-case hex digits")),
            _ => Err(invalid("the algorithms known are sha256 and sha512")),
        }
    }
}

fn decode<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let hex = hex.as_bytes();
    if hex.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, bytes) = self.parts();
        write!(f, "{algorithm}:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(Digest::of(b"").short(), "sha256:e3b0c44298fc…");
    }

    #[test]
    fn sha512_is_parsed_and_hashed() {
        let text = format!(
            "sha512:{}",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
        );
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert!(digest.matches(b""));
        assert!(!digest.matches(b"x"));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            "sha256",
            "sha256:",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256:../../../../etc/passwd",
            &EMPTY[..70],
            &format!("{EMPTY}0"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text} was taken");
        }
    }
}
