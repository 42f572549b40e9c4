//! How tags go: by themselves, or with their documents, or not at all.

use std::sync::Arc;

use regferry::events::RunOutcome;
use regferry::transfer::{Mode, PlatformMode, Platforms, Rule, Source};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, Fault, Immutability, Method};
use tokio_util::sync::CancellationToken;

use super::{Mirror, image, plain, pruned};
use crate::support::{digest, engine, location, reference, rule, rule_of, run, to};

#[tokio::test]
async fn where_only_documents_can_be_deleted_a_tag_goes_with_its_document_if_nothing_else_needs_it() {
    let mirror = Mirror::new(plain().keeps_tags(), &["1", "list"], &["1", "old", "older"]).await;
    let list = hello_world();
    mirror.source.seed("app", "list", &list);
    mirror.target.seed("app", "list", &list);
    let child = list.documents().next().unwrap().digest();
    mirror.target.retag("app", "child-of-list", &child);
    mirror.target.retag("app", "like-1", &digest(&image("1")).to_string());
    mirror.target.retag("app", "like-old", &digest(&image("old")).to_string());

    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;

    assert_eq!((report.outcome, report.error.clone()), (RunOutcome::Success, None));
    let mut went = pruned(&report);
    went.sort();
    assert_eq!(went, ["like-old", "old", "older"]);
    assert_eq!(mirror.left(), ["1", "child-of-list", "like-1", "list"]);
    assert_eq!(mirror.target.incomplete_tags(), Vec::<String>::new());
    let warning = report.warnings.iter().find(|warning| warning.contains("deletes no tag alone")).unwrap();
    assert!(warning.contains("need the same images (2)") && warning.ends_with("child-of-list, like-1"), "{warning}");
}

#[tokio::test]
async fn a_registry_that_says_of_a_tag_that_it_is_not_there_is_not_believed() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "old"]).await;
    mirror.target.fault(Fault::on(Method::DELETE, Endpoint::Manifest).reference("old"), Effect::status(404));

    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;

    assert_eq!((pruned(&report), mirror.left()), (vec!["old".to_owned()], vec!["1".to_owned()]));
}

#[tokio::test]
async fn a_list_goes_before_what_it_lists() {
    let mirror = Mirror::new(plain().keeps_tags(), &["1"], &["1"]).await;
    let list = hello_world();
    mirror.target.seed("app", "old", &list);
    for (number, document) in list.documents().enumerate() {
        mirror.target.retag("app", &format!("part-{number}"), &document.digest());
    }
    mirror.target.clear_requests();

    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;

    assert_eq!((mirror.left(), report.error), (vec!["1".to_owned()], None));
    let deleted = mirror.target.requests().into_iter().filter(|request| request.method == Method::DELETE);
    let deleted: Vec<String> = deleted.filter_map(|request| request.reference).collect();
    assert_eq!(deleted[1], list.digest(), "{deleted:?}");
}

#[tokio::test]
async fn a_tag_that_moves_meanwhile_is_left_alone() {
    let mirror = Mirror::new(plain().keeps_tags(), &["1"], &["1", "old"]).await;
    mirror.run(mirror.rule(&["*"], &["old"], 20)).await;
    mirror.target.clear_requests();
    // HEAD 1, tags, DELETE by tag, tags, HEAD 1, HEAD old, GET both documents, HEAD old once more.
    let again = mirror.target.after_requests(9);
    let moving = async {
        let _held = again.await;
        mirror.target.seed("app", "old", &image("new"));
    };

    let (report, ()) = tokio::join!(mirror.run(mirror.rule(&["*"], &[], 20)), moving);

    assert_eq!((pruned(&report).len(), mirror.left()), (0, vec!["1".to_owned(), "old".to_owned()]));
    assert!(report.warnings[0].ends_with("app:old stays: it was moved just now"), "{:?}", report.warnings);
}

#[tokio::test]
async fn deletion_that_is_off_is_one_error_after_two_attempts() {
    let mirror = Mirror::new(plain().without_delete(), &["1"], &["1", "a", "b", "c"]).await;

    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;

    let error = report.error.unwrap();
    assert_eq!(error.matches("the registry deletes neither tags nor manifests: turn deletion on").count(), 1);
    assert_eq!((report.outcome, mirror.deletions()), (RunOutcome::Failure, 2), "{error}");
    assert_eq!(mirror.left(), ["1", "a", "b", "c"]);
}

#[tokio::test]
async fn an_immutable_tag_stays_with_a_warning_and_a_forbidden_one_fails() {
    let mirror = Mirror::new(plain().immutable_tags(Immutability::LikeHarbor), &["1"], &["1", "a"]).await;
    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;
    assert_eq!((report.outcome, pruned(&report).len()), (RunOutcome::Success, 0));
    assert!(report.warnings[0].contains("deleting a from"), "{:?}", report.warnings);

    let mirror = Mirror::new(plain(), &["1"], &["1", "a", "b"]).await;
    mirror.target.fault(Fault::on(Method::DELETE, Endpoint::Manifest).reference("b"), Effect::status(403));
    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;
    assert_eq!((report.outcome, pruned(&report)), (RunOutcome::Failure, vec!["a".to_owned()]));
}

#[tokio::test]
async fn a_run_that_is_stopped_deletes_nothing_more() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "a", "b", "c"]).await;
    let (rule, engine, cancel) = (Arc::new(mirror.rule(&["*"], &[], 20)), engine(), CancellationToken::new());
    let stop = cancel.clone();
    // The second deletion.
    mirror.target.on_request(4, move || stop.cancel());

    let report = engine.run(&rule, Mode::Execute, &cancel).await;

    assert_eq!(report.outcome, RunOutcome::Cancelled);
    assert_eq!((mirror.deletions(), report.error.clone()), (2, None), "{}", mirror.target.summary());
    assert!(mirror.left().contains(&"c".to_owned()));
}

#[tokio::test]
async fn a_document_that_another_rule_tags_meanwhile_stays() {
    let mirror = Mirror::new(plain().keeps_tags(), &["1"], &["1", "old"]).await;
    mirror.source.seed("other", "stable", &image("old"));
    let (source, target) = (location(mirror.source.host(), "other"), location(mirror.target.host(), "app"));
    let other = rule("other", source, target, &["stable"]);
    let (engine, pruning) = (engine(), Arc::new(mirror.rule(&["*"], &[], 20)));
    // HEAD 1, tags, DELETE by tag, tags, HEAD 1, HEAD old: what is needed is being found out.
    let looking = mirror.target.after_requests(6);
    let tagging = async {
        let held = looking.await;
        let tagged = run(&engine, &other).await;
        drop(held);
        tagged
    };

    let (report, tagged) = tokio::join!(run(&engine, &pruning), tagging);

    assert_eq!((tagged.outcome, report.outcome), (RunOutcome::Success, RunOutcome::Success));
    assert!(mirror.left().contains(&"stable".to_owned()), "{:?} {}", mirror.left(), mirror.target.summary());
    assert_eq!(mirror.target.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn a_smaller_list_that_the_rule_writes_without_a_tag_is_needed_too() {
    let mirror = Mirror::new(plain().keeps_tags(), &[], &[]).await;
    let list = hello_world();
    mirror.source.seed("app", "v1", &list);
    let at = reference(&format!("{}/app@{}", mirror.source.host(), list.digest()));
    let scope = Arc::clone(
        &rule_of("app", vec![Source::Image(at)], vec![to(location(mirror.target.host(), "app"))], &[]).scope,
    );
    let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Rewrite).unwrap();
    let rule = Rule { scope, platforms: Some(platforms), ..mirror.rule(&[], &[], 20) };
    let written = mirror.run(rule.clone()).await.images[0].digest.clone().unwrap();
    mirror.target.retag("app", "mine", &written.to_string());

    let report = mirror.run(rule).await;

    assert_eq!((mirror.left(), pruned(&report).len()), (vec!["mine".to_owned()], 0), "{report:?}");
}
