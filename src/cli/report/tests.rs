//! How the report looks, on two rules that have everything a report can have.

use std::time::{Duration, UNIX_EPOCH};

use insta::assert_snapshot;

use super::*;
use crate::events::BlobCounts;
use crate::oci::Reference;

fn image(tag: &str, outcome: ImageOutcome) -> ImageReport {
    let reference = |repository: &str| format!("{repository}:{tag}").parse::<Reference>().unwrap();
    let mut image =
        ImageReport::new(reference("docker.io/library/alpine"), reference("registry.example/mirror/alpine"));
    (image.outcome, image.digest) = (outcome, Some(Digest::of(tag.as_bytes())));
    image
}

fn copied(tag: &str, blobs: BlobCounts, bytes: u64, seconds: f64) -> ImageReport {
    let elapsed = Duration::from_secs_f64(seconds);
    ImageReport { blobs, bytes, elapsed, requests: 41, ..image(tag, ImageOutcome::Copied) }
}

/// Every field of it says something.
pub(super) fn full() -> SyncReport {
    let alpine = RuleReport {
        outcome: RunOutcome::Failure,
        elapsed: Duration::from_millis(3_210),
        selections: vec![Selected {
            source: "tags of docker.io/library/alpine".into(),
            listed: 912,
            chosen: 6,
            stages: vec![
                StageReport { stage: "include".into(), dropped: 610, examples: vec!["1.0".into(), "1.1".into()] },
                StageReport { stage: "semver".into(), dropped: 2, examples: vec!["edge".into(), "next".into()] },
                StageReport { stage: "exclude".into(), dropped: 0, examples: vec![] },
                StageReport { stage: "latest".into(), dropped: 294, examples: vec!["3.9".into()] },
            ],
        }],
        images: vec![
            ImageReport {
                referrers: 3,
                ..copied("3.20", BlobCounts { copied: 9, mounted: 0, present: 5 }, 22_335_488, 2.94)
            },
            copied("3.20.3-long", BlobCounts { copied: 1, mounted: 12, present: 0 }, 900, 11.0),
            copied("latest", BlobCounts::default(), 0, 0.04),
            image("3.19", ImageOutcome::Unchanged),
            ImageReport { error: Some("the tag is immutable".into()), ..image("3.18", ImageOutcome::Skipped) },
            ImageReport {
                error: Some("pulling \u{1b}[31mmanifest 3.17: not found".into()),
                differences: vec!["blob sha256:2b87… is not there".into()],
                ..image("3.17", ImageOutcome::Failed)
            },
        ],
        pruned: vec!["registry.example/mirror/alpine:2.6".parse().unwrap()],
        warnings: vec!["the pattern \"4.*\" matches no tag of docker.io/library/alpine".into()],
        ..RuleReport::begun(&"alpine".into(), UNIX_EPOCH)
    };
    let charts = RuleReport {
        outcome: RunOutcome::Timeout,
        error: Some("listing the tags of ghcr.io/acme/charts: 403 DENIED".into()),
        ..RuleReport::begun(&"charts".into(), UNIX_EPOCH)
    };
    SyncReport::new(vec![alpine, charts], Duration::from_millis(3_300))
}

#[test]
fn a_pass_is_a_calm_table_and_a_line_that_sums_up() {
    assert_snapshot!(text(&full(), Mode::Execute), @r#"
    alpine: 3 copied, 1 unchanged, 1 skipped, 1 failed
      + registry.example/mirror/alpine:3.20         sha256:f5bbb7ea941d…  blobs: 9 copied, 5 present; referrers: 3  21.3 MiB   2.9 s
      + registry.example/mirror/alpine:3.20.3-long  sha256:4a40abeaabac…  blobs: 1 copied, 12 mounted                  900 B  11.0 s
      + registry.example/mirror/alpine:latest       sha256:5e1e2bcac305…  blobs: none                                    0 B   0.0 s
      - registry.example/mirror/alpine:3.18         skipped: the tag is immutable
      ! registry.example/mirror/alpine:3.17         failed: pulling [31mmanifest 3.17: not found
      x registry.example/mirror/alpine:2.6          deleted
      ~ the pattern "4.*" matches no tag of docker.io/library/alpine
    charts: 0 copied, 0 unchanged, 0 failed; stopped by its timeout
      ! listing the tags of ghcr.io/acme/charts: 403 DENIED
    2 rules: 3 copied, 1 unchanged, 1 skipped, 1 failed; 21.3 MiB in 3.3 s; not done: alpine, charts
    "#);
}

#[test]
fn a_dry_run_has_the_same_lines_and_how_tags_were_chosen() {
    assert_snapshot!(text(&full(), Mode::Plan), @r#"
    alpine: 3 to copy, 1 unchanged, 1 skipped, 1 failed
        tags of docker.io/library/alpine: 912 listed; include dropped 610 (1.0, 1.1, …); semver dropped 2 (edge, next); latest dropped 294 (3.9, …); 6 chosen
      ? registry.example/mirror/alpine:3.20         sha256:f5bbb7ea941d…  blobs: 9 to copy, 5 present; referrers: 3  21.3 MiB
      ? registry.example/mirror/alpine:3.20.3-long  sha256:4a40abeaabac…  blobs: 1 to copy, 12 to mount                 900 B
      ? registry.example/mirror/alpine:latest       sha256:5e1e2bcac305…  blobs: none                                     0 B
      - registry.example/mirror/alpine:3.18         skipped: the tag is immutable
      ! registry.example/mirror/alpine:3.17         failed: pulling [31mmanifest 3.17: not found
      x registry.example/mirror/alpine:2.6          to delete
      ~ the pattern "4.*" matches no tag of docker.io/library/alpine
    charts: 0 to copy, 0 unchanged, 0 failed; stopped by its timeout
      ! listing the tags of ghcr.io/acme/charts: 403 DENIED
    2 rules: 3 to copy, 1 unchanged, 1 skipped, 1 failed; 21.3 MiB in 3.3 s; not done: alpine, charts
    "#);
}

#[test]
fn a_pass_without_news_is_two_lines() {
    let quiet = RuleReport {
        images: vec![image("3.19", ImageOutcome::Unchanged), image("3.20", ImageOutcome::Unchanged)],
        ..RuleReport::begun(&"alpine".into(), UNIX_EPOCH)
    };
    let report = SyncReport::new(vec![quiet], Duration::from_millis(120));
    assert_snapshot!(text(&report, Mode::Execute), @r#"
    alpine: 0 copied, 2 unchanged, 0 failed
    1 rule: 0 copied, 2 unchanged, 0 failed; 0 B in 0.1 s
    "#);
}
