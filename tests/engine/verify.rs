//! Looking below unchanged tags: what is damaged at a target is found, named and mended, and what holds costs little.

use std::sync::Arc;

use regferry::events::{ImageOutcome, RuleReport, RunOutcome};
use regferry::transfer::{Depth, Engine, Mode, PlatformMode, Platforms, Referrers, Rule};
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, rule, run};

const SHALLOW: Mode = Mode::Verify(Depth::Shallow);
const DEEP: Mode = Mode::Verify(Depth::Deep);

/// A list of two images, in place at a target.
struct Mirror {
    source: FakeRegistry,
    target: FakeRegistry,
    image: Image,
    engine: Arc<Engine>,
    rule: Arc<Rule>,
}

impl Mirror {
    async fn new() -> Self {
        Self::with(|rule| rule).await
    }

    async fn with(change: impl FnOnce(Rule) -> Rule) -> Self {
        let [arm64, amd64] = [("linux/arm64", 1), ("linux/amd64", 2)]
            .map(|(platform, seed)| Image::oci(platform).layer(9, 500).layer(seed, 10_000).build());
        Self::of(Image::oci_index([arm64, amd64]), FakeRegistry::start().await, change).await
    }

    async fn of(image: Image, target: FakeRegistry, change: impl FnOnce(Rule) -> Rule) -> Self {
        let source = FakeRegistry::builder().with_referrers().start().await;
        source.seed("app", "v1", &image);
        let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);
        let mirror = Self { source, target, image, engine: engine(), rule: Arc::new(change((*rule).clone())) };
        let report = run(&mirror.engine, &mirror.rule).await;
        assert_eq!(failures(&report), Vec::<String>::new());
        mirror.clear_requests();
        mirror
    }

    fn clear_requests(&self) {
        self.source.clear_requests();
        self.target.clear_requests();
    }

    async fn run(&self, mode: Mode) -> RuleReport {
        self.engine.run(&self.rule, mode, &CancellationToken::new()).await
    }

    /// What a verification of the one image finds, which has to be all that is wrong and to write nothing.
    async fn differences(&self, mode: Mode) -> Vec<String> {
        self.clear_requests();
        let report = self.run(mode).await;
        self.assert_only_read();
        assert_eq!(report.images.len(), 1, "{report:?}");
        let image = &report.images[0];
        let (outcome, run) = match image.differences.is_empty() {
            true => (ImageOutcome::Unchanged, RunOutcome::Success),
            false => (ImageOutcome::Failed, RunOutcome::Failure),
        };
        assert_eq!((image.outcome, report.outcome), (outcome, run), "{report:?}");
        assert_eq!(image.error.clone().unwrap_or_default(), image.differences.join("; "));
        image.differences.clone()
    }

    fn assert_only_read(&self) {
        let reads = |r: &testkit::registry::Request| r.method == Method::GET || r.method == Method::HEAD;
        assert!(self.target.requests().iter().all(reads), "{}", self.target.summary());
        assert!(self.source.requests().iter().all(reads), "{}", self.source.summary());
    }

    /// Repairs, and verifies that it helped, to the last byte.
    async fn assert_repair_heals(&self) {
        let report = self.run(Mode::Repair).await;
        assert_eq!(failures(&report), Vec::<String>::new());
        assert_eq!(report.images[0].outcome, ImageOutcome::Copied);
        assert_eq!(self.differences(DEEP).await, Vec::<String>::new());
        assert_eq!(self.target.check_whole("app", "v1"), Ok(()));
    }

    /// The layer that only the image of this place in the list has.
    fn layer(&self, child: usize) -> String {
        self.image.children[child].blobs.iter().find(|blob| blob.bytes.len() == 10_000).unwrap().digest()
    }
}

fn short(digest: &str) -> String {
    format!("{}…", &digest[..19])
}

#[tokio::test]
async fn what_is_whole_holds_at_the_cost_that_is_documented() {
    let mirror = Mirror::new().await;

    assert_eq!(mirror.differences(SHALLOW).await, Vec::<String>::new());
    // Two configs, a layer each, and one that both have.
    assert_eq!(mirror.target.summary(), "GET tags 1, HEAD manifest 1, GET manifest 3, HEAD blob 5");
    assert_eq!(mirror.source.summary(), "GET tags 1, HEAD manifest 1");

    assert_eq!(mirror.differences(DEEP).await, Vec::<String>::new());
    assert_eq!(mirror.target.count(&Method::GET, Endpoint::Blob), 5, "{}", mirror.target.summary());
    assert_eq!(mirror.source.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn what_many_tags_share_is_looked_at_once() {
    let mirror = Mirror::new().await;
    for tag in ["v2", "v3"] {
        mirror.source.seed("app", tag, &mirror.image);
        mirror.target.seed("app", tag, &mirror.image);
    }
    mirror.clear_requests();

    mirror.run(DEEP).await;

    let counts = [(Method::GET, Endpoint::Manifest), (Method::HEAD, Endpoint::Blob), (Method::GET, Endpoint::Blob)];
    let counts = counts.map(|(method, endpoint)| mirror.target.count(&method, endpoint));
    assert_eq!(counts, [3, 5, 5], "{}", mirror.target.summary());
}

#[tokio::test]
async fn a_list_whose_child_was_deleted_is_found_and_healed() {
    let mirror = Mirror::new().await;
    let child = mirror.image.children[0].digest();
    mirror.target.remove_manifest("app", &child);

    let found = mirror.differences(SHALLOW).await;
    assert_eq!(found, [format!("manifest {} of linux/arm64 is not there", short(&child))]);

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn a_blob_that_is_gone_is_found_and_healed() {
    let mirror = Mirror::new().await;
    mirror.target.remove_blob("app", &mirror.layer(1));

    let found = mirror.differences(SHALLOW).await;
    assert_eq!(found, [format!("blob {} (9.8 KiB) of linux/amd64 is not there", short(&mirror.layer(1)))]);

    mirror.assert_repair_heals().await;
    assert_eq!(mirror.source.count(&Method::GET, Endpoint::Blob), 0, "counted from the verification on");
}

#[tokio::test]
async fn a_blob_that_was_cut_off_is_found_by_its_size_and_healed() {
    let mirror = Mirror::new().await;
    mirror.target.put_blob_as("app", &mirror.layer(1), &b"short"[..]);

    let found = mirror.differences(SHALLOW).await;
    let blob = format!("blob {} (9.8 KiB) of linux/amd64", short(&mirror.layer(1)));
    assert_eq!(found, [format!("{blob} has 5 bytes instead of 10000")]);

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn a_cut_blob_is_sent_anew_with_an_image_that_changed() {
    let mirror = Mirror::new().await;
    mirror.target.put_blob_as("app", &mirror.layer(1), &b"short"[..]);
    let kept = mirror.image.children[1].clone();
    let changed = Image::oci_index([Image::oci("linux/arm64").layer(5, 100).build(), kept]);
    mirror.target.remove_manifest("app", &changed.children[1].digest());
    mirror.source.seed("app", "v1", &changed);

    let report = mirror.run(Mode::Execute).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(mirror.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn other_bytes_of_the_same_size_are_found_by_reading_them() {
    let mirror = Mirror::new().await;
    mirror.target.put_blob_as("app", &mirror.layer(0), vec![0; 10_000]);

    assert_eq!(mirror.differences(SHALLOW).await, Vec::<String>::new());
    let found = mirror.differences(DEEP).await;
    let blob = format!("blob {} (9.8 KiB) of linux/arm64", short(&mirror.layer(0)));
    assert_eq!(found, [format!("{blob} has other bytes than its digest says")]);
}

#[tokio::test(start_paused = true)]
async fn a_document_with_other_bytes_is_found_and_healed() {
    let mirror = Mirror::new().await;
    let child = mirror.image.children[0].digest();
    mirror.target.put_document_as("app", &child, &mirror.image.children[1].root);

    let found = mirror.differences(SHALLOW).await;
    assert_eq!(found, [format!("manifest {} of linux/arm64 has other bytes than its digest says", short(&child))]);

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn everything_that_is_damaged_is_named_and_healed_at_once() {
    let mirror = Mirror::new().await;
    mirror.target.remove_manifest("app", &mirror.image.children[0].digest());
    mirror.target.remove_blob("app", &mirror.layer(0));
    mirror.target.put_blob_as("app", &mirror.layer(1), &b""[..]);

    assert_eq!(mirror.differences(SHALLOW).await.len(), 2, "what the deleted child names nobody knows");

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn a_moved_tag_and_a_missing_one_are_differences() {
    let mirror = Mirror::new().await;
    let other = Image::oci("linux/amd64").build();
    mirror.target.seed("app", "v1", &other);
    let found = mirror.differences(SHALLOW).await;
    assert_eq!(found, [format!("it is {}; the source has {}", other.digest(), mirror.image.digest())]);
    mirror.assert_repair_heals().await;

    mirror.target.remove_manifest("app", "v1");
    let found = mirror.differences(SHALLOW).await;
    assert_eq!(found, [format!("the tag is not there; the source has {}", mirror.image.digest())]);
    assert_eq!(mirror.source.count(&Method::GET, Endpoint::Manifest), 0, "a question costs no pull");
    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn a_tag_that_is_not_to_be_moved_is_no_difference() {
    let mirror = Mirror::with(|rule| Rule { overwrite: false, ..rule }).await;
    mirror.target.seed("app", "v1", &Image::oci("linux/amd64").build());

    let report = mirror.run(SHALLOW).await;

    assert_eq!(report.outcome, RunOutcome::Success);
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped);
}

#[tokio::test]
async fn a_signature_that_is_gone_is_found_and_healed() {
    let target = FakeRegistry::builder().with_referrers().start().await;
    let mirror = Mirror::of(hello_world(), target, |rule| Rule { referrers: Referrers::All, ..rule }).await;
    let signature = Image::artifact("text/sig").layer(7, 40).subject(&mirror.image).build();
    mirror.source.seed_untagged("app", &signature);
    run(&mirror.engine, &mirror.rule).await;
    assert_eq!(mirror.differences(SHALLOW).await, Vec::<String>::new());

    // A run would not look again: it remembers that all of it was in place.
    mirror.target.remove_manifest("app", &signature.digest());
    let found = mirror.differences(SHALLOW).await;
    let [signature, image] = [&signature, &mirror.image].map(|image| short(&image.digest()));
    assert_eq!(found, [format!("{signature}, which refers to {image}, is not there")]);

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn what_a_sparse_list_leaves_out_is_not_missed() {
    let wanted = vec!["linux/amd64".parse().unwrap()];
    let platforms = Platforms::new(wanted, PlatformMode::Sparse).unwrap();
    let target = FakeRegistry::builder().sparse_lists().start().await;
    let mirror = Mirror::of(hello_world(), target, |rule| Rule { platforms: Some(platforms), ..rule }).await;
    assert_eq!(mirror.differences(SHALLOW).await, Vec::<String>::new());
    assert_eq!(mirror.source.summary(), "GET tags 1, HEAD manifest 1");

    let child = &mirror.image.children[0];
    mirror.target.remove_manifest("app", &child.digest());
    assert_eq!(mirror.differences(SHALLOW).await.len(), 1);
    run(&mirror.engine, &mirror.rule).await;
    assert_eq!(mirror.differences(SHALLOW).await.len(), 1, "a run does not look below");
    mirror.run(Mode::Repair).await;
    assert_eq!(mirror.differences(SHALLOW).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_list_that_was_made_smaller_is_healed_too() {
    let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Rewrite).unwrap();
    let mirror = Mirror::with(|rule| Rule { platforms: Some(platforms), ..rule }).await;
    mirror.target.remove_manifest("app", &mirror.image.children[1].digest());
    mirror.target.remove_blob("app", &mirror.layer(1));
    assert_eq!(mirror.differences(SHALLOW).await.len(), 1);

    mirror.assert_repair_heals().await;
}

#[tokio::test]
async fn a_list_that_was_made_smaller_and_lost_an_image_is_found_also_where_referrers_are_looked_for() {
    let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Rewrite).unwrap();
    let with = |rule| Rule { platforms: Some(platforms), referrers: Referrers::All, ..rule };
    let mirror = Mirror::with(with).await;
    let child = mirror.image.children[1].digest();
    mirror.target.remove_manifest("app", &child);
    // Nothing is remembered of what the list was made from.
    let fresh = Mirror { engine: engine(), ..mirror };

    let differences = fresh.differences(SHALLOW).await;

    assert!(differences[0].contains(&short(&child)), "{differences:?}");
    fresh.assert_repair_heals().await;
}

#[tokio::test]
async fn to_repair_what_is_whole_writes_nothing() {
    let mirror = Mirror::new().await;

    let report = mirror.run(Mode::Repair).await;

    assert_eq!((report.outcome, report.images[0].outcome), (RunOutcome::Success, ImageOutcome::Unchanged));
    mirror.assert_only_read();
    assert_eq!(mirror.source.summary(), "GET tags 1, HEAD manifest 1");
}

#[tokio::test]
async fn what_many_tags_lack_is_sent_once() {
    let mirror = Mirror::new().await;
    for (tag, seed) in [("v2", 20), ("v3", 30), ("v4", 40)] {
        let own = Image::oci("linux/s390x").layer(seed, 100).build();
        let image = Image::oci_index([mirror.image.children[1].clone(), own]);
        mirror.source.seed("app", tag, &image);
        mirror.target.seed("app", tag, &image);
    }
    mirror.target.remove_blob("app", &mirror.layer(1));
    mirror.clear_requests();

    let report = mirror.run(Mode::Repair).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(mirror.target.incomplete_tags(), Vec::<String>::new());
    assert_eq!(mirror.source.count(&Method::GET, Endpoint::Blob), 1, "{}", mirror.source.summary());
}

#[tokio::test]
async fn a_verification_is_blind_to_what_a_run_believes_and_hides_nothing_from_it() {
    let mirror = Mirror::new().await;
    // Held as by runs that overlap.
    let _knowledge = mirror.engine.knowledge();
    mirror.source.seed("app", "v2", &Image::oci("linux/amd64").layer(9, 500).build());
    run(&mirror.engine, &mirror.rule).await;
    mirror.target.remove_manifest("app", "v2");
    mirror.target.remove_blob("app", &mirror.layer(1));

    let report = mirror.run(SHALLOW).await;

    let failed = report.images.iter().filter(|image| image.outcome == ImageOutcome::Failed).count();
    assert_eq!(failed, 2, "{report:?}");
    mirror.assert_repair_heals_all().await;
}

impl Mirror {
    async fn assert_repair_heals_all(&self) {
        let report = self.run(Mode::Repair).await;
        assert_eq!(failures(&report), Vec::<String>::new());
        let report = self.run(DEEP).await;
        assert_eq!(failures(&report), Vec::<String>::new());
    }
}
