//! What one process leaves in its state directory saves the next one requests, and never costs content.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use regferry::events::RuleReport;
use regferry::history::History;
use regferry::telemetry::{Metrics, Status};
use regferry::transfer::{Engine, Mode, PlatformMode, Platforms, Referrers, Remembered, Rule};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{digest, engine, failures, location, rule, run};

const HOUR: Duration = Duration::from_secs(3600);

/// A process with a state directory; dropped, it is gone.
struct Process {
    engine: Arc<Engine>,
    history: Arc<History>,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let (engine, status) = (engine(), Arc::new(Status::new("1", Timestamp::now())));
        let history = History::open(folder, &status, &Metrics::new().unwrap(), engine.recollection(), false);
        Self { engine, history: Arc::new(history) }
    }

    /// Follows a rule that is rechecked after so long, and writes down what there is to remember.
    async fn follow(&self, rule: &Arc<Rule>, recheck: Duration) -> RuleReport {
        self.history.begin().await;
        let report = self.engine.follow(rule, recheck, &CancellationToken::new()).await;
        self.history.end();
        self.history.write().await;
        assert_eq!(failures(&report), Vec::<String>::new());
        report
    }
}

/// Two registries, and a directory for what is remembered.
struct World {
    source: FakeRegistry,
    target: FakeRegistry,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::of(FakeRegistry::start().await, FakeRegistry::start().await)
    }

    fn of(source: FakeRegistry, target: FakeRegistry) -> Self {
        Self { source, target, folder: tempfile::tempdir().unwrap() }
    }

    fn rule(&self, repository: &str, tags: &[&str]) -> Arc<Rule> {
        let at = |registry: &FakeRegistry| location(registry.host(), repository);
        rule(repository, at(&self.source), at(&self.target), tags)
    }

    /// A process follows a rule, and ends. The requests are counted from its beginning.
    async fn follow(&self, rule: &Arc<Rule>) -> RuleReport {
        self.follow_for(rule, HOUR).await
    }

    async fn follow_for(&self, rule: &Arc<Rule>, recheck: Duration) -> RuleReport {
        self.source.clear_requests();
        self.target.clear_requests();
        Process::start(self.folder.path()).follow(rule, recheck).await
    }

    fn requests(&self) -> (String, String) {
        (self.source.summary(), self.target.summary())
    }
}

fn asked(source: &str, target: &str) -> (String, String) {
    (source.to_owned(), target.to_owned())
}

fn layers(seeds: &[u64]) -> Image {
    let image = Image::oci("linux/amd64");
    seeds.iter().fold(image, |image, seed| image.layer(*seed, 10_000)).build()
}

#[tokio::test]
async fn the_next_process_makes_one_request_for_an_image_in_place_and_two_where_nothing_is_kept() {
    let world = World::new().await;
    world.source.seed("app", "v1", &hello_world());
    let rule = world.rule("app", &["v1"]);
    world.follow(&rule).await;

    for _ in 0..3 {
        world.follow(&rule).await;
        assert_eq!(world.requests(), asked("HEAD manifest 1", "no requests"));
    }

    world.source.clear_requests();
    run(&engine(), &rule).await;
    assert_eq!(world.requests(), asked("HEAD manifest 1", "HEAD manifest 1"));
}

#[tokio::test]
async fn the_target_is_asked_again_when_the_recheck_is_due_however_many_processes_believed_it_meanwhile() {
    let world = World::new().await;
    world.source.seed("app", "v1", &hello_world());
    let rule = world.rule("app", &["v1"]);
    let seen = |ago: Duration| Remembered::Tag {
        at: location(world.target.host(), "app"),
        tag: "v1".parse().unwrap(),
        seen: Some((digest(&hello_world()), at(SystemTime::now() - ago))),
    };
    world.target.seed("app", "v1", &hello_world());
    let (none, one) = ("no requests", "HEAD manifest 1");
    for (ago, passes) in [
        // The first of these does not make what it believes any younger.
        (HOUR / 2, &[(HOUR, none), (HOUR / 4, one), (HOUR / 4, none)][..]),
        (HOUR, &[(HOUR, one), (HOUR / 4, none)]),
    ] {
        let process = Process::start(world.folder.path());
        process.engine.recollection().recall(seen(ago));
        process.history.write().await;
        drop(process);
        for (recheck, requests) in passes {
            world.follow_for(&rule, *recheck).await;
            assert_eq!(world.target.summary(), *requests, "{ago:?} {recheck:?}");
        }
    }
}

fn at(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_rule_that_is_not_rechecked_believes_nothing_of_an_earlier_process() {
    let world = World::new().await;
    world.source.seed("app", "v1", &hello_world());
    let rule = world.rule("app", &["v1"]);
    world.follow(&rule).await;
    for mode in [Mode::Execute, Mode::Follow] {
        let process = Process::start(world.folder.path());
        world.target.clear_requests();
        process.engine.run(&rule, mode, &CancellationToken::new()).await;
        assert_eq!(world.target.summary(), "HEAD manifest 1", "{mode:?}");
    }
}

#[tokio::test]
async fn what_moves_at_the_source_between_two_processes_is_brought_and_back_again() {
    let world = World::new().await;
    let rule = world.rule("app", &["v1"]);
    for image in [layers(&[1]), layers(&[2]), layers(&[1]), layers(&[2])] {
        world.source.seed("app", "v1", &image);
        world.follow(&rule).await;
        assert_eq!(world.target.manifest("app", "v1").unwrap().digest(), image.digest());
        assert_eq!(world.target.check_whole("app", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn a_process_that_dies_after_it_has_moved_a_tag_does_not_mislead_the_next() {
    let world = World::new().await;
    let rule = world.rule("app", &["v1"]);
    world.source.seed("app", "v1", &layers(&[1]));
    world.follow(&rule).await;
    world.source.seed("app", "v1", &layers(&[2]));
    let dying = Process::start(world.folder.path());
    dying.history.begin().await;
    dying.engine.follow(&rule, HOUR, &CancellationToken::new()).await;
    assert_eq!(world.target.manifest("app", "v1").unwrap().digest(), layers(&[2]).digest());
    drop(dying);
    world.source.seed("app", "v1", &layers(&[1]));

    world.follow(&rule).await;

    assert_eq!(world.target.manifest("app", "v1").unwrap().digest(), layers(&[1]).digest());
}

#[tokio::test]
async fn what_a_list_becomes_and_what_refers_to_an_image_need_not_be_found_out_again() {
    let world = World::of(FakeRegistry::start().await, FakeRegistry::builder().with_referrers().start().await);
    let (amd, arm) = (Image::oci("linux/amd64").layer(1, 10).build(), Image::oci("linux/arm64").layer(2, 10).build());
    world.source.seed("app", "v1", &Image::oci_index([amd, arm]));
    let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Rewrite).ok();
    let smaller = Arc::new(Rule { platforms, ..(*world.rule("app", &["v1"])).clone() });
    world.follow(&smaller).await;
    world.follow(&smaller).await;
    assert_eq!(world.requests(), asked("HEAD manifest 1", "no requests"));

    let world = World::of(
        FakeRegistry::builder().with_referrers().start().await,
        FakeRegistry::builder().with_referrers().start().await,
    );
    let image = layers(&[1]);
    world.source.seed("app", "v1", &image);
    world.source.seed_untagged("app", &Image::artifact("text/signature").layer(3, 10).subject(&image).build());
    let signed = Arc::new(Rule { referrers: Referrers::All, ..(*world.rule("app", &["v1"])).clone() });
    world.follow(&signed).await;
    world.follow(&signed).await;
    world.follow(&signed).await;
    assert_eq!(world.target.summary(), "no requests");
    // A rule that wants more than what is remembered was about gets it all the same.
    let more = Image::artifact("text/sbom").layer(4, 10).subject(&image).build();
    world.source.seed_untagged("app", &more);
    world.follow(&signed).await;
    assert_eq!(world.target.check_whole("app", &more.digest()), Ok(()));
}

#[tokio::test]
async fn what_was_seen_for_one_rule_does_not_answer_for_another() {
    let world = World::new().await;
    let (amd, arm) = (Image::oci("linux/amd64").layer(1, 10).build(), Image::oci("linux/arm64").layer(2, 10).build());
    let list = Image::oci_index([amd, arm]);
    world.source.seed("app", "v1", &list);
    let platforms = Platforms::new(vec!["linux/amd64".parse().unwrap()], PlatformMode::Rewrite).ok();
    let whole = world.rule("app", &["v1"]);
    let smaller = Arc::new(Rule { platforms, ..(*whole).clone() });
    for _ in 0..2 {
        world.follow(&smaller).await;
        assert_ne!(world.target.manifest("app", "v1").unwrap().digest(), list.digest());
        world.follow(&whole).await;
        assert_eq!(world.target.manifest("app", "v1").unwrap().digest(), list.digest());
        assert_eq!(world.target.check_whole("app", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn a_blob_that_an_earlier_process_brought_is_neither_asked_for_nor_read_again() {
    let world = World::new().await;
    world.source.seed("a", "v1", &layers(&[1, 2]));
    world.source.seed("a", "v2", &layers(&[1, 2, 3]));
    world.source.seed("b", "v1", &layers(&[1, 2, 4]));
    world.follow(&world.rule("a", &["v1"])).await;

    let same = world.follow(&world.rule("a", &["v2"])).await;
    let blobs = same.images[0].blobs;
    assert_eq!((blobs.copied, blobs.present), (2, 2), "a layer and the config are new");
    assert!(world.target.summary().contains("HEAD blob 2"), "{}", world.target.summary());

    let other = world.follow(&world.rule("b", &["v1"])).await;
    let blobs = other.images[0].blobs;
    assert_eq!((blobs.copied, blobs.mounted), (2, 2));
    assert_eq!(world.target.check_whole("b", "v1"), Ok(()));
}

#[tokio::test]
async fn blobs_that_are_gone_meanwhile_are_brought_again() {
    let world = World::new().await;
    world.source.seed("a", "v1", &layers(&[1, 2]));
    world.source.seed("a", "v2", &layers(&[1, 2, 3]));
    world.source.seed("b", "v1", &layers(&[1, 2, 4]));
    world.follow(&world.rule("a", &["v1"])).await;
    let lost: Vec<String> = layers(&[1, 2]).blobs().map(testkit::Blob::digest).collect();
    for digest in &lost {
        world.target.remove_blob("a", digest);
    }
    world.target.remove_manifest("a", "v1");

    world.follow(&world.rule("b", &["v1"])).await;
    assert_eq!(world.target.check_whole("b", "v1"), Ok(()));
    world.follow(&world.rule("a", &["v2"])).await;
    assert_eq!(world.target.check_whole("a", "v2"), Ok(()));
}

#[tokio::test]
async fn a_registry_that_mounts_what_it_has_lost_gets_the_bytes() {
    let world = World::new().await;
    world.source.seed("a", "v1", &layers(&[1]));
    world.source.seed("b", "v1", &layers(&[1]));
    world.follow(&world.rule("a", &["v1"])).await;
    let layer = layers(&[1]).blobs().map(testkit::Blob::digest).last().unwrap();
    world.target.remove_blob("a", &layer);
    let mount = Fault::on(Method::POST, Endpoint::Upload).repository("b").reference(&layer).times(1);
    world.target.fault(mount, Effect::status(201));

    world.follow(&world.rule("b", &["v1"])).await;

    assert_eq!(world.target.check_whole("b", "v1"), Ok(()));
}

#[tokio::test]
async fn where_nothing_is_mounted_a_blob_that_is_there_is_not_sent_again() {
    let world = World::of(FakeRegistry::start().await, FakeRegistry::builder().without_mount().start().await);
    world.source.seed("a", "v1", &layers(&[1]));
    world.source.seed("b", "v1", &layers(&[1, 2]));
    world.follow(&world.rule("a", &["v1"])).await;
    // Another process has brought the layer to b, and ours knows it of a alone.
    world.target.put_blob("b", world.target.blob_bytes("a", &layers(&[1]).blobs().last().unwrap().digest()).unwrap());
    world.target.seed("b", "other", &layers(&[5]));

    let report = world.follow(&world.rule("b", &["v1"])).await;

    assert_eq!((report.images[0].blobs.copied, report.images[0].blobs.present), (2, 1));
}

#[tokio::test]
async fn a_damaged_file_fails_no_run_and_costs_requests_alone() {
    let world = World::new().await;
    world.source.seed("app", "v1", &hello_world());
    let rule = world.rule("app", &["v1"]);
    world.follow(&rule).await;
    let file = world.folder.path().join("history");
    let whole = fs::read(&file).unwrap();
    let mut damaged: Vec<Vec<u8>> = vec![Vec::new(), b"garbage".to_vec(), vec![0; 100_000]];
    damaged.extend((0..whole.len()).step_by(97).map(|length| whole[..length].to_vec()));
    damaged.extend((0..whole.len()).step_by(31).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        bytes
    }));
    for bytes in damaged {
        fs::write(&file, &bytes).unwrap();
        world.follow(&rule).await;
        assert_eq!(world.target.check_whole("app", "v1"), Ok(()));
        world.follow(&rule).await;
        assert_eq!(world.requests(), asked("HEAD manifest 1", "no requests"));
    }
}

#[tokio::test]
async fn a_second_process_beside_the_first_goes_on_without() {
    let world = World::new().await;
    world.source.seed("app", "v1", &hello_world());
    let rule = world.rule("app", &["v1"]);
    let first = Process::start(world.folder.path());
    first.follow(&rule, HOUR).await;
    world.follow(&rule).await;
    assert_eq!(world.requests(), asked("HEAD manifest 1", "HEAD manifest 1"));
    drop(first);
    world.follow(&rule).await;
    assert_eq!(world.requests(), asked("HEAD manifest 1", "no requests"));
}
