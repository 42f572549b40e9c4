//! Messages through the router: who is let in, and what is answered.

use std::collections::BTreeMap;

use ring::hmac::{self, HMAC_SHA256, Key};

use crate::events::WebhookKind;
use crate::server::tests::{Answer, Api, check_described};

const SECRET: &str = "s3cret-of-webhooks";
const OTHER: &str = "another-secret-of-webhooks";

const BEARER: (&str, &str) = ("authorization", "Bearer s3cret-of-webhooks");

/// A push of each kind.
fn body(kind: WebhookKind) -> &'static str {
    match kind {
        WebhookKind::Distribution => {
            r#"{"events": [{"action": "push", "target": {"repository": "team/app", "tag": "v1"}}]}"#
        }
        WebhookKind::Acr => r#"{"action": "push", "target": {"repository": "team/app", "tag": "v1"}}"#,
        WebhookKind::Harbor => {
            r#"{"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"tag": "v1"}],
                "repository": {"repo_full_name": "team/app"}}}"#
        }
        WebhookKind::DockerHub => r#"{"push_data": {"tag": "v1"}, "repository": {"repo_name": "team/app"}}"#,
        WebhookKind::Quay => r#"{"repository": "team/app", "updated_tags": ["v1"]}"#,
        WebhookKind::Ghcr => {
            r#"{"action": "published", "package": {"name": "app", "namespace": "team", "package_type": "CONTAINER",
                "package_version": {}}}"#
        }
    }
}

fn signature(secret: &str, body: &str) -> String {
    let tag = hmac::sign(&Key::new(HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// One that takes all kinds.
fn api() -> (Api, tempfile::TempDir) {
    let (api, folder) = (Api::new(None), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let files: BTreeMap<_, _> = WebhookKind::ALL.map(|kind| (kind, folder.path().join("secret"))).into();
    api.service.webhooks.set(&files);
    (api, folder)
}

fn path(kind: WebhookKind) -> String {
    format!("/api/v1/webhooks/{}", kind.as_str())
}

/// A message whose sender shows this secret as its kind does.
async fn send(api: &Api, kind: WebhookKind, secret: &str, body: &str) -> Answer {
    let (header, query) = (format!("Bearer {secret}"), format!("{}?token={secret}", path(kind)));
    let signature = signature(secret, body);
    match kind {
        WebhookKind::Ghcr => api.ask("POST", &path(kind), &[("x-hub-signature-256", &signature)], body).await,
        WebhookKind::DockerHub | WebhookKind::Quay => api.ask("POST", &query, &[], body).await,
        WebhookKind::Distribution | WebhookKind::Acr | WebhookKind::Harbor => {
            api.ask("POST", &path(kind), &[("authorization", &header)], body).await
        }
    }
}

fn count(api: &Api, kind: WebhookKind, outcome: &str) -> String {
    let name = format!("regferry_webhooks_total{{kind=\"{}\",outcome=\"{outcome}\"}} ", kind.as_str());
    let metrics = api.service.metrics.render().unwrap();
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_push_is_accepted_from_who_shows_the_secret_and_from_nobody_else() {
    let (api, _folder) = api();
    for kind in WebhookKind::ALL {
        let answer = send(&api, kind, SECRET, body(kind)).await;
        assert_eq!((answer.code, answer.json()["rules"].as_u64()), (202, Some(1)), "{kind:?} {}", answer.body);
        for wrong in ["s3cret-of-webhook", OTHER] {
            let answer = send(&api, kind, wrong, body(kind)).await;
            assert_eq!(answer.problem(), 401, "{kind:?}");
            assert!(!answer.body.contains("s3cret"), "{}", answer.body);
        }
        let nothing = api.ask("POST", &path(kind), &[], body(kind)).await;
        assert_eq!(nothing.problem(), 401, "{kind:?}");
        assert_eq!(
            (count(&api, kind, "accepted"), count(&api, kind, "unauthorized")),
            ("1".to_owned(), "3".to_owned())
        );
    }
}

#[tokio::test]
async fn what_is_answered_is_described() {
    let (api, _folder) = api();
    for (body, code) in [(body(WebhookKind::Harbor), 202), (r#"{"type": ""}"#, 200), ("{", 422)] {
        let answer = send(&api, WebhookKind::Harbor, SECRET, body).await;
        assert_eq!(answer.code, code);
        check_described("post", "/api/v1/webhooks/{kind}", &answer);
    }
}

#[tokio::test]
async fn a_signature_is_of_the_very_bytes() {
    let (api, _folder) = api();
    let body = body(WebhookKind::Ghcr);
    let of_another = signature(SECRET, &format!("{body} "));
    for header in [&*of_another, "sha256=", "sha256=00", "sha1=00", "é"] {
        let answer = api.ask("POST", &path(WebhookKind::Ghcr), &[("x-hub-signature-256", header), BEARER], body).await;
        assert_eq!(answer.problem(), 401, "{header}");
    }
}

#[tokio::test]
async fn a_secret_in_a_url_is_one_only_where_the_registry_can_set_nothing_else() {
    let (api, _folder) = api();
    for kind in [WebhookKind::Distribution, WebhookKind::Harbor, WebhookKind::Ghcr] {
        let answer = api.ask("POST", &format!("{}?token={SECRET}", path(kind)), &[], body(kind)).await;
        assert_eq!(answer.problem(), 401, "{kind:?}");
    }
}

#[tokio::test]
async fn a_kind_that_is_not_configured_is_not_there() {
    let api = Api::new(None);
    for kind in ["harbor", "gitlab", "Harbor", ""] {
        let answer = api.ask("POST", &format!("/api/v1/webhooks/{kind}"), &[BEARER], "{}").await;
        assert_eq!(answer.problem(), 404, "{kind}");
    }
}

#[tokio::test]
async fn a_rotated_secret_holds_at_once() {
    let (api, folder) = api();
    std::fs::write(folder.path().join("secret"), format!("{OTHER}\n")).unwrap();
    for kind in WebhookKind::ALL {
        assert_eq!(send(&api, kind, SECRET, body(kind)).await.problem(), 401, "{kind:?}");
        assert_eq!(send(&api, kind, OTHER, body(kind)).await.code, 202, "{kind:?}");
    }
    std::fs::write(folder.path().join("secret"), "").unwrap();
    for kind in WebhookKind::ALL {
        assert_eq!(send(&api, kind, OTHER, body(kind)).await.problem(), 503, "{kind:?}");
    }
}

#[tokio::test]
async fn who_guesses_is_told_to_come_later_and_who_knows_is_not() {
    let (api, _folder) = api();
    let kind = WebhookKind::Quay;
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(send(&api, kind, OTHER, body(kind)).await.problem());
    }
    assert_eq!((&codes[..10], codes[11]), (&[401; 10][..], 429));
    assert_eq!(send(&api, kind, SECRET, body(kind)).await.code, 202);
    assert_eq!(send(&api, WebhookKind::DockerHub, OTHER, "{}").await.problem(), 401, "each kind has its own");
}

#[tokio::test]
async fn what_is_no_push_is_heard_and_nothing_is_done() {
    let (api, _folder) = api();
    for (kind, body) in [
        (WebhookKind::Distribution, r#"{"events": []}"#),
        (WebhookKind::Acr, r#"{"action": "ping"}"#),
        (WebhookKind::Harbor, r#"{"type": "PULL_ARTIFACT"}"#),
        (WebhookKind::DockerHub, "{}"),
        (WebhookKind::Quay, r#"{"repository": "team/app"}"#),
        (WebhookKind::Ghcr, r#"{"zen": "x"}"#),
    ] {
        let answer = send(&api, kind, SECRET, body).await;
        assert_eq!((answer.code, &*answer.body), (200, r#"{"outcome":"ignored","rules":0}"#), "{kind:?}");
        assert_eq!(count(&api, kind, "ignored"), "1");
    }
}

#[tokio::test]
async fn event_grid_is_told_its_word_once_it_has_shown_the_secret() {
    let (api, _folder) = api();
    let body =
        r#"[{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "a-1"}}]"#;
    let path = path(WebhookKind::Acr);
    assert_eq!(api.ask("POST", &path, &[], body).await.problem(), 401);
    let answer = api.ask("POST", &format!("{path}?token={SECRET}"), &[], body).await;
    assert_eq!((answer.code, &*answer.body), (200, r#"{"validationResponse":"a-1"}"#));
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_not_repeated() {
    let (api, _folder) = api();
    let long = " ".repeat((1 << 20) + 1);
    for kind in WebhookKind::ALL {
        for (body, code) in [("", 422), ("{", 422), (r#"{"type": ["hunter2"]}, "action": 7"#, 422), (&*long, 413)] {
            let answer = send(&api, kind, SECRET, body).await;
            assert_eq!(answer.problem(), code, "{kind:?} {body:.40}");
            assert!(!answer.body.contains("hunter2"), "{}", answer.body);
        }
        assert_eq!(count(&api, kind, "invalid"), "4");
    }
}

#[tokio::test]
async fn a_daemon_that_stops_takes_no_message() {
    let (api, _folder) = api();
    api.service.ready.store(false, std::sync::atomic::Ordering::Relaxed);
    for kind in WebhookKind::ALL {
        assert_eq!(send(&api, kind, SECRET, body(kind)).await.problem(), 503, "{kind:?}");
        assert_eq!(count(&api, kind, "refused"), "1");
    }
}
