//! The tags of real images, in the forms and the numbers in which they come, and what usual filters choose of them.

use super::*;

const ALPINE: &str = include_str!("../../../../tests/data/tags/alpine.txt");
const NGINX: &str = include_str!("../../../../tests/data/tags/nginx.txt");
const PYTHON: &str = include_str!("../../../../tests/data/tags/python.txt");
const KUBE_APISERVER: &str = include_str!("../../../../tests/data/tags/kube-apiserver.txt");

fn chosen(list: &str, filter: &TagFilter) -> Vec<String> {
    let listed = list.lines().map(|line| line.parse().unwrap()).collect();
    filter.select(listed).tags.iter().map(ToString::to_string).collect()
}

fn all() -> TagFilter {
    TagFilter::default()
}

#[test]
fn alpine_by_range_has_neither_dates_nor_edge() {
    let range = all().semver(">=3.20.5");
    assert_eq!(chosen(ALPINE, &range), ["3.20.5", "3.20.6", "3.21", "3.21.0", "3.21.1", "3.21.2", "3.21.3"]);
    assert_eq!(chosen(ALPINE, &all().semver("~3.21")), ["3.21", "3.21.0", "3.21.1", "3.21.2", "3.21.3"]);
    assert_eq!(chosen(ALPINE, &all().semver(">=20240901")), ["20240923", "20241224"]);
}

#[test]
fn the_latest_of_alpine_are_versions_and_of_its_dates_dates() {
    assert_eq!(chosen(ALPINE, &all().latest(3)), ["3.21.1", "3.21.2", "3.21.3"]);
    let minors = filter(&["latest", r"/\d+\.\d+/"], &[]).latest(3);
    assert_eq!(chosen(ALPINE, &minors), ["3.19", "3.20", "3.21", "latest"]);
    assert_eq!(chosen(ALPINE, &filter(&["20??????"], &[]).latest(2)), ["20240923", "20241224"]);
}

#[test]
fn nginx_by_range_keeps_its_variants_and_loses_its_channels() {
    let range = filter(&["*-alpine*"], &["*-otel", "*-perl"]).semver(">=1.26.2, <1.27.1");
    assert_eq!(
        chosen(NGINX, &range),
        [
            "1.26.2-alpine",
            "1.26.2-alpine-slim",
            "1.26.2-alpine3.20",
            "1.26.2-alpine3.20-slim",
            "1.27-alpine",
            "1.27-alpine-slim",
            "1.27-alpine3.20",
            "1.27-alpine3.20-slim",
            "1.27.0-alpine",
            "1.27.0-alpine-slim",
            "1.27.0-alpine3.19",
            "1.27.0-alpine3.19-slim",
        ]
    );
    assert_eq!(chosen(NGINX, &filter(&["stable", "*"], &["1-*"]).semver("<1.8")), ["1", "1.7", "stable"]);
}

#[test]
fn the_latest_of_nginx_are_counted_by_number_and_the_plain_one_first() {
    assert_eq!(chosen(NGINX, &all().latest(1)), ["1.27.2"]);
    let patches = filter(&[r"/\d+\.\d+\.\d+-alpine/"], &[]).latest(4);
    assert_eq!(chosen(NGINX, &patches), ["1.26.2-alpine", "1.27.0-alpine", "1.27.1-alpine", "1.27.2-alpine"]);
    let old = filter(&["?.?.*", "1.?.??"], &[]).semver("<1.20").latest(1);
    assert_eq!(chosen(NGINX, &old), ["1.9.15"], "1.9.15 is newer than 1.8.1");
}

#[test]
fn python_by_range_has_no_release_candidates_unless_the_range_names_one() {
    let slim = filter(&["*-slim"], &[]).semver(">=3.12");
    assert_eq!(chosen(PYTHON, &slim), ["3.12-slim", "3.12.0-slim", "3.12.3-slim", "3.12.4-slim", "3.12.5-slim"]);
    let candidates = filter(&["*-slim-bookworm"], &[]).semver(">=3.12.5, <3.13 || >=3.13.0rc2");
    assert_eq!(chosen(PYTHON, &candidates), ["3.12.5-slim-bookworm", "3.13.0rc2-slim-bookworm"]);
    let all_of_13 = filter(&[], &["*-*"]).semver(">=3.13.0-alpha");
    assert_eq!(chosen(PYTHON, &all_of_13), ["3.13.0a6", "3.13.0b1", "3.13.0b4", "3.13.0rc1", "3.13.0rc2"]);
}

#[test]
fn the_latest_of_python_count_candidates_before_their_release() {
    let plain = filter(&[r"/[\d.]+(rc\d+)?/"], &[]).latest(4);
    assert_eq!(chosen(PYTHON, &plain), ["3.12.4", "3.12.5", "3.13.0rc1", "3.13.0rc2"]);
    assert_eq!(
        chosen(PYTHON, &filter(&["latest", "*"], &["*-*"]).semver("^3").latest(2)),
        ["3.12.4", "3.12.5", "latest"]
    );
}

#[test]
fn kube_apiserver_by_range_has_no_pre_releases_and_no_signatures() {
    assert_eq!(chosen(KUBE_APISERVER, &all().semver(">=1.30")), ["v1.30.0", "v1.30.1", "v1.30.2", "v1.30.3"]);
    assert_eq!(chosen(KUBE_APISERVER, &all().semver("<1.10")), ["v1.9.0", "v1.9.11"]);
    let from_the_first = all().semver(">=1.30.0-alpha.3, <1.30.1");
    assert_eq!(
        chosen(KUBE_APISERVER, &from_the_first),
        ["v1.30.0", "v1.30.0-alpha.10", "v1.30.0-alpha.3", "v1.30.0-beta.0", "v1.30.0-rc.0", "v1.30.0-rc.1"]
    );
    assert!(chosen(KUBE_APISERVER, &all()).iter().all(|tag| tag.starts_with('v')));
}

#[test]
fn the_latest_of_kube_apiserver_are_by_number() {
    assert_eq!(chosen(KUBE_APISERVER, &all().semver("*").latest(3)), ["v1.30.1", "v1.30.2", "v1.30.3"]);
    assert_eq!(chosen(KUBE_APISERVER, &all().semver("<1.28").latest(2)), ["v1.27.15", "v1.27.16"]);
    assert_eq!(chosen(KUBE_APISERVER, &all().latest(2)), ["v1.31.0-rc.0", "v1.31.0-rc.1"]);
}

#[test]
fn the_python_list_tells_what_each_stage_drops() {
    let listed = PYTHON.lines().map(|line| line.parse().unwrap()).collect();
    let selection = filter(&["latest", "3.*"], &["*windows*"]).semver(">=3.12").latest(3).select(listed);
    let told: Vec<String> = selection.stages.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    include dropped 34: 3, 3-windowsservercore-ltsc2022, 3-windowsservercore, 3-slim-bullseye, 3-slim-bookworm, …
    semver dropped 91: 3.13.0rc2, 3.13.0rc2-windowsservercore-ltsc2022, 3.13.0rc2-windowsservercore, 3.13.0rc2-slim-bullseye, 3.13.0rc2-slim-bookworm, …
    exclude dropped 6: 3.12.5-windowsservercore-ltsc2022, 3.12.5-windowsservercore, 3.12.4-windowsservercore-ltsc2022, 3.12.4-windowsservercore, 3.12-windowsservercore-ltsc2022, …
    latest dropped 30: 3.12.5-slim, 3.12.5-bullseye, 3.12.5-bookworm, 3.12.5-alpine3.20, 3.12.5-alpine3.19, …
    ");
}
