//! `/v2/<repository>/manifests/<reference>`

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, LOCATION};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, Reply};
use super::arriving::Arriving;
use super::locked;
use super::options::{Deletion, Immutability};
use super::route::Call;
use super::store::{Store, is_digest};
use super::stored::Stored;
use crate::content::{Document, digest, matches, media_type};

// The distribution spec: "the registry SHOULD enforce some limit, … at least 4 megabytes".
const LARGEST: usize = 4 << 20;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// GET and HEAD.
pub(super) fn get(shared: &Shared, call: &Call) -> Reply {
    let store = locked(&shared.store);
    let (digest, document) = store.resolve(call.repository(), call.last()).ok_or_else(|| unknown(call))?;
    // Distribution does not convert OCI documents: who does not accept them does not find them. What it would convert to
    // for the oldest clients is for all.
    if document.media_type != media_type::DOCKER_SCHEMA_1 && !accepts(call, &document.media_type) {
        return Err(not_accepted(&document.media_type));
    }
    let content = Stored::Held(document.bytes.clone());
    Ok(Answer::content(StatusCode::OK, &document.media_type, content).with_digest(digest))
}

/// PUT, by tag or by digest.
pub(super) async fn put(shared: &Shared, call: &Call, body: &mut Arriving) -> Reply {
    let bytes = match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(invalid(StatusCode::PAYLOAD_TOO_LARGE, "manifest too large"));
        }
        Err(_) => return Err(invalid(StatusCode::BAD_REQUEST, "the request ended early")),
    };
    let media_type = call.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let document = Document { media_type, bytes };
    check_media_type(&document)?;
    let key = key(call.last(), &document)?;
    let subject = document.subject().filter(|_| shared.options.referrers);
    store(shared, call, &key, document)?;
    let answer = Answer::empty(StatusCode::CREATED)
        .with_digest(&key)
        .with(LOCATION, &format!("{}/v2/{}/manifests/{key}", shared.base(), call.repository()));
    Ok(subject.iter().fold(answer, |answer, subject| answer.with(OCI_SUBJECT, subject)))
}

/// DELETE: a digest takes its tags along, a tag goes alone.
pub(super) fn delete(shared: &Shared, call: &Call) -> Reply {
    if !is_digest(call.last()) && shared.options.deletion == Deletion::Manifests {
        let message = "provided digest did not match uploaded content";
        return Err(Answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message, json!(null)));
    }
    let mut store = locked(&shared.store);
    if shared.options.immutability == Some(Immutability::LikeHarbor) && has_tag(&store, call) {
        return Err(immutable(Immutability::LikeHarbor, call));
    }
    let removed = store.remove_manifest(call.repository(), call.last());
    removed.then(|| Answer::empty(StatusCode::ACCEPTED)).ok_or_else(|| unknown(call))
}

fn store(shared: &Shared, call: &Call, key: &str, document: Document) -> Result<(), Box<Answer>> {
    let mut store = locked(&shared.store);
    check_immutability(shared.options.immutability, &store, call, key)?;
    let missing = store
        .missing_parts(call.repository(), &document, shared.options.sparse_lists)
        .map_err(|error| invalid(StatusCode::BAD_REQUEST, &error.to_string()))?;
    if !missing.is_empty() {
        let details = missing.into_iter().map(Value::String).collect();
        let message = "blob unknown to registry";
        return Err(Answer::errors(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message, details));
    }
    store.put_manifest(call.repository(), key, document);
    if !is_digest(call.last()) {
        store.tag(call.repository(), call.last(), key);
    }
    Ok(())
}

fn check_immutability(
    immutability: Option<Immutability>,
    store: &Store,
    call: &Call,
    digest: &str,
) -> Result<(), Box<Answer>> {
    let moves = || store.resolve(call.repository(), call.last()).is_some_and(|(current, _)| current != digest);
    match immutability {
        Some(Immutability::LikeEcr) if has_tag(store, call) && moves() => Err(immutable(Immutability::LikeEcr, call)),
        Some(Immutability::LikeHarbor) if has_tag(store, call) => Err(immutable(Immutability::LikeHarbor, call)),
        _ => Ok(()),
    }
}

fn has_tag(store: &Store, call: &Call) -> bool {
    !is_digest(call.last()) && store.resolve(call.repository(), call.last()).is_some()
}

fn immutable(immutability: Immutability, call: &Call) -> Box<Answer> {
    let (repository, tag) = (call.repository(), call.last());
    let (status, code, message) = match immutability {
        Immutability::LikeEcr => (
            StatusCode::BAD_REQUEST,
            "TAG_INVALID",
            format!(
                "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten \
                 because the tag is immutable."
            ),
        ),
        Immutability::LikeHarbor => (
            StatusCode::PRECONDITION_FAILED,
            "PRECONDITION",
            format!("Failed to process request due to '{repository}:{tag}' configured as immutable."),
        ),
    };
    Answer::error(status, code, &message, json!(null))
}

// The digest under which the document is stored: the one that was asked for, which may be a
// SHA-512.
fn key(reference: &str, document: &Document) -> Result<String, Box<Answer>> {
    if !is_digest(reference) {
        return Ok(document.digest());
    }
    if matches(reference, &document.bytes) {
        return Ok(reference.to_owned());
    }
    let detail = json!({"digest": reference, "content": digest(&document.bytes)});
    let message = "provided digest did not match uploaded content";
    Err(Answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message, detail))
}

fn check_media_type(document: &Document) -> Result<(), Box<Answer>> {
    let value: Value = serde_json::from_slice(&document.bytes)
        .map_err(|error| invalid(StatusCode::BAD_REQUEST, &error.to_string()))?;
    match value.get("mediaType").and_then(Value::as_str) {
        Some(inside) if inside != document.media_type => {
            let detail = format!("mediaType {inside} in a document sent as {}", document.media_type);
            Err(invalid(StatusCode::BAD_REQUEST, &detail))
        }
        _ if document.media_type.is_empty() => Err(invalid(StatusCode::BAD_REQUEST, "no Content-Type")),
        _ => Ok(()),
    }
}

fn accepts(call: &Call, media_type: &str) -> bool {
    let values = call.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|name| name.trim() == media_type))
}

fn unknown(call: &Call) -> Box<Answer> {
    let detail = json!({"name": call.repository(), "reference": call.last()});
    Answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown", detail)
}

fn not_accepted(media_type: &str) -> Box<Answer> {
    let message = format!("{media_type} found, but accept header does not support it");
    Answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &message, json!(null))
}

fn invalid(status: StatusCode, detail: &str) -> Box<Answer> {
    Answer::error(status, "MANIFEST_INVALID", "manifest invalid", json!(detail))
}
