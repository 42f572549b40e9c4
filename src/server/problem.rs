//! What the API says when it does not do what was asked: a problem document. Source: RFC 9457.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A refusal: what was refused, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    advice: String,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// What was refused and why, and what to do about it.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused");
        Self { kind: "about:blank", title, status, detail: detail.into(), advice: advice.into(), retry_after: None }
    }

    /// The request says something that is not understood.
    pub(super) fn bad_request(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail, advice)
    }

    /// What the request says is understood, and cannot be done.
    pub(super) fn unprocessable(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail, advice)
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, advice)
    }

    /// Something went wrong here.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        let detail = format!("a fault in regferry itself: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail, "please report it")
    }

    /// The daemon stops.
    pub(super) fn stopping() -> Self {
        let advice = "ask again when it has been started anew";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping: it begins nothing more", advice)
            .again_in(10)
    }

    /// It is worth asking again after so many seconds.
    #[must_use]
    pub(super) fn again_in(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"regferry\""));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
