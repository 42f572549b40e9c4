//! Messages of registries about what was pushed to them. They are let in by a secret, and what they say is a hint: names of
//! what is worth a look.

mod acr;
mod distribution;
mod dockerhub;
mod door;
mod ghcr;
mod harbor;
mod message;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod quay;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::timeout;

use super::Service;
use super::json::Json;
use super::problem::Problem;
use super::request::Named;
use crate::events::{WebhookKind, WebhookOutcome};

pub use door::Webhooks;

use door::{Door, Proof};
use message::Message;

/// The longest message that is read, in bytes: many times what registries send.
const LONGEST_BODY: usize = 1 << 20;

/// It has to be there by then.
const SLOWEST_BODY: Duration = Duration::from_secs(10);

/// Why a message is not taken, for the metric and for who sent it.
type Refused = (WebhookOutcome, Problem);

pub(super) async fn hear(
    State(service): State<Service>,
    Named(name): Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let kind = WebhookKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    let found = kind.and_then(|kind| Some((kind, service.webhooks.door(kind)?)));
    let (kind, door) = found.ok_or_else(|| not_taken(&name))?;
    let heard = async {
        let body = let_in(&service, kind, &door, (&uri, &headers), body).await?;
        let message = message::read(kind, &body).map_err(|error| unreadable(kind, &error))?;
        Ok(taken(&service, kind, message))
    };
    let (outcome, answer) = match heard.await {
        Ok((outcome, answer)) => (outcome, Ok(answer)),
        Err((outcome, problem)) => (outcome, Err(problem)),
    };
    service.metrics.heard(kind, outcome);
    answer
}

/// The body of a message whose sender has shown the secret: before the body is read, where it is not what shows it.
async fn let_in(
    service: &Service,
    kind: WebhookKind,
    door: &Door,
    (uri, headers): (&Uri, &HeaderMap),
    body: Body,
) -> Result<Bytes, Refused> {
    let signature = match Proof::of(kind) {
        Proof::Signature => Some(door.signature(kind, headers)?),
        proof => {
            door.check_token(kind, proof.token(uri, headers)).await?;
            None
        }
    };
    if !service.is_ready() {
        return Err((WebhookOutcome::Refused, Problem::stopping()));
    }
    let _place = door.place().await?;
    let body = read(body).await?;
    if let Some(signature) = signature {
        door.check_signature(kind, signature, &body).await?;
    }
    Ok(body)
}

async fn read(body: Body) -> Result<Bytes, Refused> {
    let invalid = |problem| (WebhookOutcome::Invalid, problem);
    match timeout(SLOWEST_BODY, to_bytes(body, LONGEST_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let detail = format!("the body is longer than {} KiB, or broke off", LONGEST_BODY >> 10);
            Err(invalid(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail, "tell of less at once")))
        }
        Err(_) => {
            let detail = format!("the body took longer than {} seconds", SLOWEST_BODY.as_secs());
            Err(invalid(Problem::new(StatusCode::REQUEST_TIMEOUT, detail, "send it at once")))
        }
    }
}

/// What the message has in it is not repeated: it may be long, and a secret.
fn unreadable(kind: WebhookKind, error: &serde_json::Error) -> Refused {
    let (line, column) = (error.line(), error.column());
    let detail = format!("the body is no message of the kind {}: line {line}, column {column}", kind.as_str());
    (WebhookOutcome::Invalid, Problem::unprocessable(detail, "the path names the kind of registry that sends it"))
}

fn taken(service: &Service, kind: WebhookKind, message: Message) -> (WebhookOutcome, Response) {
    let pushes = match message {
        Message::Handshake(word) => {
            return (WebhookOutcome::Ignored, Json(json!({ "validationResponse": word })).into_response());
        }
        Message::Pushes(pushes) => pushes,
    };
    let rules = service.operations.pushed(&pushes);
    let (outcome, status) = match (pushes.is_empty(), rules) {
        (true, _) => (WebhookOutcome::Ignored, StatusCode::OK),
        (false, 0) => (WebhookOutcome::Unmatched, StatusCode::OK),
        (false, _) => (WebhookOutcome::Accepted, StatusCode::ACCEPTED),
    };
    tracing::debug!(kind = kind.as_str(), outcome = outcome.as_str(), pushes = ?pushes, rules, "a registry tells");
    (outcome, (status, Json(json!({ "outcome": outcome.as_str(), "rules": rules }))).into_response())
}

fn not_taken(name: &str) -> Problem {
    let kinds = WebhookKind::ALL.map(WebhookKind::as_str).join(", ");
    Problem::not_found(
        format!("webhooks of the kind {name:?} are not taken"),
        format!("configure one of {kinds}, as [webhooks.harbor] secret_file"),
    )
}
