//! The API through its router: what it answers, and that its description says so.

use std::path::Path;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{ALLOW, AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use boon::{Compiler, Schemas};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::events::{ImageOutcome, ImageReport, Observer as _, Request as Asked, RuleReport, RunOutcome};
use crate::oci::Host;
use crate::registry::Limits;
use crate::transfer::{Import, Pushed};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Does nothing, and says that it does, or refuses.
struct Fake(Option<Refusal>);

impl Operations for Fake {
    fn sync<'a>(&'a self, rule: &'a str, _key: Option<Key>) -> BoxFuture<'a, Result<SyncAccepted, Refusal>> {
        let accepted = SyncAccepted { id: "10-1".to_owned(), rule: rule.to_owned(), folded: false };
        async move { self.0.map_or(Ok(accepted), Err) }.boxed()
    }

    fn pushed(&self, pushes: &[Pushed]) -> usize {
        pushes.len()
    }

    fn import(&self, import: Import, _key: Option<Key>) -> Result<ImportJob, Refusal> {
        let result: Box<RawValue> = RawValue::from_string("{}".to_owned()).unwrap();
        let job = ImportJob {
            id: "10-1".to_owned(),
            state: JobState::Done,
            source: import.source.to_string(),
            targets: import.targets.iter().map(ToString::to_string).collect(),
            force: import.force,
            created: Timestamp::UNIX_EPOCH,
            started: Some(Timestamp::UNIX_EPOCH),
            ended: None,
            error: Some("no".to_owned()),
            result: Some(result.into()),
        };
        self.0.map_or(Ok(job), Err)
    }

    fn import_job(&self, id: &str) -> Option<ImportJob> {
        let [source, target] = ["a.example/a:1", "b.example/a:1"].map(|name| name.parse().unwrap());
        (id == "10-1").then(|| self.import(Import::new(source, vec![target]), None).ok())?
    }

    fn imports(&self, _skip: usize, _take: usize) -> (usize, Vec<ImportJob>) {
        (1, self.import_job("10-1").into_iter().collect())
    }
}

/// A daemon with one rule, of which everything is known that can be.
fn status() -> Status {
    let (status, hub) =
        (Status::new("1.2.3", Timestamp::from_second(16).unwrap()), "docker.io".parse::<Host>().unwrap());
    status.configured(Path::new("regferry.toml"), Timestamp::UNIX_EPOCH);
    status.reloaded(Err("line 3".to_owned()), Timestamp::UNIX_EPOCH);
    status.rules(&["a rule"]);
    status.between("a rule", vec!["a.example/*".to_owned()], vec!["b.example/*".to_owned()]);
    status.registries_are([(hub.clone(), Limits { bandwidth: Some(1), ..Limits::default() })]);
    status.request(&Asked { registry: &hub, method: "GET", status: None, elapsed: Duration::ZERO });
    status.request(&Asked { registry: &hub, method: "GET", status: Some(200), elapsed: Duration::ZERO });
    status.pulls_left(&hub, 5, Duration::from_secs(3600));
    status.throttled(&hub, crate::events::ThrottleReason::Quota, Duration::from_secs(1));
    let name: crate::oci::Reference = "b.example/a:1".parse().unwrap();
    let failed = ImageReport { error: Some("no".to_owned()), ..ImageReport::new(name.clone(), name.clone()) };
    let copied = ImageReport {
        outcome: ImageOutcome::Copied,
        digest: Some(DIGEST.parse().unwrap()),
        ..ImageReport::new(name.clone(), name)
    };
    for (outcome, image) in [(RunOutcome::Success, copied), (RunOutcome::Failure, failed)] {
        status.run_started("a rule");
        status.image("a rule", &image);
        let report = RuleReport::begun(&"a rule".into(), std::time::UNIX_EPOCH);
        status.run_ended(&RuleReport { outcome, images: vec![image], ..report });
    }
    status.run_started("a rule");
    status.out_of_pulls("a rule", &"docker.io: 0 left");
    status.ticks([("a rule", Some(Timestamp::UNIX_EPOCH))]);
    status
}

pub(super) struct Api {
    pub(super) service: Service,
    _folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) code: u16,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Api {
    /// One whose token is `s3cret`.
    pub(super) fn new(refusal: Option<Refusal>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let service = Service {
            metrics: Arc::new(Metrics::new().unwrap()),
            status: Arc::new(status()),
            ready: Arc::new(AtomicBool::new(true)),
            access: Arc::default(),
            webhooks: Arc::default(),
            operations: Arc::new(Fake(refusal)),
            cluster: None,
        };
        service.access.set(Some(folder.path().join("token")), Reading::Open);
        Self { service, _folder: folder }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router = router(self.service.clone(), CancellationToken::new());
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (head, body) = TowerToHyperService::new(router).call(request).await.unwrap().into_parts();
        let body = if head.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            String::new()
        } else {
            String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap()
        };
        Answer { code: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// With the token.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: Vec<_> = [("authorization", "Bearer s3cret")].iter().chain(headers).copied().collect();
        self.ask("POST", path, &headers, body).await
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Its code, if it explains itself as it should.
    pub(super) fn problem(&self) -> u16 {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.code, "{problem}");
        assert!(
            ["title", "detail", "advice"]
                .iter()
                .all(|part| problem[part].as_str().is_some_and(|text| !text.is_empty()))
        );
        self.code
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const ORDER: &str = r#"{"source": "a.example/a:1", "images": ["b.example/a:1"]}"#;

#[tokio::test]
async fn the_status_is_json_that_nobody_keeps_and_says_when_the_daemon_stops() {
    let api = Api::new(None);
    for ready in [true, false] {
        api.service.ready.store(ready, Ordering::Relaxed);
        let answer = api.get("/api/v1/status").await;
        assert_eq!((answer.code, &answer.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
        assert_eq!((&answer.json()["version"], &answer.json()["ready"]), (&json!("1.2.3"), &json!(ready)));
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_a_problem() {
    let api = Api::new(None);
    for (method, path, code) in [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/v1/rules/missing", 404),
        ("GET", "/api/v1/rules/missing/images", 404),
        ("GET", "/api/v1/rules/%ff", 404),
        ("GET", "/api/v1/imports/missing", 404),
        ("GET", "/api/v1/status?pretty", 400),
        ("GET", "/api/v1/openapi.json?pretty=1", 400),
        ("GET", "/api/v1/rules/a%20rule/images?page=0", 400),
        ("GET", "/api/v1/rules/a%20rule/images?per_page=1001", 400),
        ("GET", "/api/v1/rules/a%20rule/images?outcome=gone", 400),
        ("DELETE", "/api/v1/status", 405),
        ("GET", "/api/v1/rules/a%20rule/sync", 405),
        ("PUT", "/livez", 405),
    ] {
        let answer = api.ask(method, path, &[], "").await;
        assert_eq!(answer.problem(), code, "{method} {path}");
        assert_eq!(answer.headers.contains_key(ALLOW), code == 405, "{method} {path}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let api = Api::new(None);
    for path in ["/livez", "/metrics", "/api/v1/status", "/nowhere"] {
        let headers = api.get(path).await.headers;
        for (name, value) in [
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn the_page_may_load_nothing_but_itself_and_is_asked_about_each_time() {
    let api = Api::new(None);
    let page = api.get("/").await;
    assert_eq!((page.code, &page.headers[CONTENT_TYPE]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let (default, rest) = policy.split_once("; ").unwrap();
    assert_eq!(default, "default-src 'none'");
    for directive in rest.split("; ") {
        let (name, sources) = directive.split_once(' ').unwrap();
        let may = |source: &str| match name {
            "script-src" | "style-src" => source.starts_with("'sha256-"),
            "connect-src" => source == "'self'",
            "img-src" => source == "data:",
            "require-trusted-types-for" => source == "'script'",
            _ => source == "'none'",
        };
        assert!(sources.split(' ').all(may), "{directive}");
    }
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.headers[name], value, "{name}");
    }
    assert!(policy.contains("frame-ancestors 'none'") && page.body.contains("</html>"), "{policy}");
    let tag = page.headers["etag"].to_str().unwrap();
    let again = api.ask("GET", "/", &[("if-none-match", tag)], "").await;
    assert_eq!((again.code, &*again.body, &again.headers["etag"]), (304, "", &tag.parse().unwrap()));
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let api = Api::new(None);
    for path in ["/livez", "/api/v1/status", "/api/v1/rules/missing"] {
        let (head, get) = (api.ask("HEAD", path, &[], "").await, api.get(path).await);
        assert_eq!((head.code, head.headers, &*head.body), (get.code, get.headers, ""), "{path}");
    }
}

#[tokio::test]
async fn reading_needs_a_token_where_it_is_configured_and_what_probes_need_does_not() {
    let api = Api::new(None);
    let file = api._folder.path().join("token");
    api.service.access.set(Some(file), Reading::ByToken);
    for path in ["/api/v1/status", "/api/v1/events", "/api/v1/imports/10-1", "/api/v1/rules/missing"] {
        let answer = api.get(path).await;
        assert_eq!(answer.problem(), 401, "{path}");
        assert!(answer.headers[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
    }
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/openapi.json"] {
        assert_eq!(api.get(path).await.code, 200, "{path}");
    }
    let token = [(AUTHORIZATION.as_str(), "Bearer s3cret")];
    assert_eq!(api.ask("GET", "/api/v1/status", &token, "").await.code, 200);
}

#[tokio::test]
async fn what_changes_something_needs_the_token() {
    let api = Api::new(None);
    for path in ["/api/v1/rules/a%20rule/sync", "/api/v1/imports"] {
        assert_eq!(api.ask("POST", path, &[JSON], ORDER).await.problem(), 401, "{path}");
        let wrong = [JSON, ("authorization", "Bearer s3cre")];
        assert_eq!(api.ask("POST", path, &wrong, ORDER).await.problem(), 401, "{path}");
    }
    api.service.access.set(None, Reading::Open);
    assert_eq!(api.post("/api/v1/imports", &[JSON], ORDER).await.problem(), 403);
}

#[tokio::test]
async fn what_is_asked_for_is_accepted_with_its_id_and_place() {
    let api = Api::new(None);
    let synced = api.post("/api/v1/rules/a%20rule/sync", &[("idempotency-key", "k")], "").await;
    assert_eq!((synced.code, &synced.headers[LOCATION]), (202, &"/api/v1/rules/a%20rule".parse().unwrap()));
    assert_eq!(synced.json(), json!({"id": "10-1", "rule": "a rule", "folded": false}));

    let imported = api.post("/api/v1/imports", &[JSON], ORDER).await;
    assert_eq!((imported.code, &imported.headers[LOCATION]), (202, &"/api/v1/imports/10-1".parse().unwrap()));
    assert_eq!(imported.json()["targets"], json!(["b.example/a:1"]));
}

#[tokio::test]
async fn an_import_that_cannot_be_is_refused_before_it_is_accepted() {
    let api = Api::new(None);
    let large = " ".repeat(65 << 10);
    for (headers, body, code) in [
        (&[JSON][..], "{", 400),
        (&[JSON], r#"{"source": "a.example/a:1"}"#, 422),
        (&[JSON], r#"{"source": "a.example/a:1", "images": ["b.example/a:1"], "forse": true}"#, 422),
        (&[JSON], &large, 413),
        (&[("content-type", "text/plain")], ORDER, 415),
        (&[JSON, ("idempotency-key", "")], ORDER, 400),
    ] {
        assert_eq!(api.post("/api/v1/imports", headers, body).await.problem(), code, "{body:.80}");
    }
    assert_eq!(api.post("/api/v1/imports?dry_run=1", &[JSON], ORDER).await.problem(), 400);
}

#[tokio::test]
async fn what_is_not_done_now_says_why_and_when_to_come_again() {
    for (refusal, code) in [
        (Refusal::UnknownRule, 404),
        (Refusal::KeyTaken, 409),
        (Refusal::Full, 429),
        (Refusal::Stopping, 503),
        (Refusal::Unreached, 503),
    ] {
        let api = Api::new(Some(refusal));
        let answer = api.post("/api/v1/rules/a%20rule/sync", &[], "").await;
        assert_eq!(answer.problem(), code);
        assert_eq!(answer.headers.contains_key(RETRY_AFTER), matches!(code, 429 | 503), "{code}");
    }
}

#[tokio::test]
async fn events_are_for_so_many_at_once() {
    let api = Api::new(None);
    let router = router(api.service.clone(), CancellationToken::new());
    let ask = || {
        let request = http::Request::builder().uri("/api/v1/events").body(Body::empty()).unwrap();
        TowerToHyperService::new(router.clone()).call(request)
    };
    let mut following = Vec::new();
    for _ in 0..events::MOST {
        let answer = ask().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &"text/event-stream".parse().unwrap())
        );
        following.push(answer);
    }
    assert_eq!(ask().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    following.pop();
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
}

fn openapi() -> Value {
    serde_json::from_str(include_str!("openapi.json")).unwrap()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let described = openapi();
    let described =
        described["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        });
    let routes = include_str!("mod.rs").split(".route(\"").skip(1).filter_map(|text| {
        let (path, rest) = text.split_once("\", ")?;
        let method = rest.split('(').next()?;
        Some(format!("{method} {path}"))
    });
    let of_the_api = routes.filter(|route| route.contains(" /api/"));
    let (mut described, mut routes): (Vec<_>, Vec<_>) = (described.collect(), of_the_api.collect());
    described.sort();
    routes.sort();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn every_answer_is_as_the_description_says_with_no_field_more_or_less() {
    let api = Api::new(None);
    for (method, path, described, body) in [
        ("get", "/api/v1/status", "/api/v1/status", ""),
        ("get", "/api/v1/rules", "/api/v1/rules", ""),
        ("get", "/api/v1/rules/a%20rule", "/api/v1/rules/{name}", ""),
        ("get", "/api/v1/rules/a%20rule/images?order=latest", "/api/v1/rules/{name}/images", ""),
        ("get", "/api/v1/registries", "/api/v1/registries", ""),
        ("get", "/api/v1/imports?page=1", "/api/v1/imports", ""),
        ("get", "/api/v1/imports/10-1", "/api/v1/imports/{id}", ""),
        ("post", "/api/v1/rules/a%20rule/sync", "/api/v1/rules/{name}/sync", ""),
        ("post", "/api/v1/imports", "/api/v1/imports", ORDER),
        ("get", "/api/v1/rules/missing", "/api/v1/rules/{name}", ""),
    ] {
        let answer = match method {
            "get" => api.get(path).await,
            _ => api.post(path, &[JSON], body).await,
        };
        check_described(method, described, &answer);
    }
}

/// Holds an answer against what the description says of a path.
pub(super) fn check_described(method: &str, path: &str, answer: &Answer) {
    let description = openapi();
    let responses = &description["paths"][path][method]["responses"];
    let response = resolved(&responses[answer.code.to_string()], &description);
    let kind = answer.headers[CONTENT_TYPE].to_str().unwrap();
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "{method} {path}: {kind} of {} is not described", answer.code);
    assert_eq!(is_valid(&answer.json(), schema, &description), Ok(()), "{method} {path}");
    let mut wrong = Vec::new();
    compare(&answer.json(), schema, &description, path, &mut wrong);
    assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{:#}", answer.json());
}

#[test]
fn an_order_has_the_fields_that_are_described() {
    let order: ImportOrder = serde_json::from_str(ORDER).unwrap();
    let description = openapi();
    let mut wrong = Vec::new();
    compare(&json!(order), &json!({"$ref": "#/components/schemas/ImportOrder"}), &description, "order", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn resolved<'d>(schema: &'d Value, description: &'d Value) -> &'d Value {
    match schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
        Some(place) => description.pointer(place).unwrap(),
        None => schema,
    }
}

fn is_valid(value: &Value, schema: &Value, description: &Value) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let mut document = json!({"components": description["components"]});
    document.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
    compiler.add_resource("urn:regferry:api", document).unwrap();
    let index = compiler.compile("urn:regferry:api", &mut schemas).unwrap();
    schemas.validate(value, index).map_err(|error| format!("{error:#}"))
}

/// Walks a document and its schema together.
fn compare(value: &Value, schema: &Value, description: &Value, at: &str, wrong: &mut Vec<String>) {
    let schema = resolved(schema, description);
    let schema = match schema["anyOf"].as_array() {
        Some(kinds) => resolved(&kinds[0], description),
        None => schema,
    };
    match value {
        Value::Object(fields) => {
            let Some(described) = schema["properties"].as_object() else { return };
            for (name, value) in fields {
                match described.get(name) {
                    Some(schema) => compare(value, schema, description, &format!("{at}.{name}"), wrong),
                    None => wrong.push(format!("{at}.{name} is not described")),
                }
            }
            let missing = described.keys().filter(|name| !fields.contains_key(*name));
            wrong.extend(missing.map(|name| format!("{at}.{name} is described, and not there")));
        }
        Value::Array(values) => {
            let place = format!("{at}[]");
            values.iter().for_each(|value| compare(value, &schema["items"], description, &place, wrong));
        }
        _ => {}
    }
}
