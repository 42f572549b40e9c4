//! From an HTTP answer, or from none, to an error that says why.

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::io;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::time::Instant;

use super::addresses::ClosedDoor;
use crate::content::{Cause, Refusal, Unreachable};
use crate::http_client::{Client, Error, Request, Response, innermost};
use crate::oci::Digest;

/// Error documents are read up to here.
const MAX_ERROR_BODY: usize = 64 << 10;
/// Messages are shown up to here.
const MAX_MESSAGE: usize = 200;

/// What a refusal says. Reads the body's beginning; a body that cannot be read or understood, or does not come for
/// `idle`, is no second error.
pub(super) async fn refusal(response: Response, idle: Duration) -> Refusal {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let body = tokio::time::timeout(idle, read_at_most(response, MAX_ERROR_BODY)).await.unwrap_or_default();
    Refusal { status, retry_after, ..error_document(&body) }
}

/// A whole body; `None` if it is larger than `limit` bytes. Nothing is allocated from a declared size.
///
/// # Errors
/// If it breaks, or no byte of it comes for `idle`.
pub(super) async fn body(response: Response, limit: usize, idle: Duration) -> Result<Option<Bytes>, Cause> {
    let mut incoming = response.into_body();
    let mut body = BytesMut::new();
    while let Some(frame) = tokio::time::timeout(idle, incoming.frame()).await.map_err(|_| Cause::Stalled(idle))? {
        let piece = frame.map_err(|error| failure(&error.into()))?.into_data();
        body.extend_from_slice(&piece.unwrap_or_default());
        if body.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(body.freeze()))
}

async fn read_at_most(response: Response, limit: usize) -> Vec<u8> {
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(Ok(frame)) = incoming.frame().await {
        let piece = frame.into_data().unwrap_or_default();
        body.extend_from_slice(&piece[..piece.len().min(limit - body.len())]);
        if body.len() == limit {
            break;
        }
    }
    body
}

/// `{"errors":[{"code":…,"message":…,"detail":…}]}` of the distribution spec ("Error Codes"), or `{"details":…}` as
/// Docker Hub's token server sends it; anything else says nothing.
fn error_document(body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        errors: Vec<Entry>,
        details: Option<String>,
    }
    #[derive(Deserialize)]
    struct Entry {
        code: Option<String>,
        message: Option<String>,
        #[serde(default)]
        detail: serde_json::Value,
    }

    let said = |text: &str| Some(one_line(text)).filter(|line| !line.is_empty());
    let nothing = Refusal::of_status(0);
    let Ok(document) = serde_json::from_slice::<Document>(body) else { return nothing };
    let mut digests = Vec::new();
    document.errors.iter().for_each(|error| collect_digests(&error.detail, &mut digests));
    // Distribution puts UNKNOWN before what it does know.
    let is_known = |error: &Entry| error.code.as_deref() != Some("UNKNOWN");
    let known = document.errors.iter().position(is_known).unwrap_or(0);
    let Some(first) = document.errors.into_iter().nth(known) else {
        return Refusal { message: document.details.as_deref().and_then(said), ..nothing };
    };
    let message = [first.message.as_deref(), first.detail.as_str()].into_iter().flatten().find_map(said);
    Refusal { code: first.code.as_deref().and_then(said), message, digests, ..nothing }
}

/// All digests in a detail, whose shape is each registry's own.
fn collect_digests(detail: &serde_json::Value, digests: &mut Vec<Digest>) {
    match detail {
        serde_json::Value::String(text) => digests.extend(text.parse::<Digest>()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_digests(item, digests)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| collect_digests(value, digests)),
        _ => {}
    }
}

/// A registry's words on one line, without control characters, cut at a readable length.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    if let Some((cut, _)) = line.char_indices().nth(MAX_MESSAGE) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// `Retry-After` in seconds or as a date. Source: RFC 9110, 10.2.3.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// What an exchange came to, if it did so in time.
pub(super) async fn in_time<T>(until: Instant, exchange: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    let late = |_| Err(Cause::Unreachable(Unreachable::Timeout));
    tokio::time::timeout_at(until, exchange).await.unwrap_or_else(late)
}

/// An answer, or why none came.
pub(super) async fn of(client: &Client, request: Request) -> Result<Response, Cause> {
    client.send(request).await.map_err(|error| failure(&error))
}

/// Why a request had no answer, or a body no end.
pub(super) fn failure(error: &Error) -> Cause {
    if let Some(ClosedDoor(reason)) = error.causes().find_map(|error| error.downcast_ref()) {
        return Cause::Credentials(reason.clone());
    }
    if error.causes().any(is_http2_failure) {
        return Cause::Http2(innermost(error));
    }
    match error.causes().find_map(tls_failure) {
        Some(failure) => Cause::Unreachable(failure),
        None if error.is_timeout() => Cause::Unreachable(Unreachable::Timeout),
        None if error.is_connect() => Cause::Unreachable(connect_failure(error)),
        None => Cause::Broken(innermost(error)),
    }
}

/// Whether the other side broke HTTP/2 itself off (GOAWAY, RST_STREAM), as some proxies do under load.
fn is_http2_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    // A connection that closes after a GOAWAY which covers the request: what says so is not the system's.
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe && error.raw_os_error().is_none();
    error.downcast_ref::<h2::Error>().is_some_and(|error| error.is_go_away() || error.is_reset())
        || error.downcast_ref().is_some_and(is_closed)
}

fn connect_failure(error: &Error) -> Unreachable {
    let refused = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    };
    // The resolver's error has no type of its own to ask for.
    let unknown_host = |e: &(dyn std::error::Error + 'static)| e.to_string().starts_with("dns error");
    if error.causes().any(refused) {
        Unreachable::Refused
    } else if error.causes().any(unknown_host) {
        Unreachable::UnknownHost
    } else {
        Unreachable::Other(innermost(error))
    }
}

fn tls_failure(error: &(dyn std::error::Error + 'static)) -> Option<Unreachable> {
    Some(match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Unreachable::Tls(format!("the certificate is not trusted: {why}")),
        rustls::Error::InvalidMessage(_) => Unreachable::NoTls,
        other => Unreachable::Tls(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specs_error_document_is_read() {
        let body = br#"{"errors":[{"code":"DENIED","message":"requested access\nis denied","detail":null}]}"#;
        let refusal = error_document(body);
        assert_eq!(refusal.code.as_deref(), Some("DENIED"));
        assert_eq!(refusal.message.as_deref(), Some("requested access is denied"));
    }

    #[test]
    fn the_parts_that_a_manifest_lacks_are_found_in_every_shape_of_detail() {
        let digest = Digest::of(b"part");
        for detail in [format!("{digest:?}"), format!("\"{digest}\""), format!("{{\"digest\":\"{digest}\"}}")] {
            let detail = if detail.starts_with("sha") { format!("\"{detail}\"") } else { detail };
            let body = format!(r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","detail":{detail}}}]}}"#);
            assert_eq!(error_document(body.as_bytes()).digests, std::slice::from_ref(&digest), "{body}");
        }
    }

    #[test]
    fn a_code_is_one_line_of_readable_length_too() {
        let body = format!(r#"{{"errors":[{{"code":"A\nB\u001b[2J{}","message":" "}}]}}"#, "x".repeat(500));
        let refusal = error_document(body.as_bytes());
        assert!(refusal.code.unwrap().starts_with("A B[2Jxxx") && refusal.message.is_none());
    }

    #[test]
    fn other_bodies_say_what_they_can() {
        assert_eq!(
            error_document(br#"{"details":"incorrect username or password"}"#).message.unwrap(),
            "incorrect username or password"
        );
        assert_eq!(error_document(b"<html>oops</html>").message, None);
        assert_eq!(error_document(b"").code, None);
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(500));
        assert_eq!(error_document(long.as_bytes()).message.unwrap().chars().count(), MAX_MESSAGE + 1);
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let at = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(at("7"), Some(Duration::from_secs(7)));
        assert_eq!(at("Thu, 01 Jan 1970 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(at("soon"), None);
        assert_eq!(at("-1"), None);
    }
}
