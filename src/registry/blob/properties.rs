//! What holds for every `Content-Range`.

use http::{HeaderMap, HeaderValue};

use super::{CONTENT_RANGE, is_rest, partial};

/// What is read stands in the header, and only the whole rest of a blob is taken.
pub fn content_range(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some((first, last, _)) = partial(&text) {
        assert!(text.contains(&first.to_string()) && text.contains(&last.to_string()), "{first}-{last} of {text:?}");
    }
    let (position, size) = (number(data), number(data.get(8..).unwrap_or_default()));
    for written in [format!("bytes {position}-{}/{size}", size.wrapping_sub(1)), format!("bytes {position}-{size}/*")] {
        let headers = HeaderMap::from_iter(HeaderValue::try_from(&written).map(|value| (CONTENT_RANGE, value)));
        assert_eq!(is_rest(&headers, position, size), size > 0 && written.ends_with(&format!("/{size}")), "{written}");
        assert!(!is_rest(&headers, position.wrapping_add(1), size), "{written}");
    }
}

fn number(data: &[u8]) -> u64 {
    data.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            content_range(&data);
        }

        #[test]
        fn what_is_almost_a_range_keeps_it(header in " ?(bytes|Bytes|items)?[ =]{0,2}[0-9+*-]{0,21}-?[0-9]{0,21}/?([0-9]{1,4}|\\*)?") {
            content_range(header.as_bytes());
        }
    }
}
