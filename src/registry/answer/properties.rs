//! What holds for every refusal that a registry may send.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::{MAX_MESSAGE, RETRY_AFTER};
use crate::backoff::{Patience, RetryReason};

/// What a clock showed once.
const NOW: Duration = Duration::from_secs(1_700_000_000);
/// The last second that a header's date can name: the year 9999's end.
const LAST: Duration = Duration::from_secs(253_402_300_799);
/// No digest is written in fewer bytes.
const SHORTEST_DIGEST: usize = "sha256:".len() + 64;

/// Whatever pause is asked for, it is made or it is too long; one that is made fits every clock.
pub fn retry_after(data: &[u8]) {
    if let Some(asked) = HeaderValue::from_bytes(data).ok().and_then(read) {
        pause(asked);
    }
    let number = data.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let asked = Duration::from_secs(number);
    assert_eq!(read(HeaderValue::from(number)), Some(asked));
    pause(asked);

    let later = Duration::from_secs(number % (LAST - NOW).as_secs());
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + NOW + later);
    assert_eq!(HeaderValue::try_from(&date).ok().and_then(read), Some(later), "{date}");
}

fn read(value: HeaderValue) -> Option<Duration> {
    super::retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), SystemTime::UNIX_EPOCH + NOW)
}

fn pause(asked: Duration) {
    let limit = Patience::STANDARD.max_elapsed;
    match Patience::STANDARD.effort().next(RetryReason::Throttled, limit, Duration::ZERO, Some(asked)) {
        Some(pause) => {
            assert!(asked <= pause && pause <= limit, "{asked:?} was asked for, {pause:?} would be made");
            assert!(Instant::now().checked_add(pause).is_some() && SystemTime::now().checked_add(pause).is_some());
        }
        None => assert!(asked > limit, "{asked:?} was thought too long"),
    }
}

/// What a refusal says is one line, not long and not empty; digests are as many as the document can name.
pub fn error_document(data: &[u8]) {
    let refusal = super::error_document(data);
    for words in [&refusal.code, &refusal.message].into_iter().flatten() {
        assert!(!words.is_empty(), "{refusal:?}");
        assert!(words.chars().count() <= MAX_MESSAGE + 1, "{refusal:?}");
        assert!(
            !words.contains(['\n', '\r', '\u{2028}', '\u{2029}']) && !words.contains(char::is_control),
            "{refusal:?}"
        );
    }
    assert!(refusal.digests.len() * SHORTEST_DIGEST <= data.len(), "{refusal:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            retry_after(&data);
            error_document(&data);
        }

        #[test]
        fn what_is_almost_a_pause_keeps_it(header in "[+-]?[0-9]{0,21}|1[45][0-9]|(Mon|Thu|Monday)?,? [0-9]{1,2}[ -](Jan|Feb)[ -][0-9]{2,5} [0-6][0-9]:00:00 (GMT)?") {
            retry_after(header.as_bytes());
        }

        #[test]
        fn what_is_almost_an_error_document_keeps_it(
            code in "null|1|\"[A-Z_ ]{0,5}(\\\\n|\\\\u0001|\\\\u2028)?\"",
            message in "null|\"[a-z]{0,3}(\\\\n|\\\\u001b| ){0,2}[a-z]{0,250}\"",
            detail in "null|\"[a-z]{0,3}\"|\\[*\"(sha256:[0-9a-f]{64})?\"\\]*|\\{\"a\":\"sha256:[0-9a-f]{64}\"\\}",
        ) {
            let errors = format!(r#"{{"errors":[{{"code":{code},"message":{message},"detail":{detail}}}]}}"#);
            error_document(errors.as_bytes());
            error_document(format!(r#"{{"details":{message}}}"#).as_bytes());
        }
    }
}
