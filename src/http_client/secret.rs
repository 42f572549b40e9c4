//! Headers that say who we are, and show themselves to nobody else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

/// The value of an `Authorization: Basic` header. Source: RFC 7617, 2.
pub fn basic(user: &[u8], password: &[u8]) -> Option<HeaderValue> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode([user, b":", password].concat())))
}

/// The value of an `Authorization: Bearer` header, if a header can carry the token. Source: RFC 6750, 2.1.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
