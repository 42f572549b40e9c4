//! Image layouts as source and target: what holds between registries holds here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regferry::content::Location;
use regferry::events::{ImageOutcome, RunOutcome};
use regferry::oci::{Host, Repository};
use regferry::transfer::{Depth, Engine, Mode, PlatformMode, Platforms, Prune, Referrers, Rule, Source};
use serde_json::Value;
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{copy, digest, engine, failures, location, rule, rule_of, run, to};

fn layout(dir: &Path) -> Location {
    Location { host: Host::layout(dir.to_str().unwrap()).unwrap(), repository: Repository::of_layout() }
}

fn named(dir: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", dir.display())
}

/// What `index.json` lists: digests with their names.
fn listed(dir: &Path) -> Vec<(String, Option<String>)> {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let name = |image: &Value| image["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned);
    let images = index["manifests"].as_array().unwrap();
    images.iter().map(|image| (image["digest"].as_str().unwrap().to_owned(), name(image))).collect()
}

fn blob(dir: &Path, digest: &str) -> PathBuf {
    dir.join("blobs").join(digest.replacen(':', "/", 1))
}

fn app(number: u64) -> Image {
    Image::oci("linux/amd64").layer(0, 3000).layer(number, 2000).build()
}

#[tokio::test]
async fn an_image_goes_into_a_layout_and_out_again_with_its_digest() {
    let (source, target, dir) =
        (FakeRegistry::start().await, FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("hello", "v1", &hello_world());
    let (engine, at) = (engine(), dir.path().join("new/images"));

    let exported = copy(&engine, &format!("{}/hello:v1", source.host()), &named(&at, "v1")).await;
    assert_eq!((exported.outcome, exported.error), (ImageOutcome::Copied, None));
    assert_eq!(exported.blobs.copied, 7);
    assert_eq!(listed(&at), [(hello_world().digest(), Some("v1".to_owned()))], "the list, and not what it lists");

    let imported = copy(&engine, &named(&at, "v1"), &format!("{}/hello:v1", target.host())).await;
    assert_eq!((imported.outcome, imported.error), (ImageOutcome::Copied, None));
    assert_eq!(imported.digest, Some(digest(&hello_world())));
    assert_eq!(target.check_whole("hello", "v1"), Ok(()));

    let again = copy(&engine, &format!("{}/hello:v1", source.host()), &named(&at, "v1")).await;
    assert_eq!(again.outcome, ImageOutcome::Unchanged);
}

#[tokio::test]
async fn what_images_share_is_in_a_layout_once() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    for number in 1..=3 {
        source.seed("app", &format!("v{number}"), &app(number));
    }
    let mut blobs = Vec::new();
    for number in 1..=3 {
        // Each by an engine of its own, which knows nothing.
        let from = format!("{}/app:v{number}", source.host());
        let copied = copy(&engine(), &from, &named(dir.path(), &format!("v{number}"))).await;
        assert_eq!(copied.error, None);
        blobs.push((copied.blobs.copied, copied.blobs.present));
    }
    assert_eq!(blobs, [(3, 0), (2, 1), (2, 1)]);
    assert_eq!(listed(dir.path()).len(), 3);
}

#[tokio::test]
async fn an_image_without_a_tag_is_listed_without_a_name() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("app", "v1", &app(1));
    let from = format!("{}/app@{}", source.host(), app(1).digest());
    for outcome in [ImageOutcome::Copied, ImageOutcome::Unchanged] {
        let copied = copy(&engine(), &from, &format!("oci:{}", dir.path().display())).await;
        assert_eq!((copied.outcome, copied.error), (outcome, None));
        assert_eq!(listed(dir.path()), [(app(1).digest(), None)]);
    }
    let target = FakeRegistry::start().await;
    let only = copy(&engine(), &format!("oci:{}", dir.path().display()), &format!("{}/app:v1", target.host())).await;
    assert_eq!(only.outcome, ImageOutcome::Copied, "the only image is meant");
}

#[tokio::test]
async fn a_layout_is_copied_into_another_and_a_cut_blob_is_brought_again() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("app", "v1", &app(1));
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    copy(&engine(), &format!("{}/app:v1", source.host()), &named(&a, "v1")).await;
    copy(&engine(), &named(&a, "v1"), &named(&b, "v2")).await;
    let image = app(1);
    let layer = image.blobs().last().unwrap();
    fs::write(blob(&b, &layer.digest()), "cut").unwrap();
    let mended = copy(&engine(), &named(&a, "v1"), &named(&b, "v2")).await;
    assert_eq!((mended.outcome, mended.blobs.copied, mended.blobs.present), (ImageOutcome::Copied, 1, 2));
    assert_eq!(fs::read(blob(&b, &layer.digest())).unwrap(), layer.bytes);
}

#[tokio::test]
async fn a_blob_of_other_bytes_is_never_committed_at_a_target() {
    let (source, target, dir) =
        (FakeRegistry::start().await, FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("app", "v1", &app(1));
    copy(&engine(), &format!("{}/app:v1", source.host()), &named(dir.path(), "v1")).await;
    let image = app(1);
    let layer = image.blobs().last().unwrap();
    for (damaged, says) in [
        (layer.bytes.iter().map(|byte| byte ^ 1).collect(), "hash to"),
        ([&layer.bytes[..], b"more"].concat(), "its descriptor says"),
        (layer.bytes[1..].to_vec(), "its descriptor says"),
    ] {
        fs::write(blob(dir.path(), &layer.digest()), &damaged).unwrap();
        let copied = copy(&engine(), &named(dir.path(), "v1"), &format!("{}/app:v1", target.host())).await;
        let error = copied.error.unwrap();
        assert!(error.contains(says), "{error}");
        assert!(!target.has_blob("app", &layer.digest()));
        assert_eq!(target.tags("app"), Vec::<String>::new());
    }
}

/// Mirrors all tags of `app` into a layout.
fn into(source: &FakeRegistry, dir: &Path, more: impl FnOnce(&mut Rule)) -> Arc<Rule> {
    let mut rule = (*rule("export", location(source.host(), "app"), layout(dir), &[])).clone();
    more(&mut rule);
    Arc::new(rule)
}

async fn in_mode(engine: &Arc<Engine>, rule: &Arc<Rule>, mode: Mode) -> regferry::events::RuleReport {
    engine.run(rule, mode, &CancellationToken::new()).await
}

#[tokio::test]
async fn a_rule_mirrors_into_a_layout_and_another_out_of_it() {
    let (source, target, dir) =
        (FakeRegistry::start().await, FakeRegistry::start().await, tempfile::tempdir().unwrap());
    for number in 1..=4 {
        source.seed("app", &format!("v{number}"), &app(number));
    }
    source.seed("app", "hello", &hello_world());
    let export = into(&source, dir.path(), |_| {});
    let planned = in_mode(&engine(), &export, Mode::Plan).await;
    assert_eq!((planned.images.len(), dir.path().join("index.json").exists()), (5, false));
    let report = run(&engine(), &export).await;
    assert_eq!((report.outcome, failures(&report)), (RunOutcome::Success, vec![]));
    assert_eq!(listed(dir.path()).len(), 5);

    source.clear_requests();
    let engine = engine();
    let again = run(&engine, &export).await;
    assert!(again.images.iter().all(|image| image.outcome == ImageOutcome::Unchanged));
    assert_eq!(source.count(&Method::GET, Endpoint::Manifest), 0, "no pull is spent");

    let import = rule("import", layout(dir.path()), location(target.host(), "app"), &["v*"]);
    let report = run(&engine, &import).await;
    assert_eq!((report.outcome, report.error), (RunOutcome::Success, None));
    assert_eq!(target.tags("app"), ["v1", "v2", "v3", "v4"]);
    assert_eq!(target.incomplete_tags(), Vec::<String>::new());
}

#[tokio::test]
async fn verify_names_the_damaged_blob_of_a_layout_and_a_repair_mends_it() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("app", "v1", &app(1));
    source.seed("app", "v2", &app(2));
    let export = into(&source, dir.path(), |_| {});
    run(&engine(), &export).await;
    let image = app(2);
    let layer = image.blobs().last().unwrap();
    let differences = |report: regferry::events::RuleReport| -> Vec<String> {
        report.images.into_iter().flat_map(|image| image.differences).collect()
    };

    assert!(differences(in_mode(&engine(), &export, Mode::Verify(Depth::Deep)).await).is_empty());
    let flipped: Vec<u8> = layer.bytes.iter().map(|byte| byte ^ 1).collect();
    fs::write(blob(dir.path(), &layer.digest()), &flipped).unwrap();
    assert!(differences(in_mode(&engine(), &export, Mode::Verify(Depth::Shallow)).await).is_empty());
    let deep = differences(in_mode(&engine(), &export, Mode::Verify(Depth::Deep)).await);
    assert!(deep.len() == 1 && deep[0].contains("other bytes than its digest says"), "{deep:?}");

    fs::remove_file(blob(dir.path(), &layer.digest())).unwrap();
    let shallow = differences(in_mode(&engine(), &export, Mode::Verify(Depth::Shallow)).await);
    assert!(shallow.len() == 1 && shallow[0].contains("is not there"), "{shallow:?}");
    let repaired = in_mode(&engine(), &export, Mode::Repair).await;
    assert_eq!((repaired.outcome, failures(&repaired)), (RunOutcome::Success, vec![]));
    assert!(differences(in_mode(&engine(), &export, Mode::Verify(Depth::Deep)).await).is_empty());
}

#[tokio::test]
async fn what_the_source_dropped_is_pruned_from_a_layout() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    for number in 1..=3 {
        source.seed("app", &format!("v{number}"), &app(number));
    }
    let pruning = into(&source, dir.path(), |rule| {
        rule.prune = Some(Prune { keep: Vec::new(), max_delete: 20, others: Vec::new() });
    });
    run(&engine(), &pruning).await;
    assert!(source.remove_manifest("app", "v2"));
    let report = run(&engine(), &pruning).await;
    assert_eq!((report.error, report.pruned.len()), (None, 1));
    assert_eq!(report.pruned[0].to_string(), named(dir.path(), "v2"));
    let names: BTreeSet<_> = listed(dir.path()).into_iter().filter_map(|(_, name)| name).collect();
    assert_eq!(names, ["v1", "v3"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_list_with_gaps_is_refused_by_a_layout_and_a_smaller_one_taken() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().unwrap());
    source.seed("app", "v1", &hello_world());
    let of = |mode| {
        let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], mode).unwrap();
        into(&source, dir.path(), |rule| rule.platforms = Some(platforms))
    };
    let refused = failures(&run(&engine(), &of(PlatformMode::Sparse)).await);
    assert!(refused[0].contains("platform_mode = \"rewrite\""), "{refused:?}");
    assert!(listed(dir.path()).is_empty());
    let report = run(&engine(), &of(PlatformMode::Rewrite)).await;
    assert_eq!((failures(&report), listed(dir.path()).len()), (vec![], 1));
    let again = run(&engine(), &of(PlatformMode::Rewrite)).await;
    assert_eq!(again.images[0].outcome, ImageOutcome::Unchanged);
}

#[tokio::test]
async fn signatures_come_along_into_a_layout_and_out_of_it() {
    let (source, target) = (FakeRegistry::builder().with_referrers().start().await, FakeRegistry::start().await);
    let (dir, subject) = (tempfile::tempdir().unwrap(), app(1));
    source.seed("app", "v1", &subject);
    let signature = Image::artifact("text/sig").subject(&subject).layer(7, 100).build();
    source.seed_untagged("app", &signature);
    let with_referrers = |name: &str, from: Location, into: Location| {
        let rule = (*rule_of(name, vec![Source::Repository(from)], vec![to(into)], &["v*"])).clone();
        Arc::new(Rule { referrers: Referrers::All, ..rule })
    };
    let export = with_referrers("export", location(source.host(), "app"), layout(dir.path()));
    let report = run(&engine(), &export).await;
    assert_eq!((report.outcome, report.images[0].referrers), (RunOutcome::Success, 1));
    let again = run(&engine(), &export).await;
    assert_eq!(again.images[0].outcome, ImageOutcome::Unchanged);

    let import = with_referrers("import", layout(dir.path()), location(target.host(), "app"));
    let report = run(&engine(), &import).await;
    assert_eq!((report.outcome, report.images[0].referrers), (RunOutcome::Success, 1));
    assert_eq!(target.check_whole("app", &signature.digest()), Ok(()));
}
