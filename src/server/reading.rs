//! What the API tells: the status and what stands behind it. Everything is told while the daemon stops, too.

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::Service;
use super::json::Json;
use super::operations::ImportJob;
use super::problem::Problem;
use super::request::{Named, Parameters};
use crate::events::ImageOutcome;
use crate::telemetry::status::{Choice, ImagePage, Registry, Rule, RuleDetail, Snapshot};

/// Pages of more would be slow to show.
const LARGEST_PAGE: usize = 1000;
const USUAL_PAGE: usize = 100;
const LAST_PAGE: usize = 1_000_000;

/// A document, or why there is none.
pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// The rules, in the configuration's order.
#[derive(Serialize)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
}

/// The registries, by their names.
#[derive(Serialize)]
pub(super) struct Registries {
    pub(super) registries: Vec<Registry>,
}

/// Some of the imports, the latest first.
#[derive(Serialize)]
pub(super) struct ImportPage {
    pub(super) page: usize,
    pub(super) per_page: usize,
    pub(super) total: usize,
    pub(super) imports: Vec<ImportJob>,
}

pub(super) async fn status(State(service): State<Service>, uri: Uri) -> Answer<Snapshot> {
    Parameters::of(&uri, &[])?;
    Ok(Json(service.status.snapshot(service.is_ready())))
}

pub(super) async fn rules(State(service): State<Service>, uri: Uri) -> Answer<Rules> {
    Parameters::of(&uri, &[])?;
    Ok(Json(Rules { rules: service.status.snapshot(service.is_ready()).rules }))
}

pub(super) async fn rule(State(service): State<Service>, Named(name): Named, uri: Uri) -> Answer<RuleDetail> {
    Parameters::of(&uri, &[])?;
    service.status.rule(&name).map(Json).ok_or_else(|| no_rule(&name))
}

pub(super) async fn images(State(service): State<Service>, Named(name): Named, uri: Uri) -> Answer<ImagePage> {
    let parameters = Parameters::of(&uri, &["page", "per_page", "outcome", "order", "contains"])?;
    let (page, per_page) = page(&parameters)?;
    let outcome = parameters.word("outcome", &ImageOutcome::ALL.map(|outcome| (outcome.as_str(), outcome)))?;
    let latest_first = parameters.word("order", &[("name", false), ("latest", true)])?.unwrap_or_default();
    let choice = Choice { outcome, latest_first, contains: parameters.text("contains") };
    service.status.images(&name, &choice, page, per_page).map(Json).ok_or_else(|| no_rule(&name))
}

pub(super) async fn registries(State(service): State<Service>, uri: Uri) -> Answer<Registries> {
    Parameters::of(&uri, &[])?;
    Ok(Json(Registries { registries: service.status.registries() }))
}

pub(super) async fn imports(State(service): State<Service>, uri: Uri) -> Answer<ImportPage> {
    let (page, per_page) = page(&Parameters::of(&uri, &["page", "per_page"])?)?;
    let (total, imports) = service.operations.imports((page - 1) * per_page, per_page);
    Ok(Json(ImportPage { page, per_page, total, imports }))
}

pub(super) async fn import(State(service): State<Service>, Named(id): Named, uri: Uri) -> Answer<ImportJob> {
    Parameters::of(&uri, &[])?;
    let job = service.operations.import_job(&id);
    let advice = "GET /api/v1/imports lists them; those that ended are kept for an hour at most";
    job.map(Json).ok_or_else(|| Problem::not_found(format!("there is no import {id:?}"), advice))
}

/// How all of this is asked for.
pub(super) async fn openapi(uri: Uri) -> Result<Response, Problem> {
    Parameters::of(&uri, &[])?;
    let document = include_str!("openapi.json").replace("{version}", env!("CARGO_PKG_VERSION"));
    Ok(([("content-type", "application/json")], document).into_response())
}

/// The one problem of what names no rule.
pub(super) fn no_rule(name: &str) -> Problem {
    Problem::not_found(format!("there is no rule {name:?}"), "GET /api/v1/rules lists them")
}

/// An event as it is told, in the shape of the documents.
pub(super) fn told(name: &str, data: &impl Serialize) -> String {
    format!("event: {name}\ndata: {}\n\n", json!(data))
}

fn page(parameters: &Parameters) -> Result<(usize, usize), Problem> {
    Ok((parameters.number("page", (1, LAST_PAGE), 1)?, parameters.number("per_page", (1, LARGEST_PAGE), USUAL_PAGE)?))
}
