use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::events::ImageReport;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(rules: &[&str]) -> Status {
    let status = Status::new("1.2.3", at("2026-01-01T00:00:00.25Z"));
    status.rules(rules);
    status
}

fn document(status: &Status) -> Value {
    serde_json::to_value(status.snapshot(true)).unwrap()
}

/// A run of twelve seconds and a half from the first second of 1970 on, with an image for each outcome.
fn run_of(rule: &str, outcome: RunOutcome, images: &[(ImageOutcome, &str)]) -> RuleReport {
    let image = |(outcome, error): &(ImageOutcome, &str)| {
        let name = "r.example/app:v1".parse::<crate::oci::Reference>().unwrap();
        let error = (!error.is_empty()).then(|| (*error).to_owned());
        ImageReport { outcome: *outcome, error, bytes: 5, ..ImageReport::new(name.clone(), name) }
    };
    RuleReport {
        outcome,
        elapsed: Duration::from_millis(12_500),
        images: images.iter().map(image).collect(),
        ..RuleReport::begun(&rule.into(), UNIX_EPOCH + Duration::from_secs(1))
    }
}

#[test]
fn the_document_has_every_field_from_the_start() {
    let expected = json!({
        "version": "1.2.3",
        "started": "2026-01-01T00:00:00Z",
        "ready": true,
        "config": {"file": null, "loaded": null, "last_reload": null},
        "rules": [{"name": "hello", "state": "idle", "next": null, "last_success": null, "last_run": null}],
    });
    assert_eq!(document(&status(&["hello"])), expected);
}

#[test]
fn a_run_is_under_way_and_then_the_last_one() {
    use ImageOutcome::{Copied, Skipped, Unchanged};
    let status = status(&["hello"]);
    status.run_started("hello");
    status.ticks([("hello", Some(at("1970-01-01T01:00:00Z")))]);
    assert_eq!(document(&status)["rules"][0]["state"], "running");

    status.run_ended(&run_of("hello", RunOutcome::Success, &[(Copied, ""), (Unchanged, ""), (Skipped, "held back")]));

    let expected = json!({
        "name": "hello",
        "state": "idle",
        "next": "1970-01-01T01:00:00Z",
        "last_success": "1970-01-01T00:00:13Z",
        "last_run": {
            "outcome": "success",
            "started": "1970-01-01T00:00:01Z",
            "seconds": 12.5,
            "copied": 1,
            "unchanged": 1,
            "skipped": 1,
            "failed": 0,
            "bytes": 15,
            "error": null,
        },
    });
    assert_eq!(document(&status)["rules"][0], expected);
}

#[test]
fn a_failure_shows_its_first_error_and_leaves_the_last_success() {
    let status = status(&["hello"]);
    status.run_ended(&run_of("hello", RunOutcome::Success, &[]));
    let failed = [(ImageOutcome::Copied, ""), (ImageOutcome::Failed, "no"), (ImageOutcome::Failed, "never")];

    status.run_ended(&run_of("hello", RunOutcome::Failure, &failed));
    let rule = document(&status)["rules"][0].take();
    assert_eq!(rule["last_run"]["error"], "r.example/app:v1: no");
    assert_eq!((&rule["last_run"]["failed"], &rule["last_run"]["outcome"]), (&json!(2), &json!("failure")));
    assert_eq!(rule["last_success"], "1970-01-01T00:00:13Z");

    let of_rule = RuleReport { error: Some("no list".to_owned()), ..run_of("hello", RunOutcome::Failure, &failed) };
    status.run_ended(&of_rule);
    assert_eq!(document(&status)["rules"][0]["last_run"]["error"], "no list");
}

#[test]
fn an_error_is_shown_in_bounds() {
    let status = status(&["hello"]);
    let error = Some("ä".repeat(LONGEST_ERROR + 1));
    status.run_ended(&RuleReport { error, ..run_of("hello", RunOutcome::Failure, &[]) });
    let shown = document(&status)["rules"][0]["last_run"]["error"].take();
    assert_eq!(shown, "ä".repeat(LONGEST_ERROR) + "…");
}

#[test]
fn a_reload_that_fails_leaves_what_was_loaded() {
    let status = status(&[]);
    status.configured(Path::new("/etc/regferry.toml"), at("2026-01-01T00:00:00Z"));
    status.reloaded(Err("line 3: unknown key".to_owned()), at("2026-01-02T00:00:00Z"));
    let failed = json!({
        "file": "/etc/regferry.toml",
        "loaded": "2026-01-01T00:00:00Z",
        "last_reload": {"at": "2026-01-02T00:00:00Z", "successful": false, "error": "line 3: unknown key"},
    });
    assert_eq!(document(&status)["config"], failed);

    status.reloaded(Ok(()), at("2026-01-03T00:00:00Z"));
    let done = json!({
        "file": "/etc/regferry.toml",
        "loaded": "2026-01-03T00:00:00Z",
        "last_reload": {"at": "2026-01-03T00:00:00Z", "successful": true, "error": null},
    });
    assert_eq!(document(&status)["config"], done);
}

#[test]
fn rules_stand_in_the_configurations_order_and_keep_what_is_known_of_them() {
    let status = status(&["gone", "stays"]);
    status.run_ended(&run_of("stays", RunOutcome::Success, &[]));
    status.run_started("gone");

    status.rules(&["new", "stays"]);
    status.run_ended(&run_of("gone", RunOutcome::Success, &[]));

    let rules = status.snapshot(true).rules;
    assert_eq!(rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>(), ["new", "stays"]);
    assert!(rules[0].last_run.is_none() && rules[1].last_run.is_some());
}

#[test]
fn what_is_written_can_be_read() {
    let status = status(&["hello"]);
    status.run_ended(&run_of("hello", RunOutcome::Timeout, &[(ImageOutcome::Failed, "no")]));
    let snapshot = status.snapshot(false);
    assert_eq!(serde_json::from_value::<Snapshot>(serde_json::to_value(&snapshot).unwrap()).unwrap(), snapshot);
}
