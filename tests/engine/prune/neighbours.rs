//! Several who write to one repository: other rules, other sources of the same rule, other targets of it.

use std::sync::Arc;

use regferry::events::RunOutcome;
use regferry::transfer::{Appends, Neighbour, RepositoryPattern, Rule, Source, Target};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use super::{Mirror, image, plain, pruned};
use crate::support::{digest, host, location, reference, rule_of, to};

/// Another rule from a source to the mirror's target.
fn neighbour(name: &str, source: Source, mirror: &Mirror, include: &[&str]) -> Neighbour {
    Neighbour::from(&*rule_of(name, vec![source], vec![to(location(mirror.target.host(), "app"))], include))
}

fn beside(mut rule: Rule, others: Vec<Neighbour>) -> Rule {
    rule.prune.as_mut().unwrap().others = others;
    rule
}

/// A target that takes the last part of a source's name.
fn below(registry: &FakeRegistry) -> Target {
    Target::Below { host: host(registry.host()), folder: None, appends: Appends::Name }
}

#[tokio::test]
async fn several_sources_of_one_repository_are_united_and_all_have_to_be_known() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "2", "old"]).await;
    mirror.source.seed("other/app", "2", &image("2"));
    let mut rule = mirror.rule(&["*"], &[], 20);
    let sources = ["app", "other/app"].map(|name| Source::Repository(location(mirror.source.host(), name)));
    rule.scope = Arc::clone(&rule_of("app", sources.into(), vec![below(&mirror.target)], &["*"]).scope);

    mirror.source.fault(Fault::on(Method::GET, Endpoint::Tags).times(1), Effect::status(403));
    let report = mirror.run(rule.clone()).await;
    assert_eq!((pruned(&report).len(), report.outcome), (0, RunOutcome::Failure));

    assert_eq!(pruned(&mirror.run(rule).await), ["old"]);
    assert_eq!(mirror.left(), ["1", "2"]);
}

#[tokio::test]
async fn two_targets_of_one_rule_in_one_repository_spare_each_others_tags() {
    let mirror = Mirror::new(plain(), &["1"], &["old"]).await;
    let tagged = |tag: &str| Target::Repository {
        location: location(mirror.target.host(), "app"),
        tag: Some(tag.parse().unwrap()),
    };
    let source = Source::Image(reference(&format!("{}/app:1", mirror.source.host())));
    let scope = Arc::clone(&rule_of("app", vec![source], vec![tagged("stable"), tagged("v1")], &[]).scope);
    let rule = Rule { scope, ..mirror.rule(&[], &[], 20) };

    mirror.run(rule.clone()).await;
    let report = mirror.run(rule).await;

    assert_eq!((mirror.left(), report.error), (vec!["stable".to_owned(), "v1".to_owned()], None));
}

#[tokio::test]
async fn what_other_rules_write_there_stays_however_they_name_it() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "a-1", "a-2", "exact", "image", "from-glob", "old"]).await;
    let from = FakeRegistry::start().await;
    for tag in ["a-1", "b", "exact", "image"] {
        from.seed("team/app", tag, &image(tag));
    }
    from.seed("globs/app", "from-glob", &image("from-glob"));
    let source = || Source::Repository(location(from.host(), "team/app"));
    let globs = Source::Repositories(host(from.host()), RepositoryPattern::new("globs/*").unwrap());
    let others = vec![
        neighbour("filter", source(), &mirror, &["a-*"]),
        neighbour("exact", source(), &mirror, &["exact"]),
        neighbour("image", Source::Image(reference(&format!("{}/team/app:image", from.host()))), &mirror, &[]),
        Neighbour::from(&*rule_of("globs", vec![globs], vec![below(&mirror.target)], &[])),
    ];

    let report = mirror.run(beside(mirror.rule(&["*"], &[], 20), others)).await;

    assert_eq!((pruned(&report), report.error.clone()), (vec!["a-2".to_owned(), "old".to_owned()], None));
}

#[tokio::test]
async fn if_it_is_not_known_what_another_rule_writes_nothing_goes_and_the_error_says_why() {
    let mirror = Mirror::new(plain(), &["1"], &["1", "old"]).await;
    let missing = Source::Repository(location(mirror.source.host(), "nowhere"));
    let unlisted = Source::Repositories(host(mirror.source.host()), RepositoryPattern::new("x/*").unwrap());
    mirror.source.fault(Fault::on(Method::GET, Endpoint::Catalog), Effect::status(404));

    for source in [missing, unlisted] {
        let rule = beside(mirror.rule(&["*"], &[], 20), vec![neighbour("team", source, &mirror, &["v*"])]);
        let report = mirror.run(rule).await;
        let error = report.error.unwrap();
        assert!(error.contains("nothing goes, since it is not known what the rule \"team\" writes there: "), "{error}");
        assert_eq!((report.outcome, mirror.deletions()), (RunOutcome::Failure, 0));
    }
}

#[tokio::test]
async fn a_document_that_a_rule_writes_without_a_tag_is_needed_too() {
    let mirror = Mirror::new(plain().keeps_tags(), &["1"], &["1", "old"]).await;
    let at = format!("{}/app@{}", mirror.source.host(), digest(&image("old")));
    let other = neighbour("pinned", Source::Image(reference(&at)), &mirror, &[]);

    let report = mirror.run(beside(mirror.rule(&["*"], &[], 20), vec![other])).await;

    assert_eq!((mirror.left(), pruned(&report).len()), (vec!["1".to_owned(), "old".to_owned()], 0));
}

#[tokio::test]
async fn a_glob_that_finds_nothing_lets_nothing_go_that_it_may_have_written() {
    let mirror = Mirror::new(plain(), &[], &["1", "2"]).await;
    mirror.source.seed("a/app", "1", &image("1"));
    let globs =
        |pattern: &str| Source::Repositories(host(mirror.source.host()), RepositoryPattern::new(pattern).unwrap());
    let to_all = |name: &str, sources: Vec<Source>| rule_of(name, sources, vec![below(&mirror.target)], &["*"]);

    let scope = Arc::clone(&to_all("app", vec![globs("a/*"), globs("b/*")]).scope);
    let own = mirror.run(Rule { scope, ..mirror.rule(&["*"], &[], 20) }).await;
    assert_eq!((pruned(&own).len(), own.outcome), (0, RunOutcome::Success), "{own:?}");

    let scope = Arc::clone(&to_all("app", vec![globs("a/*")]).scope);
    let other = Neighbour::from(&*to_all("team", vec![globs("b/*")]));
    let report = mirror.run(beside(Rule { scope, ..mirror.rule(&["*"], &[], 20) }, vec![other])).await;
    assert!(report.error.as_deref().is_some_and(|error| error.contains("what the rule \"team\" writes")), "{report:?}");
    assert_eq!((mirror.left(), mirror.deletions()), (vec!["1".to_owned(), "2".to_owned()], 0));
}
