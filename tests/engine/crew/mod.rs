//! A run whose images are brought by others: what comes of it is what came of it before, whoever did the work.

mod fence;
mod moves;
mod replicas;
mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use regferry::events::{ImageOutcome, RuleReport, RunOutcome};
use regferry::oci::Host;
use regferry::transfer::{
    Appends, Mode, PlatformMode, Platforms, Prune, Referrers, RepositoryPattern, Rule, Scope, Source, Target, Task,
    Worked,
};
use serde_json::Value;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::gauge::LIMIT;
use crate::support::{engine, failures, location, rule_of, run, to};
use fence::Open;
use replicas::{Replicas, again};

/// Registries, and the rule between them: `app` of one is mirrored into `app` of the others.
struct World {
    source: FakeRegistry,
    targets: Vec<FakeRegistry>,
    rule: Arc<Rule>,
}

impl World {
    async fn new(targets: usize, include: &[&str]) -> Self {
        let source = FakeRegistry::builder().with_referrers().start().await;
        Self::of(source, targets, include).await
    }

    async fn of(source: FakeRegistry, targets: usize, include: &[&str]) -> Self {
        let mut there = Vec::new();
        for _ in 0..targets {
            there.push(FakeRegistry::start().await);
        }
        let to = there.iter().map(|target| to(location(target.host(), "app"))).collect();
        let from = vec![Source::Repository(location(source.host(), "app"))];
        let rule = rule_of("app", from, to, include);
        Self { source, targets: there, rule }
    }

    fn change(&mut self, change: impl FnOnce(&mut Rule)) {
        let mut rule = (*self.rule).clone();
        change(&mut rule);
        self.rule = Arc::new(rule);
    }

    fn replicas(&self) -> Replicas {
        Replicas::new(2, &self.rule)
    }

    async fn run_with(&self, replicas: &Replicas) -> RuleReport {
        let (engine, cancel, fence) = (engine(), CancellationToken::new(), Arc::new(Open::default()));
        let running = engine.run_with(&self.rule, Mode::Execute, replicas, fence, &cancel);
        tokio::time::timeout(LIMIT, running).await.unwrap()
    }

    /// What was asked of the registries: of several targets which one reads the other is a matter of moments.
    fn asked(&self) -> Vec<String> {
        let only = self.targets.first().filter(|_| self.targets.len() == 1);
        std::iter::once(&self.source).chain(only).map(FakeRegistry::summary).collect()
    }

    /// The report without what differs from one time to the next.
    fn told(&self, report: &RuleReport) -> Value {
        let mut text = serde_json::to_string(report).unwrap().replace(self.source.host(), "source");
        for (number, target) in self.targets.iter().enumerate() {
            text = text.replace(target.host(), &format!("target{number}"));
        }
        let mut told: Value = serde_json::from_str(&text).unwrap();
        let forget = |value: &mut Value, keys: &[&str]| {
            keys.iter().for_each(|key| drop(value.as_object_mut().unwrap().remove(*key)));
        };
        forget(&mut told, &["started", "seconds"]);
        for image in told["images"].as_array_mut().unwrap() {
            // Which of two targets asks the source is a matter of moments.
            forget(image, &["seconds", "requests"]);
        }
        told
    }
}

fn image(seed: u64) -> Image {
    Image::oci("linux/amd64").layer(seed, 5_000).build()
}

/// Runs the same twice, in worlds of their own: alone, and with a crew of two. Returns the latter.
async fn compared(targets: usize, include: &[&str], arrange: impl Fn(&mut World)) -> (World, Replicas, RuleReport) {
    compared_by(2, targets, include, arrange).await
}

/// The same with a crew of so many. What images share is known where they are brought: by several each may send it.
async fn compared_by(
    replicas: usize,
    targets: usize,
    include: &[&str],
    arrange: impl Fn(&mut World),
) -> (World, Replicas, RuleReport) {
    let (mut alone, mut together) = (World::new(targets, include).await, World::new(targets, include).await);
    [&mut alone, &mut together].into_iter().for_each(&arrange);
    let expected = run(&engine(), &alone.rule).await;
    let replicas = Replicas::new(replicas, &together.rule);

    let report = together.run_with(&replicas).await;

    assert_eq!(together.told(&report), alone.told(&expected));
    assert_eq!(together.asked(), alone.asked());
    (together, replicas, report)
}

#[tokio::test]
async fn a_crew_brings_the_same_report_by_the_same_requests() {
    let (world, replicas, report) = compared(1, &["v*"], |world| {
        (0..6).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
        world.source.seed("app", "other", &image(9));
        world.targets[0].seed("app", "v1", &image(1));
        world.targets[0].seed("app", "v2", &image(7));
    })
    .await;

    assert_eq!((report.outcome, report.images.len()), (RunOutcome::Success, 6));
    assert_eq!(report.count(ImageOutcome::Copied), 5);
    assert_eq!((replicas.tasks().len(), world.targets[0].incomplete_tags()), (6, vec![]));
}

#[tokio::test]
async fn several_targets_are_one_task_and_the_source_is_read_once_for_them() {
    let (world, replicas, report) = compared(3, &["*"], |world| {
        world.source.seed("app", "v1", &hello_world());
        world.source.seed("app", "v2", &image(2));
    })
    .await;

    assert_eq!((report.images.len(), failures(&report)), (6, Vec::<String>::new()));
    assert_eq!(replicas.tasks().iter().map(|task| task.targets.len()).collect::<Vec<_>>(), [3, 3]);
    let reads = world.source.count(&Method::GET, Endpoint::Blob);
    assert_eq!(reads, hello_world().blobs().count() + image(2).blobs().count(), "{}", world.source.summary());
}

#[tokio::test]
async fn what_is_missing_at_the_source_or_contested_is_told_by_who_owns_the_run() {
    compared(2, &["v1", "gone", "x*"], |world| {
        world.source.seed("app", "v1", &image(1));
        let from = |repository| Source::Repository(location(world.source.host(), repository));
        let scope = Scope { sources: vec![from("app"), from("twin")], ..(*world.rule.scope).clone() };
        world.source.seed("twin", "v1", &image(2));
        world.change(|rule| rule.scope = Arc::new(scope));
    })
    .await;
}

#[tokio::test]
async fn the_repositories_of_a_glob_are_looked_up_once_and_what_they_share_is_mounted() {
    let (_, replicas, report) = compared_by(1, 1, &[], |world| {
        for repository in ["team/a", "team/b"] {
            world.source.seed(repository, "v1", &image(1));
        }
        let host: Host = world.source.host().parse().unwrap();
        let pattern = RepositoryPattern::new("team/*").unwrap();
        let target = Target::Below {
            host: world.targets[0].host().parse().unwrap(),
            folder: Some("mirror".parse().unwrap()),
            appends: Appends::Name,
        };
        let scope = Scope {
            sources: vec![Source::Repositories(host, pattern)],
            targets: vec![target],
            ..(*world.rule.scope).clone()
        };
        world.change(|rule| rule.scope = Arc::new(scope));
    })
    .await;
    assert_eq!((replicas.tasks().len(), report.count(ImageOutcome::Copied)), (2, 2));
}

#[tokio::test]
async fn smaller_lists_are_made_by_the_crew_and_what_they_lack_is_told_together() {
    for wanted in [&["linux/amd64", "linux/s390x"][..], &["linux/arm64"]] {
        let (world, _, report) = compared(1, &["v*"], |world| {
            world.source.seed("app", "v1", &hello_world());
            world.source.seed("app", "v2", &image(2));
            let wanted = wanted.iter().map(|platform| platform.parse().unwrap()).collect();
            world.change(|rule| rule.platforms = Platforms::new(wanted, PlatformMode::Rewrite).ok());
        })
        .await;
        assert_eq!(world.targets[0].check_whole("app", "v1"), Ok(()), "{report:?}");
    }
}

/// Three images with a signature each, under cosign's tags, and others whose images are not mirrored.
fn signed(world: &mut World, others: u64) {
    for n in 0..3 {
        world.source.seed("app", &format!("v{n}"), &image(n));
        let signature = Image::artifact("text/sig").layer(100 + n, 40).build();
        world.source.seed("app", &format!("{}.sig", image(n).digest().replacen(':', "-", 1)), &signature);
    }
    (0..others).for_each(|n| drop(world.source.seed("app", &format!("sha256-{n:064x}.sig"), &image(50))));
    world.change(|rule| rule.referrers = Referrers::All);
}

#[tokio::test]
async fn referrers_come_along_and_are_not_listed_anew_where_their_tags_are_few() {
    let (world, _, report) = compared_by(1, 1, &["v*"], |world| signed(world, 5)).await;
    assert_eq!((failures(&report), world.targets[0].tags("app").len()), (vec![], 6));
    assert!(report.images.iter().all(|image| image.referrers == 1), "{report:?}");
}

#[tokio::test]
async fn where_tags_of_referrers_are_many_each_replica_lists_them_once() {
    let mut world = World::new(1, &["v*"]).await;
    signed(&mut world, 40);

    let report = world.run_with(&world.replicas()).await;

    assert_eq!((failures(&report), world.targets[0].tags("app").len()), (vec![], 6));
    assert!(report.images.iter().all(|image| image.referrers == 1), "{report:?}");
    assert_eq!(world.source.count(&Method::GET, Endpoint::Tags), 3, "its owner and two replicas");
}

#[tokio::test]
async fn what_the_source_has_no_more_is_pruned_by_who_owns_the_run_when_all_is_known() {
    let (world, _, report) = compared(2, &["v*"], |world| {
        (0..3).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
        world.targets.iter().for_each(|target| drop(target.seed("app", "v9", &image(9))));
        world.change(|rule| rule.prune = Some(Prune { keep: vec![], max_delete: 20, others: vec![] }));
    })
    .await;
    assert_eq!((report.pruned.len(), world.targets[1].tags("app").len()), (2, 3));
}

#[tokio::test]
async fn one_image_fails_alone_and_nothing_is_pruned_in_its_place() {
    let (world, _, report) = compared(1, &["v*"], |world| {
        (0..3).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
        world.targets[0].seed("app", "v1", &image(8));
        world.change(|rule| rule.prune = Some(Prune { keep: vec![], max_delete: 20, others: vec![] }));
        let refused = Fault::on(Method::PUT, Endpoint::Manifest).reference("v1");
        world.targets[0].fault(refused, Effect::status(400));
    })
    .await;
    assert_eq!((report.outcome, report.count(ImageOutcome::Failed)), (RunOutcome::Failure, 1));
    assert_eq!(world.targets[0].manifest("app", "v1").unwrap().digest(), image(8).digest());
}

#[tokio::test]
async fn a_target_that_cannot_be_listed_is_left_out_of_the_tasks() {
    let (_, replicas, report) = compared(2, &["v*"], |world| {
        world.source.seed("app", "v1", &image(1));
        world.targets[0].fault(Fault::on(Method::GET, Endpoint::Tags), Effect::status(400));
        world.targets[0].fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::status(400));
        world.targets[0].fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::status(400));
    })
    .await;
    assert_eq!((replicas.tasks().len(), report.count(ImageOutcome::Copied)), (1, 1));
}

#[tokio::test]
async fn no_more_tasks_are_out_than_the_crew_takes() {
    let world = World::new(1, &["v*"]).await;
    (0..9).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
    let replicas = Replicas { most: 2, ..world.replicas() };

    let report = world.run_with(&replicas).await;

    assert_eq!((report.outcome, report.images.len()), (RunOutcome::Success, 9));
    assert_eq!(replicas.peak.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn tasks_of_one_run_have_names_of_their_own_that_are_the_same_in_the_next_run() {
    let mut world = World::new(1, &["v1", "v1", "v2"]).await;
    ["v1", "v2"].iter().for_each(|tag| drop(world.source.seed("app", tag, &image(1))));
    world.change(|rule| rule.timeout = None);
    let ids = |replicas: &Replicas| replicas.tasks().iter().map(Task::id).collect::<Vec<_>>();
    let (first, second) = (world.replicas(), world.replicas());
    world.run_with(&first).await;
    world.run_with(&second).await;

    let mut names = ids(&first);
    assert_eq!(names, ids(&second));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), first.tasks().len());
}

#[tokio::test]
async fn a_run_that_is_stopped_tells_its_crew_and_reports_what_it_did() {
    let world = World::new(1, &["v*"]).await;
    (0..4).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
    world.source.fault(Fault::on(Method::GET, Endpoint::Blob).skip(2), Effect::Hang);
    let replicas = Replicas { most: 3, ..world.replicas() };
    let cancel = CancellationToken::new();
    let engine = engine();
    let running = engine.run_with(&world.rule, Mode::Execute, &replicas, Arc::new(Open::default()), &cancel);
    let stop = async {
        while world.targets[0].tags("app").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };

    let (report, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(running, stop) }).await.unwrap();

    assert_eq!(report.outcome, RunOutcome::Cancelled);
    assert_eq!((report.images.len(), report.count(ImageOutcome::Failed)), (4, 0), "{report:?}");
    assert_eq!((report.count(ImageOutcome::Copied), report.count(ImageOutcome::Skipped)), (1, 3), "{report:?}");
    assert!(replicas.stop.is_cancelled());
}

#[tokio::test]
async fn a_timeout_stops_the_crew_as_well() {
    let mut world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::Hang);
    world.change(|rule| rule.timeout = Some(Duration::from_millis(500)));
    let report = world.run_with(&world.replicas()).await;
    assert_eq!((report.outcome, report.count(ImageOutcome::Skipped)), (RunOutcome::Timeout, 1));
}

#[tokio::test]
async fn a_task_that_needs_pulls_is_parked_with_what_it_has_and_spends_none_twice() {
    let source = FakeRegistry::builder().pulls(2, Duration::from_secs(2)).start().await;
    let world = World::of(source, 2, &["v1"]).await;
    world.source.seed("app", "v1", &hello_world());
    let replicas = world.replicas();

    let report = world.run_with(&replicas).await;

    assert_eq!((report.outcome, failures(&report)), (RunOutcome::Success, vec![]));
    assert_eq!(report.count(ImageOutcome::Copied), 2);
    assert!(replicas.parked.load(Ordering::Relaxed) > 0);
    let pulls = world.source.count(&Method::GET, Endpoint::Manifest);
    assert_eq!(pulls, hello_world().documents().count(), "{}", world.source.summary());
}

#[tokio::test]
async fn a_parked_task_keeps_what_became_of_the_targets_that_were_served() {
    let source = FakeRegistry::builder().pulls(1, Duration::from_secs(60)).start().await;
    let world = World::of(source, 2, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.targets[0].seed("app", "v1", &image(1));
    world.source.spend_pull();
    let task = only_task(&world).await;

    let worked = world.replicas().engines[0]
        .work(&world.rule, task, Arc::new(Open::default()), &CancellationToken::new())
        .await
        .unwrap();

    let Worked::Parked(parked) = worked else { panic!("{worked:?}") };
    assert!(parked.wait >= Duration::from_secs(1) && parked.none.remaining == 0, "{parked:?}");
    let outcomes = parked.task.failed("it was given up").into_iter().map(|brought| brought.image.outcome);
    assert_eq!(outcomes.collect::<Vec<_>>(), [ImageOutcome::Unchanged, ImageOutcome::Failed]);
    let read = again(&parked.task);
    assert_eq!((read.id(), again(&read)), (parked.task.id(), read));
}

/// The task that a run of the world hands out.
async fn only_task(world: &World) -> Task {
    let nobody = world.replicas();
    nobody.stop.cancel();
    world.run_with(&nobody).await;
    nobody.tasks().remove(0)
}
