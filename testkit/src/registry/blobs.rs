//! `/v2/<repository>/blobs/<digest>`

use std::ops::Range;

use http::StatusCode;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, RANGE};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, Reply};
use super::locked;
use super::route::Call;
use super::stored::Stored;

/// GET, whole or a single range of it, and HEAD.
pub(super) fn get(shared: &Shared, call: &Call) -> Reply {
    let content = locked(&shared.store)
        .blob(call.repository(), call.last())
        .cloned()
        .ok_or_else(|| unknown(json!(call.last())))?;
    if matches!(content, Stored::Discarded(_)) && call.method == http::Method::GET {
        let detail = json!({"digest": call.last(), "reason": "too large to be kept by this registry"});
        return Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "blob discarded", detail));
    }
    let size = content.size();
    let answer = Answer::content(StatusCode::OK, "application/octet-stream", content)
        .with_digest(call.last())
        .with(ACCEPT_RANGES, "bytes");
    match call.header(RANGE.as_str()).and_then(|range| Wanted::parse(range, size)) {
        None => Ok(answer),
        Some(Wanted::Part(range)) => Ok(answer.part(range)),
        Some(Wanted::Nothing) => {
            let message = "requested range not satisfiable";
            let error = Answer::error(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", message, json!(null));
            Err(Box::new(error.with(CONTENT_RANGE, &format!("bytes */{size}"))))
        }
    }
}

/// DELETE: from this repository.
pub(super) fn delete(shared: &Shared, call: &Call) -> Reply {
    let removed = locked(&shared.store).remove_blob(call.repository(), call.last());
    removed.then(|| Answer::empty(StatusCode::ACCEPTED)).ok_or_else(|| unknown(json!(null)))
}

fn unknown(detail: Value) -> Box<Answer> {
    let message = "blob unknown to registry";
    Answer::error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", message, detail)
}

/// What a `Range` header asks for; a header that is not understood asks for nothing special (RFC
/// 9110, section 14.2).
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Part(Range<u64>),
    Nothing,
}

impl Wanted {
    fn parse(header: &str, size: u64) -> Option<Self> {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        let range = if first.is_empty() {
            size.saturating_sub(last.parse().ok()?)..size
        } else {
            let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
            first.parse().ok()?..end
        };
        Some(if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_means_them() {
        let wanted = |header| Wanted::parse(header, 10);
        assert_eq!(wanted("bytes=0-3"), Some(Wanted::Part(0..4)));
        assert_eq!(wanted("bytes=4-"), Some(Wanted::Part(4..10)));
        assert_eq!(wanted("bytes=4-99"), Some(Wanted::Part(4..10)));
        assert_eq!(wanted("bytes=-3"), Some(Wanted::Part(7..10)));
        assert_eq!(wanted("bytes=10-"), Some(Wanted::Nothing));
        assert_eq!(wanted("lines=1-2"), None);
    }
}
