//! Refusals: which are worth another try, and what is told of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use regferry::events::Observer;
use regferry::oci::Host;
use testkit::{Effect, Endpoint, Fault, Method};

use crate::ferry::Ferry;
use crate::support::{engine_with, location, rule, run};

#[tokio::test]
async fn every_status_of_a_passing_trouble_is_worth_another_try() {
    let passing = [408, 425, 429, 499, 500, 502, 503, 504].into_iter().chain(520..=529);
    join_all(passing.map(async |status| {
        let (ferry, _) = Ferry::new().await;
        ferry.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), Effect::status(status));

        ferry.copy().await.unwrap_or_else(|error| panic!("{status}: {error}"));

        assert_eq!(ferry.retries.reasons(), [if status == 429 { "throttled" } else { "server" }], "{status}");
        assert_eq!(ferry.source.count(&Method::HEAD, Endpoint::Manifest), 2, "{status}");
    }))
    .await;
}

#[tokio::test]
async fn every_broken_connection_is_worth_another_try() {
    let requests = [
        (Method::HEAD, Endpoint::Manifest),
        (Method::POST, Endpoint::Upload),
        (Method::PUT, Endpoint::Upload),
        (Method::PUT, Endpoint::Manifest),
    ];
    join_all(requests.map(async |(method, endpoint)| {
        let (ferry, _) = Ferry::new().await;
        ferry.target.fault(Fault::on(method.clone(), endpoint).times(1), Effect::Drop);

        ferry.copy().await.unwrap_or_else(|error| panic!("{method} {endpoint}: {error}"));

        assert_eq!(ferry.retries.reasons(), ["connection"], "{method} {endpoint}");
        assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()), "{method} {endpoint}");
    }))
    .await;
}

#[tokio::test]
async fn no_other_refusal_is_asked_again() {
    for status in
        [400, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 423, 426, 428, 431, 451]
    {
        let (ferry, _) = Ferry::new().await;
        ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::status(status));

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(&status.to_string()) || status == 404, "{error}");
        assert_eq!(ferry.source.count(&Method::GET, Endpoint::Manifest), 1, "{status}");
        assert_eq!(ferry.retries.reasons(), Vec::<String>::new(), "{status}");
    }
}

#[tokio::test]
async fn an_errors_body_may_be_anything() {
    let bodies = [
        ("", "400"),
        ("<!DOCTYPE html><html><body>Bad Gateway</body></html>", "400"),
        ("no, thank you", "400"),
        ("[]", "400"),
        ("null", "400"),
        ("{", "400"),
        (r#"{"errors":null}"#, "400"),
        (r#"{"errors":[null]}"#, "400"),
        (r#"{"errors":[{"code":7,"message":["x"]}]}"#, "400"),
        (r#"{"errors":[{"code":"DENIED","message":"ask\nthe   admin"}]}"#, "400 DENIED: ask the admin"),
        (r#"{"errors":[{"message":"","detail":"from the detail"}]}"#, "400 from the detail"),
        (r#"{"errors":[{"code":"DENIED"},{"code":"OTHER"}]}"#, "400 DENIED"),
        (r#"{"details":"in the token server's way"}"#, "400 in the token server's way"),
    ];
    for (body, told) in bodies {
        let (ferry, _) = Ferry::new().await;
        let effect = Effect::Status { code: 400, headers: Vec::new(), body: body.to_owned() };
        ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), effect);

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(told), "{body}: {error}");
        assert!(!error.contains('\n') && error.len() < 500, "{body}: {error}");
    }
}

#[tokio::test]
async fn an_error_without_an_end_is_read_at_its_beginning_only() {
    const WHOLE: usize = 64 << 20;
    let (ferry, _) = Ferry::new().await;
    let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"{}"#, "x".repeat(WHOLE));
    let effect = Effect::Status { code: 400, headers: Vec::new(), body };
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), effect);

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("400") && error.len() < 500, "{error}");
    let requests = ferry.source.requests();
    let refused = requests.iter().find(|request| request.status == Some(400)).unwrap();
    assert!(refused.bytes_out < WHOLE as u64 / 2, "{} bytes were taken", refused.bytes_out);
}

#[tokio::test]
async fn an_error_whose_body_breaks_off_is_the_error_all_the_same() {
    let (ferry, image) = Ferry::new().await;
    let found = Effect::status_with(200, &[("Docker-Content-Digest", &image.digest())]);
    ferry.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest), found);
    ferry.source.remove_manifest("app", &image.digest());
    ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::CutBody { after_bytes: 10 });

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains("not found"), "{error}");
    assert_eq!(ferry.source.count(&Method::GET, Endpoint::Manifest), 1);
}

#[tokio::test]
async fn a_warning_changes_nothing() {
    let (ferry, _) = Ferry::new().await;
    for (registry, method, endpoint) in [
        (&ferry.source, Method::HEAD, Endpoint::Manifest),
        (&ferry.source, Method::GET, Endpoint::Manifest),
        (&ferry.source, Method::GET, Endpoint::Blob),
        (&ferry.target, Method::PUT, Endpoint::Upload),
        (&ferry.target, Method::PUT, Endpoint::Manifest),
    ] {
        let warning = Effect::header("Warning", r#"299 - "this registry closes on Monday""#);
        registry.fault(Fault::on(method, endpoint), warning);
    }

    ferry.copy().await.unwrap();

    assert_eq!(ferry.retries.reasons(), Vec::<String>::new());
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

/// Remembers what registries say.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Observer for Said {
    fn warning(&self, registry: &Host, text: &str) {
        self.0.lock().unwrap().push(format!("{registry}: {text}"));
    }
}

#[tokio::test]
async fn a_warning_is_shown_once_however_often_it_comes() {
    let (ferry, _) = Ferry::new().await;
    let warning = Effect::header("Warning", r#"299 - "this registry closes on Monday""#);
    ferry.source.fault(Fault::any(), warning);
    let (from, to) = (location(ferry.source.host(), "app"), location(ferry.target.host(), "app"));
    let said = Arc::new(Said::default());

    run(&engine_with(HashMap::new(), Arc::clone(&said) as _), &rule("app", from, to, &["v*"])).await;

    assert_eq!(*said.0.lock().unwrap(), [format!("{}: this registry closes on Monday", ferry.source.host())]);
}
