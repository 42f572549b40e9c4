//! What the API is asked to do. It is begun, or waits its turn, when the answer comes: 202.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::Service;
use super::json::Json;
use super::operations::{Key, Refusal};
use super::orders::ImportOrder;
use super::problem::Problem;
use super::reading::no_rule;
use super::request::{Named, Parameters, idempotency_key, json_body};

pub(super) async fn sync(
    State(service): State<Service>,
    Named(name): Named,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::of(&uri, &[])?;
    let key = idempotency_key(&headers)?.map(|key| Key { name: key, request: format!("sync {name}") });
    let refused = |refusal| match refusal {
        Refusal::UnknownRule => no_rule(&name),
        refusal => refused(refusal),
    };
    let accepted = service.operations.sync(&name, key).await.map_err(refused)?;
    let place = uri.path().trim_end_matches("/sync").to_owned();
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(accepted)).into_response())
}

pub(super) async fn import(
    State(service): State<Service>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    Parameters::of(&uri, &[])?;
    let key = idempotency_key(&headers)?;
    let order: ImportOrder = json_body(&headers, body).await?;
    let import = order.import()?;
    let request = serde_json::to_string(&order).map_err(|error| Problem::internal(&error))?;
    let key = key.map(|key| Key { name: key, request: format!("import {request}") });
    let job = service.operations.import(import, key).map_err(refused)?;
    let place = format!("/api/v1/imports/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(job)).into_response())
}

/// Those that may come again soon.
const SOON: u64 = 10;

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::UnknownRule => Problem::not_found("there is no such rule", "GET /api/v1/rules lists them"),
        Refusal::KeyTaken => Problem::new(
            StatusCode::CONFLICT,
            "the Idempotency-Key was that of another request within the last hour",
            "send a new key with a new request, and the same key only with the same one",
        ),
        Refusal::Full => {
            let detail = "too much waits to be done already";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail, "ask again later").again_in(SOON)
        }
        Refusal::Stopping => Problem::stopping(),
        Refusal::Unreached => {
            let detail = "NATS does not answer, and it hands the runs of a cluster out";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, "ask again when /readyz says that it is reached")
                .again_in(SOON)
        }
    }
}
