//! `/v2/<repository>/blobs/uploads/`: mounts, and uploads in one piece or in several.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use http::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, Reply};
use super::arriving::Arriving;
use super::locked;
use super::options::Locations;
use super::route::Call;
use super::session::Session;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// POST: mounts if it can, and else opens a session. A `digest` in the query changes nothing, as in
/// distribution.
pub(super) fn post(shared: &Shared, call: &Call) -> Reply {
    if let (Some(digest), Some(from)) = (call.parameter("mount"), call.parameter("from"))
        && shared.options.mount
        && locked(&shared.store).mount(&digest, &from, call.repository())
    {
        return Ok(created(shared, call, &digest));
    }
    let session = shared.sessions.open(call.repository(), shared.options.keep_at_most);
    Ok(progress(shared, StatusCode::ACCEPTED, &locked(&session)))
}

/// PATCH: the next chunk.
pub(super) async fn patch(shared: &Shared, call: &Call, body: &mut Arriving) -> Reply {
    let session = newest(shared, call)?;
    check_offset(shared, call, &locked(&session))?;
    receive(&session, body).await?;
    let mut session = locked(&session);
    session.advance();
    Ok(progress(shared, StatusCode::ACCEPTED, &session))
}

/// PUT: the rest, which may be all or nothing, and the digest that it must make up.
pub(super) async fn put(shared: &Shared, call: &Call, body: &mut Arriving) -> Reply {
    let session = newest(shared, call)?;
    let digest = call.parameter("digest").ok_or_else(|| digest_invalid(json!("digest missing")))?;
    receive(&session, body).await?;
    shared.sessions.close(locked(&session).id());
    let content = locked(&session).finish(&digest).ok_or_else(|| digest_invalid(json!({"Digest": digest})))?;
    locked(&shared.store).add_blob(call.repository(), &digest, content);
    Ok(created(shared, call, &digest))
}

/// GET: how far it got.
pub(super) fn status(shared: &Shared, call: &Call) -> Reply {
    let session = known(shared, call)?;
    Ok(progress(shared, StatusCode::NO_CONTENT, &locked(&session)))
}

/// DELETE: gives it up.
pub(super) fn delete(shared: &Shared, call: &Call) -> Reply {
    let session = known(shared, call)?;
    let session = locked(&session);
    shared.sessions.close(session.id());
    Ok(Answer::empty(StatusCode::NO_CONTENT).with(UPLOAD_ID, session.id()))
}

// Bytes count as they come, so that what a broken connection brought is there when the client asks
// for the status.
async fn receive(session: &Mutex<Session>, body: &mut Arriving) -> Result<(), Box<Answer>> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Box::new(Answer::empty(StatusCode::BAD_REQUEST)))?;
        if let Some(bytes) = frame.data_ref() {
            locked(session).append(bytes);
        }
    }
    Ok(())
}

// Distribution signs the state, so a Location that was made up is told from one whose session is
// over. A Location that is a query alone names its session there only.
fn known(shared: &Shared, call: &Call) -> Result<Arc<Mutex<Session>>, Box<Answer>> {
    let state = call.parameter("_state").unwrap_or_default();
    let id = if call.last().is_empty() { Session::of_state(&state) } else { call.last() };
    let signed = shared.options.location_query.as_str();
    if !Session::issued(id, &state) || !call.query.contains(signed) {
        return Err(invalid());
    }
    let session = shared.sessions.find(id).ok_or_else(unknown)?;
    let here = locked(&session).repository() == call.repository();
    here.then_some(session).ok_or_else(invalid)
}

// Bytes are taken at the newest Location alone.
fn newest(shared: &Shared, call: &Call) -> Result<Arc<Mutex<Session>>, Box<Answer>> {
    let session = known(shared, call)?;
    let state = locked(&session).state();
    (call.parameter("_state") == Some(state)).then_some(session).ok_or_else(invalid)
}

fn check_offset(shared: &Shared, call: &Call, session: &Session) -> Result<(), Box<Answer>> {
    let Some(range) = call.header(CONTENT_RANGE.as_str()) else {
        return Ok(());
    };
    let start = range.split_once('-').and_then(|(start, _)| start.parse::<u64>().ok());
    if start == Some(session.size()) {
        return Ok(());
    }
    Err(Box::new(progress(shared, StatusCode::RANGE_NOT_SATISFIABLE, session)))
}

fn progress(shared: &Shared, status: StatusCode, session: &Session) -> Answer {
    // The last byte's position; of nothing it is 0 as well.
    let range = format!("0-{}", session.size().saturating_sub(1));
    Answer::empty(status).with(LOCATION, &location(shared, session)).with(RANGE, &range).with(UPLOAD_ID, session.id())
}

fn location(shared: &Shared, session: &Session) -> String {
    let (state, signed) = (session.state(), &shared.options.location_query);
    let mut query = format!("?_state={state}");
    if !signed.is_empty() {
        query += &format!("&{signed}");
    }
    let path = format!("/v2/{}/blobs/uploads/{}", session.repository(), session.id());
    match shared.options.locations {
        Locations::Query => query,
        Locations::Elsewhere => format!("http://{}{path}{query}", shared.other_host),
        Locations::Absolute | Locations::Path => format!("{}{path}{query}", shared.base()),
    }
}

fn created(shared: &Shared, call: &Call, digest: &str) -> Answer {
    let location = format!("{}/v2/{}/blobs/{digest}", shared.base(), call.repository());
    Answer::empty(StatusCode::CREATED).with(LOCATION, &location).with_digest(digest)
}

fn unknown() -> Box<Answer> {
    let message = "blob upload unknown to registry";
    Answer::error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", message, Value::Null)
}

fn invalid() -> Box<Answer> {
    let message = "blob upload invalid";
    Answer::error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID", message, Value::Null)
}

fn digest_invalid(detail: Value) -> Box<Answer> {
    let message = "provided digest did not match uploaded content";
    Answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message, detail)
}
