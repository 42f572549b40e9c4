//! What requests say: names in their paths, parameters, bodies, keys. What is not understood is refused.

use std::collections::HashMap;
use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use url::form_urlencoded;

use super::problem::Problem;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 64 << 10;

/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// The name that is part of the path.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let wrong = |_| Problem::not_found("the path's name is no text", "write it in UTF-8, percent-encoded");
        named.map(|Path(name)| Self(name)).map_err(wrong)
    }
}

/// The parameters after the path's `?`, each once.
pub(super) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Those of a request, which may have these and no others.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let advice = match known {
            [] => "leave it out: this takes none".to_owned(),
            known => format!("this takes {}, each once", known.join(", ")),
        };
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                return Err(Problem::bad_request(format!("unknown query parameter {name:?}"), advice));
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::bad_request(format!("the query parameter {name:?} is there twice"), advice));
            }
        }
        Ok(Self(parameters))
    }

    /// A number within bounds, or the default.
    pub(super) fn number(&self, name: &str, bounds: (usize, usize), default: usize) -> Result<usize, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
        let (from, to) = bounds;
        let number =
            Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit())).and_then(|text| text.parse().ok());
        number.filter(|number| (from..=to).contains(number)).ok_or_else(|| {
            Problem::bad_request(
                format!("{name}={text}: it is no such number"),
                format!("write a number from {from} to {to}"),
            )
        })
    }

    /// A text, if the parameter is there.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// One of some words, if the parameter is there.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Problem::bad_request(
                format!("{name}={text}: it is no such word"),
                format!("write one of {}", words.join(", ")),
            )
        })
    }
}

/// A body of JSON, with every key known.
pub(super) async fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = format!("the body's type is {kind:?}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, "send Content-Type: application/json"));
    }
    let too_large = |_| {
        let detail = format!("the body is longer than {} KiB, or broke off", LONGEST_BODY >> 10);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail, "ask for less at once")
    };
    let bytes = to_bytes(body, LONGEST_BODY).await.map_err(too_large)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let advice = "send what /api/v1/openapi.json describes";
        match error.classify() {
            Category::Data => Problem::unprocessable(format!("the body is not what it should be: {error}"), advice),
            Category::Io | Category::Syntax | Category::Eof => {
                Problem::bad_request(format!("the body is no JSON: {error}"), advice)
            }
        }
    })
}

/// The `Idempotency-Key`, if there is one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_sound = |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match (key.to_str().ok().filter(is_sound), keys.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad_request(
            "the Idempotency-Key is no key",
            format!("send one, of 1 to {LONGEST_KEY} visible ASCII characters"),
        )),
    }
}

/// The number in a header, if it is there and is one.
pub(super) fn header<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use serde::Deserialize;

    use super::*;

    fn status<T>(result: Result<T, Problem>) -> u16 {
        result.map_or_else(|problem| problem.into_response().status().as_u16(), |_| 200)
    }

    #[test]
    fn parameters_are_known_and_there_once() {
        let of = |text: &str| Parameters::of(&text.parse().unwrap(), &["page", "order"]);
        assert_eq!(status(of("/x")), 200);
        assert_eq!(status(of("/x?page=1&order=name")), 200);
        for wrong in ["/x?pages=1", "/x?page=1&page=1", "/x?page=1&_=2", "/x?="] {
            assert_eq!(status(of(wrong)), 400, "{wrong}");
        }
        let parameters = of("/x?page=7&order=name").ok().unwrap();
        assert_eq!(parameters.number("page", (1, 10), 1).ok(), Some(7));
        assert_eq!(parameters.number("per_page", (1, 10), 5).ok(), Some(5));
        assert_eq!(status(parameters.number("page", (1, 6), 1)), 400);
        assert_eq!(status(parameters.number("order", (1, 6), 1)), 400);
        assert_eq!(parameters.word("order", &[("name", 1)]).ok(), Some(Some(1)));
        assert_eq!(status(parameters.word("order", &[("latest", 1)])), 400);
    }

    #[test]
    fn a_key_is_one_short_text() {
        let of = |keys: &[&str]| {
            let name = http::HeaderName::from_static("idempotency-key");
            idempotency_key(&keys.iter().map(|key| (name.clone(), key.parse().unwrap())).collect())
        };
        assert_eq!(of(&[]).ok(), Some(None));
        assert_eq!(of(&["deploy-7"]).ok(), Some(Some("deploy-7".to_owned())));
        for wrong in [&[""][..], &["a", "b"], &[&"x".repeat(256)], &["ä"], &["a b"]] {
            assert_eq!(status(of(wrong)), 400, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_body_is_json_of_bounded_length() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wanted {
            #[expect(dead_code, reason = "only whether it is read is looked at")]
            name: String,
        }
        let kind = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
        for (kind, body, code) in [
            (kind("application/json"), r#"{"name": "x"}"#.to_owned(), 200),
            (kind("application/json; charset=utf-8"), r#"{"name": "x"}"#.to_owned(), 200),
            (kind("text/plain"), r#"{"name": "x"}"#.to_owned(), 415),
            (HeaderMap::new(), String::new(), 415),
            (kind("application/json"), "{".to_owned(), 400),
            (kind("application/json"), "{}".to_owned(), 422),
            (kind("application/json"), r#"{"name": "x", "more": 1}"#.to_owned(), 422),
            (kind("application/json"), " ".repeat(LONGEST_BODY + 1), 413),
        ] {
            assert_eq!(status(json_body::<Wanted>(&kind, Body::from(body.clone())).await), code, "{kind:?} {body:.40}");
        }
    }
}
