//! What holds for every `WWW-Authenticate`.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};

use super::{Challenge, WWW_AUTHENTICATE, challenges};

/// Challenges say no more than their header does; written anew, they are the same.
pub fn challenge(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let all = read(value);
    let size: usize = all.iter().map(size).sum();
    assert!(size <= data.len(), "{size} bytes came of {}", data.len());
    assert!(all.iter().all(is_lower_case), "{all:?}");

    let plain: Vec<Challenge> = all.into_iter().filter_map(plain).collect();
    reads_back(&plain);
}

fn reads_back(challenges: &[Challenge]) {
    let written = challenges.iter().map(written).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&written) {
        assert_eq!(read(value), challenges, "{written}");
    }
}

fn read(value: HeaderValue) -> Vec<Challenge> {
    challenges(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]))
}

fn size(challenge: &Challenge) -> usize {
    challenge.scheme.len() + challenge.parameters.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

fn is_lower_case(challenge: &Challenge) -> bool {
    let names = challenge.parameters.keys().chain([&challenge.scheme]);
    names.into_iter().all(|name| !name.contains(|c: char| c.is_ascii_uppercase()))
}

/// The challenge with what its grammar has; none if its scheme is no token.
fn plain(challenge: Challenge) -> Option<Challenge> {
    let Challenge { scheme, parameters } = challenge;
    let parameters: HashMap<_, _> = parameters.into_iter().filter(|(name, _)| is_token(name)).collect();
    is_token(&scheme).then_some(Challenge { scheme, parameters })
}

/// Source: RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Source: RFC 9110, 5.6.4 (what is quoted) and 11.3.
fn written(challenge: &Challenge) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters = challenge.parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value)));
    format!("{} {}", challenge.scheme, parameters.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            challenge(&data);
        }

        #[test]
        fn what_is_written_reads_back(
            all in prop::collection::vec(("[a-z]{1,3}", prop::collection::hash_map("[a-z]{1,3}", "[a-c\"\\\\, =]{0,5}", 0..4)), 0..4),
        ) {
            let challenges = all.into_iter().map(|(scheme, parameters)| Challenge { scheme, parameters });
            reads_back(&challenges.collect::<Vec<_>>());
        }

        #[test]
        fn any_header_keeps_it(header in "[ -~\t]*") {
            challenge(header.as_bytes());
        }

        #[test]
        fn what_is_almost_a_challenge_keeps_it(header in "(Bearer|Basic|NTLM|,|=)?( {0,2}(realm|scope|a b)? ?[=,] ?(\"([a-c:/,= ]|\\\\?[\"\\\\]){0,6}\"?|[a-c]{0,3}) ?[, ]?){0,4}") {
            challenge(header.as_bytes());
        }
    }
}
