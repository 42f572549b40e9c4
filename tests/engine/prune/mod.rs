//! What is deleted at a target, what never is, and when nothing goes at all.

mod deletion;
mod neighbours;

use std::sync::Arc;

use regferry::events::{RuleReport, RunOutcome};
use regferry::transfer::{Mode, Prune, Referrers, Rule, Source};
use testkit::registry::Builder;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{digest, engine, location, reference, rule_of, run, to};

/// A source and a target, both with `app`.
struct Mirror {
    source: FakeRegistry,
    target: FakeRegistry,
}

impl Mirror {
    /// The source has these tags, the target those, each with an image of its own.
    async fn new(target: Builder, source: &[&str], there: &[&str]) -> Self {
        let mirror = Self { source: FakeRegistry::start().await, target: target.start().await };
        for tag in source {
            mirror.source.seed("app", tag, &image(tag));
        }
        for tag in there {
            mirror.target.seed("app", tag, &image(tag));
        }
        mirror
    }

    /// A rule over these tags that prunes.
    fn rule(&self, include: &[&str], keep: &[&str], max_delete: usize) -> Rule {
        let keep = keep.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let prune = Prune { keep, max_delete, others: Vec::new() };
        let sources = vec![Source::Repository(location(self.source.host(), "app"))];
        let rule = rule_of("app", sources, vec![to(location(self.target.host(), "app"))], include);
        Rule { prune: Some(prune), ..(*rule).clone() }
    }

    async fn run(&self, rule: Rule) -> RuleReport {
        run(&engine(), &Arc::new(rule)).await
    }

    /// The target's tags.
    fn left(&self) -> Vec<String> {
        self.target.tags("app")
    }

    fn deletions(&self) -> usize {
        self.target.count(&Method::DELETE, Endpoint::Manifest)
    }
}

fn image(tag: &str) -> Image {
    Image::oci("linux/amd64")
        .layer(tag.bytes().fold(7u64, |seed, b| seed.wrapping_mul(31).wrapping_add(b.into())), 100)
        .build()
}

fn plain() -> Builder {
    FakeRegistry::builder()
}

/// The names of what a run deleted, without the registry.
fn pruned(report: &RuleReport) -> Vec<String> {
    report.pruned.iter().map(|tag| tag.tag.as_ref().unwrap().to_string()).collect()
}

#[tokio::test]
async fn tags_that_the_rule_would_not_write_go_and_all_others_stay() {
    let mirror = Mirror::new(plain(), &["1", "2", "x"], &["1", "old", "older", "release-1", "x"]).await;
    mirror.target.retag("app", "like-1", &digest(&image("1")).to_string());

    let report = mirror.run(mirror.rule(&["1", "2*"], &["release-*"], 20)).await;

    assert_eq!((report.outcome, report.error.clone()), (RunOutcome::Success, None));
    assert_eq!(pruned(&report), ["like-1", "old", "older", "x"]);
    assert_eq!(mirror.left(), ["1", "2", "release-1"]);
    assert_eq!(mirror.target.incomplete_tags(), Vec::<String>::new());
    assert_eq!(report.pruned[1], reference(&format!("{}/app:old", mirror.target.host())));
}

#[tokio::test]
async fn without_prune_and_with_nothing_to_go_nothing_is_asked_for() {
    let mirror = Mirror::new(plain(), &["1", "2"], &["1", "2"]).await;
    let rule = mirror.rule(&["*"], &[], 20);

    mirror.run(rule.clone()).await;
    assert_eq!(mirror.target.summary(), "GET tags 1, HEAD manifest 2");

    mirror.target.seed("app", "old", &image("old"));
    mirror.run(Rule { prune: None, ..rule }).await;
    assert_eq!(mirror.left(), ["1", "2", "old"]);
}

#[tokio::test]
async fn a_plan_names_what_would_go_and_deletes_nothing() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "old"]).await;
    let rule = Arc::new(mirror.rule(&["*"], &[], 20));

    let plan = engine().run(&rule, Mode::Plan, &CancellationToken::new()).await;

    assert_eq!(pruned(&plan), ["old"]);
    assert_eq!((mirror.left(), mirror.deletions()), (vec!["1".to_owned(), "old".to_owned()], 0));
}

#[tokio::test]
async fn more_than_the_limit_deletes_nothing_and_fails_the_rule() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "a", "b", "c"]).await;
    let rule = mirror.rule(&["*"], &[], 2);

    for mode in [Mode::Plan, Mode::Execute] {
        let report = engine().run(&Arc::new(rule.clone()), mode, &CancellationToken::new()).await;
        assert_eq!(report.outcome, RunOutcome::Failure);
        let error = report.error.unwrap();
        assert!(error.contains("3 tags would go, and max_delete is 2, so all of them stay: a, b, c;"), "{error}");
        assert!(error.starts_with(&format!("pruning {}/app: ", mirror.target.host())), "{error}");
        assert_eq!((report.pruned.len(), mirror.deletions()), (0, 0));
    }
    let report = mirror.run(mirror.rule(&["*"], &[], 3)).await;
    assert_eq!(pruned(&report), ["a", "b", "c"]);
}

#[tokio::test]
async fn exactly_named_tags_are_pruned_around_with_one_listing() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "old"]).await;

    let report = mirror.run(mirror.rule(&["1"], &[], 20)).await;

    assert_eq!(pruned(&report), ["old"]);
    assert_eq!(mirror.target.summary(), "HEAD manifest 1, GET tags 1, DELETE manifest 1");
}

#[tokio::test]
async fn a_source_that_fails_or_is_empty_lets_nothing_go() {
    let empty = Mirror::new(plain(), &[], &["old"]).await;
    empty.source.seed("app", "x", &image("x"));
    empty.source.remove_manifest("app", "x");
    let without_match = Mirror::new(plain(), &["x"], &["old"]).await;
    let missing = Mirror::new(plain(), &[], &["old"]).await;
    let broken = Mirror::new(plain(), &["1"], &["old"]).await;
    broken.source.fault(Fault::on(Method::GET, Endpoint::Tags), Effect::status(403));
    let failing = Mirror::new(plain(), &["1"], &["old"]).await;
    failing.source.fault(Fault::on(Method::GET, Endpoint::Manifest), Effect::status(403));

    for mirror in [empty, without_match, missing, broken, failing] {
        let report = mirror.run(mirror.rule(&["1*"], &[], 20)).await;
        assert_eq!((pruned(&report).len(), mirror.deletions()), (0, 0), "{:?}", report.error);
    }
}

#[tokio::test]
async fn a_tag_that_could_not_be_copied_stays_and_others_go() {
    let mirror = Mirror::new(plain(), &["1", "2"], &["2", "gone", "old"]).await;
    mirror.source.seed("app", "2", &image("2, moved"));
    mirror.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).reference("2"), Effect::status(403));

    let report = mirror.run(mirror.rule(&["1", "2*", "gone"], &[], 20)).await;

    assert_eq!(report.outcome, RunOutcome::Failure);
    assert_eq!((pruned(&report), mirror.left()), (vec!["old".to_owned()], vec!["1".into(), "2".into(), "gone".into()]));
}

#[tokio::test]
async fn signatures_stay_as_long_as_their_image_is_there() {
    let mirror = Mirror::new(plain(), &["1"], &["1"]).await;
    let (wanted, untagged, gone) = (digest(&image("1")), digest(&image("untagged")), digest(&image("gone")));
    mirror.target.seed_untagged("app", &image("untagged"));
    let tags = [wanted, untagged, gone.clone()].map(|digest| digest.cosign_tags().remove(0).to_string());
    for tag in &tags {
        mirror.target.seed("app", tag, &image(tag));
    }
    mirror.target.clear_requests();

    let report = mirror.run(mirror.rule(&["*"], &[], 20)).await;

    assert_eq!(pruned(&report), [tags[2].clone()]);
    // The image itself, and what else has a signature.
    assert_eq!(mirror.target.count(&Method::HEAD, Endpoint::Manifest), 3, "{}", mirror.target.summary());
}

#[tokio::test]
async fn a_signature_that_was_pruned_is_brought_again_with_its_image() {
    let mirror = Mirror::new(plain(), &["1", "2"], &[]).await;
    let signature = digest(&image("2")).cosign_tags().remove(0).to_string();
    mirror.source.seed("app", &signature, &image("signature"));
    let engine = engine();
    let signed = |include: &[&str]| {
        let rule = mirror.rule(include, &[], 20);
        Arc::new(Rule { referrers: Referrers::All, ..rule })
    };
    run(&engine, &signed(&["1", "2*"])).await;
    assert_eq!(mirror.left().len(), 3);

    // Its image is gone, whoever deleted it.
    mirror.target.remove_manifest("app", &digest(&image("2")).to_string());
    let report = run(&engine, &signed(&["1*"])).await;
    assert_eq!(pruned(&report), std::slice::from_ref(&signature));

    run(&engine, &signed(&["1", "2*"])).await;
    assert_eq!(mirror.left(), ["1".to_owned(), "2".to_owned(), signature]);
}
