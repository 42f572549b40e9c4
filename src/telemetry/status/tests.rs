use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::events::{ImageReport, RunOutcome};

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
        "cluster": null,
        "rules": [{
            "name": "hello",
            "state": "idle",
            "condition": "new",
            "waiting": null,
            "sources": [],
            "targets": [],
            "next": null,
            "last_success": null,
            "last_run": null,
            "last_error": null,
            "run": null,
        }],
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
        "condition": "fresh",
        "waiting": null,
        "sources": [],
        "targets": [],
        "next": "1970-01-01T01:00:00Z",
        "last_success": "1970-01-01T00:00:13Z",
        "last_run": {
            "id": "6955b900.ee6b280-1",
            "outcome": "success",
            "started": "1970-01-01T00:00:01Z",
            "seconds": 12.5,
            "copied": 1,
            "unchanged": 1,
            "skipped": 1,
            "failed": 0,
            "pruned": 0,
            "bytes": 15,
            "error": null,
        },
        "last_error": null,
        "run": null,
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

/// A daemon's status.
fn watched(rules: &[&str]) -> Status {
    let status = status(rules);
    status.configured(Path::new("regferry.toml"), at("2026-01-01T00:00:00Z"));
    status
}

fn image(target: &str, outcome: ImageOutcome) -> ImageReport {
    let target = target.parse::<crate::oci::Reference>().unwrap();
    ImageReport { outcome, bytes: 5, ..ImageReport::new(target.clone(), target) }
}

#[test]
fn a_rule_is_new_running_waiting_failing_and_fresh() {
    let status = watched(&["hello"]);
    let condition = || status.rule("hello").unwrap().rule.condition;
    assert_eq!(condition(), Condition::New);
    status.run_started("hello");
    assert_eq!(condition(), Condition::Running);
    status.out_of_pulls("hello", &"docker.io: none left");
    assert_eq!(condition(), Condition::Waiting);
    status.out_of_pulls("hello", &"docker.io: none left");
    let told = status.feed().after(0).events.into_iter().filter(|event| event.name == "run_waiting");
    assert_eq!(
        told.map(|event| event.data.to_string()).collect::<Vec<_>>(),
        [r#"{"rule":"hello","waiting":"docker.io: none left"}"#]
    );
    status.image("hello", &image("r.example/app:v1", ImageOutcome::Copied));
    assert_eq!(condition(), Condition::Running);
    for (outcome, after) in [
        (RunOutcome::Cancelled, Condition::New),
        (RunOutcome::Failure, Condition::Failing),
        (RunOutcome::Cancelled, Condition::Failing),
        (RunOutcome::Success, Condition::Fresh),
        (RunOutcome::Timeout, Condition::Failing),
    ] {
        status.run_ended(&run_of("hello", outcome, &[]));
        assert_eq!(condition(), after, "{outcome:?}");
    }
}

#[test]
fn the_last_error_stays_when_runs_succeed_again_and_its_text_is_kept_once() {
    let status = watched(&["hello"]);
    for _ in 0..2 {
        status.run_ended(&run_of("hello", RunOutcome::Failure, &[(ImageOutcome::Failed, "no")]));
    }
    status.run_ended(&run_of("hello", RunOutcome::Success, &[]));
    let rule = status.rule("hello").unwrap();
    let last = rule.rule.last_error.unwrap();
    assert_eq!(&*last.error, "r.example/app:v1: no");
    let texts: Vec<_> = rule.runs.iter().filter_map(|run| run.error.as_ref()).collect();
    assert!(texts.len() == 2 && texts.iter().all(|text| std::sync::Arc::ptr_eq(text, &last.error)));
}

#[test]
fn the_last_runs_are_kept_the_latest_first() {
    let status = watched(&["hello"]);
    for _ in 0..25 {
        status.run_started("hello");
        status.run_ended(&run_of("hello", RunOutcome::Success, &[]));
    }
    let runs = status.rule("hello").unwrap().runs;
    assert_eq!((runs.len(), &*runs[0].id, &*runs[19].id), (20, "6955b900.ee6b280-25", "6955b900.ee6b280-6"));
}

#[test]
fn a_run_that_is_asked_for_has_the_id_that_was_promised() {
    let status = watched(&["hello", "other"]);
    assert_eq!(status.promise_run("missing"), None);
    let promised = status.promise_run("hello").unwrap();
    assert_eq!(status.promise_run("hello").as_ref(), Some(&promised), "it is the same run");
    assert_ne!(status.promise_run("other").as_ref(), Some(&promised));

    status.starts("hello");
    let next = status.promise_run("hello").unwrap();
    assert_ne!(next, promised, "that one is started already");
    status.run_started("hello");
    assert_eq!(status.traffic().runs["hello"].id, promised);
    status.run_ended(&run_of("hello", RunOutcome::Success, &[]));
    status.starts("hello");
    status.run_started("hello");
    assert_eq!(status.rule("hello").unwrap().rule.run.unwrap().id, next);
}

#[test]
fn a_run_shows_how_far_it_is() {
    let status = watched(&["hello"]);
    status.run_started("hello");
    status.found("hello", 3);
    status.image("hello", &image("r.example/app:v1", ImageOutcome::Copied));
    status.image("hello", &image("r.example/app:v2", ImageOutcome::Failed));
    let run = status.rule("hello").unwrap().rule.run.unwrap();
    assert_eq!((run.found, run.done, run.failed, run.bytes), (3, 2, 1, 10));
}

#[test]
fn images_that_a_run_of_all_has_not_seen_are_forgotten_and_those_of_a_failed_one_stay() {
    let status = watched(&["hello"]);
    for (target, outcome, total) in [
        ("r.example/app:v1", RunOutcome::Success, 1),
        ("r.example/app:v2", RunOutcome::Failure, 2),
        ("r.example/app:v3", RunOutcome::Success, 1),
    ] {
        status.run_started("hello");
        status.image("hello", &image(target, ImageOutcome::Copied));
        status.run_ended(&run_of("hello", outcome, &[]));
        assert_eq!(status.images("hello", &Choice::default(), 1, 10).unwrap().total, total);
    }
    assert_eq!(status.images("missing", &Choice::default(), 1, 10), None);
}

#[test]
fn of_more_images_than_there_is_room_for_small_rules_keep_all() {
    let status = watched(&["large", "small"]);
    status.image("small", &image("r.example/small:1", ImageOutcome::Copied));
    for number in 0..21_000 {
        status.image("large", &image(&format!("r.example/large:{number}"), ImageOutcome::Unchanged));
    }
    let total = |rule| status.images(rule, &Choice::default(), 1, 10).unwrap().total;
    assert_eq!((total("large"), total("small")), (19_999, 1));
}

#[test]
fn what_nobody_looks_at_is_not_kept() {
    let status = status(&["hello"]);
    status.run_started("hello");
    status.image("hello", &image("r.example/app:v1", ImageOutcome::Copied));
    assert_eq!(status.images("hello", &Choice::default(), 1, 10).unwrap().total, 0);
    assert_eq!(status.feed().after(0).events, []);
}

#[test]
fn what_happens_is_told_but_not_of_what_is_in_place() {
    let status = watched(&["hello"]);
    status.run_started("hello");
    status.image("hello", &image("r.example/app:v1", ImageOutcome::Unchanged));
    status.image("hello", &image("r.example/app:v2", ImageOutcome::Copied));
    status.run_ended(&run_of("hello", RunOutcome::Success, &[]));
    status.reloaded(Ok(()), at("2026-01-03T00:00:00Z"));
    let names: Vec<&str> = status.feed().after(0).events.iter().map(|event| event.name).collect();
    assert_eq!(names, ["run_started", "image", "run_ended", "reload"]);
}

#[test]
fn ids_are_of_one_process() {
    let status = status(&[]);
    assert_eq!(status.number_of(&status.id(7)), Some(7));
    for other in ["0-7", "6955b900-7", "6955b900.ee6b280", "6955b900.ee6b280-", "6955b900.ee6b280-x", ""] {
        assert_eq!(status.number_of(other), None);
    }
    let of = |started: &str| Status::new("1.2.3", at(started)).id(7);
    assert_ne!(of("2026-01-01T00:00:00.25Z"), of("2026-01-01T00:00:00.5Z"), "two replicas began within a second");
}
