//! Listings of tags: followed to their end, wherever and however it is told, and nowhere else.

use regferry::events::{RuleReport, RunOutcome};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{engine, failures, location, rule, run};

/// A registry with these tags in `app`.
async fn with_tags(tags: &[&str]) -> FakeRegistry {
    let source = FakeRegistry::start().await;
    let digest = source.seed_untagged("app", &Image::oci("linux/amd64").build());
    tags.iter().for_each(|tag| source.retag("app", tag, &digest));
    source
}

/// A page, and the links beside it.
fn page(tags: &str, links: &[&str]) -> Effect {
    let headers = links.iter().map(|link| ("Link".to_owned(), (*link).to_owned())).collect();
    Effect::Status { code: 200, headers, body: format!(r#"{{"name":"app","tags":{tags}}}"#) }
}

fn pages() -> Fault {
    Fault::on(Method::GET, Endpoint::Tags)
}

async fn mirror(source: &FakeRegistry, target: &FakeRegistry) -> RuleReport {
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["*"]);
    run(&engine(), &rule).await
}

#[tokio::test]
async fn the_next_page_is_followed_however_its_link_is_written() {
    let links: [fn(&str) -> String; 5] = [
        |host| format!(r#"<http://{host}/v2/app/tags/list?last=b>; rel="next""#),
        |_| r#"</v2/app/tags/list?last=b&n=9>; rel="next""#.to_owned(),
        |_| r#"<?last=b&n=9>; rel="next""#.to_owned(),
        |_| "<list?last=b>;rel=next".to_owned(),
        |_| r#"</v2/app/tags/list>; rel="first", </v2/app/tags/list?last=b>; title="a, b"; rel="next""#.to_owned(),
    ];
    for link in links {
        let (source, target) = (with_tags(&["a", "b", "c", "d"]).await, FakeRegistry::start().await);
        let link = link(source.host());
        source.fault(pages().times(1), page(r#"["a","b"]"#, &[&link]));

        let report = mirror(&source, &target).await;

        assert_eq!(failures(&report), Vec::<String>::new(), "{link}");
        assert_eq!(target.tags("app"), ["a", "b", "c", "d"], "{link}");
        assert_eq!(source.count(&Method::GET, Endpoint::Tags), 2, "{link}");
    }
}

#[tokio::test]
async fn the_next_page_is_found_among_several_headers() {
    let (source, target) = (with_tags(&["a", "b", "c"]).await, FakeRegistry::start().await);
    let links = [r#"</v2/>; rel="help""#, r#"</v2/app/tags/list?last=b>; rel="next""#];
    source.fault(pages().times(1), page(r#"["a","b"]"#, &links));

    mirror(&source, &target).await;

    assert_eq!(target.tags("app"), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_listing_is_never_followed_to_another_registry() {
    let (source, target) = (with_tags(&["a", "b", "c"]).await, FakeRegistry::start().await);
    let stranger = with_tags(&["a", "b", "c"]).await;
    for host in [stranger.host(), source.other_host()] {
        source.clear_requests();
        let link = format!(r#"<http://{host}/v2/app/tags/list?last=b>; rel="next""#);
        source.fault(pages().times(1), page(r#"["a","b"]"#, &[&link]));

        mirror(&source, &target).await;

        assert_eq!(stranger.requests().len(), 0);
        assert_eq!(source.count(&Method::GET, Endpoint::Tags), 1, "{}", source.summary());
    }
}

#[tokio::test]
async fn a_listing_that_would_go_on_elsewhere_is_not_taken_for_whole() {
    let (source, target) = (with_tags(&["a", "b", "c"]).await, FakeRegistry::start().await);
    let link = format!(r#"<http://{}/v2/app/tags/list?last=b>; rel="next""#, source.other_host());
    source.fault(pages(), page(r#"["a","b"]"#, &[&link]));

    let report = mirror(&source, &target).await;

    assert!(report.outcome == RunOutcome::Failure || !report.warnings.is_empty(), "{report:?}");
}

#[tokio::test]
async fn neither_a_short_page_nor_an_empty_one_is_the_end() {
    let (source, target) = (with_tags(&["a", "b"]).await, FakeRegistry::start().await);
    source.fault(pages().times(1), page("null", &[r#"<?last=0>; rel="next""#]));
    source.fault(pages().times(1), page(r#"["a"]"#, &[r#"<?last=a>; rel="next""#]));

    mirror(&source, &target).await;

    assert_eq!(target.tags("app"), ["a", "b"]);
    assert_eq!(source.count(&Method::GET, Endpoint::Tags), 3);
}

#[tokio::test]
async fn a_full_page_without_a_link_is_the_end_and_no_more_than_a_thousand_are_asked_for() {
    let tags: Vec<String> = (0..1000).map(|tag| format!("v{tag}")).collect();
    let (source, target) = (with_tags(&["v0"]).await, FakeRegistry::start().await);
    source.fault(pages(), page(&format!("{tags:?}"), &[]));
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v0*"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(report.outcome, RunOutcome::Success);
    let requests = source.requests();
    let listed: Vec<_> = requests.iter().filter(|request| request.endpoint == Endpoint::Tags).collect();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].parameter("n").is_none_or(|n| n.parse::<u32>().unwrap() <= 1000));
}

#[tokio::test]
async fn null_is_a_listing_without_tags_on_either_side() {
    let (source, target) = (with_tags(&["a"]).await, FakeRegistry::start().await);
    target.fault(pages(), page("null", &[]));
    assert_eq!(mirror(&source, &target).await.outcome, RunOutcome::Success);
    assert_eq!(target.tags("app"), ["a"]);

    source.fault(pages(), page("null", &[]));
    let report = mirror(&source, &target).await;
    assert_eq!((report.outcome, report.images.len()), (RunOutcome::Success, 0));
    assert!(report.warnings.iter().any(|warning| warning.contains("matches no tag")), "{:?}", report.warnings);
}

#[tokio::test]
async fn digests_in_a_listing_are_no_tags() {
    let (source, target) = (with_tags(&["a", "b"]).await, FakeRegistry::start().await);
    let digest = source.manifest("app", "a").unwrap().digest();
    source.fault(pages(), page(&format!(r#"["a","{digest}","sha256__{}","b"]"#, &digest[7..]), &[]));
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["?"]);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(target.tags("app"), ["a", "b"]);
}
