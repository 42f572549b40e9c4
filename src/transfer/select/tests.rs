//! Filters as a whole. `real_images` has the tag lists that they meet.

mod real_images;

use super::*;
use proptest::prelude::*;

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn filter(include: &[&str], exclude: &[&str]) -> TagFilter {
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    TagFilter { include: patterns(include), exclude: patterns(exclude), ..TagFilter::default() }
}

impl TagFilter {
    fn semver(self, range: &str) -> Self {
        Self { semver: Some(range.parse().unwrap()), ..self }
    }

    fn latest(self, count: usize) -> Self {
        Self { latest: NonZeroUsize::new(count), ..self }
    }
}

#[test]
fn without_a_filter_all_tags_are_taken_but_referrers() {
    let referrers = format!("sha256-{}.sig", "0".repeat(64));
    let selection = TagFilter::default().select(tags(&["1", "2", &referrers, "2"]));
    assert_eq!(selection, Selection { tags: tags(&["1", "2"]), listed: 2, ..Selection::default() });
    assert!(TagFilter::default().takes_all());
}

#[test]
fn globs_expressions_and_names_choose_and_exclude() {
    let listed = tags(&["latest", "3.18", "3.19-rc1", "v1", "v22", "edge"]);
    let chosen = filter(&["latest", "3.*", r"/v\d/"], &["*-rc*"]).select(listed);
    assert_eq!(chosen.tags, tags(&["latest", "3.18", "v1"]));
    assert_eq!((chosen.missing.len(), chosen.unmatched.len()), (0, 0));
}

#[test]
fn what_matches_nothing_is_told() {
    let selection = filter(&["latest", "4.*", "/x/", "old"], &["old"]).semver(">=9").select(tags(&["3.18"]));
    let told: Vec<String> = selection.unmatched.iter().map(ToString::to_string).collect();
    assert_eq!(selection.missing, tags(&["latest"]));
    assert_eq!(told, [r#"the pattern "4.*""#, r#"the pattern "/x/""#, r#"the range ">=9""#]);
}

#[test]
fn exact_names_need_no_listing() {
    assert_eq!(filter(&["a", "b"], &["b"]).exact_tags(), Some(tags(&["a"])));
    assert_eq!(filter(&["a"], &[]).semver(">=1").latest(1).exact_tags(), Some(tags(&["a"])));
    assert_eq!(filter(&["a", "b*"], &[]).exact_tags(), None);
    assert_eq!(filter(&[], &["a"]).exact_tags(), None);
}

#[test]
fn a_tag_named_exactly_is_dropped_by_exclude_alone() {
    let listed = || tags(&["1.0", "1.1", "1.2", "latest", "edge"]);
    let chosen =
        |exclude: &[&str]| filter(&["latest", "1.0", "*"], exclude).semver("^1").latest(1).select(listed()).tags;
    assert_eq!(chosen(&[]), tags(&["1.0", "1.2", "latest"]));
    assert_eq!(chosen(&["1.0"]), tags(&["1.2", "latest"]));
}

#[test]
fn latest_counts_what_exclude_has_left() {
    let listed = tags(&["1.0", "1.1", "1.2", "1.3-rc1", "1.3"]);
    assert_eq!(filter(&[], &["1.3*"]).latest(2).select(listed).tags, tags(&["1.1", "1.2"]));
}

#[test]
fn each_stage_tells_what_it_dropped_with_the_newest_for_examples() {
    let listed = tags(&["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "2.0", "2.1", "2.2-rc", "2.2", "2.3", "edge"]);
    let selection = filter(&["[0-9]*"], &["*.3"]).semver(">=2").latest(2).select(listed);
    let told: Vec<String> = selection.stages.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "include dropped 1: edge",
            "semver dropped 8: 2.2-rc, 1.6, 1.5, 1.4, 1.3, …",
            "exclude dropped 1: 2.3",
            "latest dropped 1: 2.0",
        ]
    );
    assert_eq!((selection.listed, selection.tags), (13, tags(&["2.1", "2.2"])));
    let json = serde_json::to_value(&selection.stages[3]).unwrap();
    assert_eq!(json, serde_json::json!({"what": "latest", "dropped": 1, "examples": ["2.0"]}));
}

proptest! {
    #[test]
    fn a_selection_is_a_part_of_the_listing_without_what_is_excluded(names in proptest::collection::vec("[a-c]{1,3}", 0..20), pattern in "[a-c*?]{1,3}") {
        let listed: Vec<Tag> = names.iter().map(|n| n.parse().unwrap()).collect();
        let with = filter(&[&pattern], &[]).select(listed.clone()).tags;
        let without = filter(&[], &[&pattern]).select(listed.clone()).tags;
        prop_assert!(with.iter().all(|tag| listed.contains(tag) && !without.contains(tag)));
        prop_assert!(listed.iter().all(|tag| with.contains(tag) || without.contains(tag)));
    }

    #[test]
    fn what_is_chosen_may_be_taken_and_is_what_may_be_taken_where_latest_drops_none(names in proptest::collection::vec("[1-3](\\.[0-3]){0,2}(-rc1|-slim)?|x", 0..30), count in 1..5_usize) {
        let listed: Vec<Tag> = names.iter().map(|n| n.parse().unwrap()).collect();
        let all = filter(&["[12]*", "x"], &["*slim"]).semver(">=2");
        let may_be_taken: HashSet<&Tag> = listed.iter().filter(|tag| all.may_take(tag)).collect();
        let chosen = all.select(listed.clone()).tags;
        prop_assert_eq!(chosen.iter().collect::<HashSet<_>>(), may_be_taken);
        let newest = all.latest(count);
        prop_assert!(newest.select(listed).tags.iter().all(|tag| newest.may_take(tag)));
    }

    #[test]
    fn what_is_listed_is_taken_or_dropped_by_one_stage(names in proptest::collection::vec("[1-3](\\.[0-3]){0,2}(-rc1|-slim)?|x", 0..30), count in 1..5_usize) {
        let listed: Vec<Tag> = names.iter().map(|n| n.parse().unwrap()).collect();
        let selection = filter(&["*", "x"], &["*slim"]).semver(">=2").latest(count).select(listed);
        let dropped: usize = selection.stages.iter().map(|stage| stage.dropped).sum();
        prop_assert_eq!(selection.listed, selection.tags.len() + dropped);
        prop_assert!(selection.tags.iter().filter(|tag| tag.as_str() != "x").count() <= count);
    }
}
