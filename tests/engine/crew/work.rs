//! One task in the hands of one process: when it may write, when it stands down, and who is told.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regferry::content::Fence;
use regferry::events::{ImageOutcome, ImageReport, Observer, RunOutcome};
use regferry::transfer::{Kept, Mode, Prune, Referrers, Rule, Source, Target, Task, Worked};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use super::fence::{Open, Shut};
use super::replicas::Replicas;
use super::{World, image, only_task};
use crate::gauge::LIMIT;
use crate::support::{engine, engine_with, location, reference, rule_of};

async fn work(rule: &Arc<Rule>, task: Task, fence: Arc<dyn Fence>) -> Worked {
    let (engine, cancel) = (engine(), CancellationToken::new());
    let worked = engine.work(rule, task, fence, &cancel);
    tokio::time::timeout(LIMIT, worked).await.unwrap().unwrap()
}

/// What was asked of a registry beside looking.
fn writes(registry: &FakeRegistry) -> usize {
    registry.requests().iter().filter(|request| request.method != Method::GET && request.method != Method::HEAD).count()
}

#[tokio::test]
async fn who_may_not_hold_the_work_writes_nothing_at_all() {
    let world = World::new(2, &["v1"]).await;
    world.source.seed("app", "v1", &hello_world());
    world.targets[1].seed("app", "v1", &image(1));
    let task = only_task(&world).await;

    let worked = work(&world.rule, task, Arc::new(Shut::AtHold)).await;

    assert!(matches!(worked, Worked::Displaced), "{worked:?}");
    assert_eq!(world.targets.iter().map(writes).collect::<Vec<_>>(), [0, 0]);
}

#[tokio::test]
async fn a_tag_stays_where_it_is_when_the_work_was_taken_over_before_it_is_moved() {
    let mut world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &hello_world());
    world.targets[0].seed("app", "v1", &image(1));
    world.change(|_| {});
    let task = only_task(&world).await;

    let worked = work(&world.rule, task, Arc::new(Shut::at_check(0))).await;

    assert!(matches!(worked, Worked::Displaced), "{worked:?}");
    assert_eq!(world.targets[0].manifest("app", "v1").unwrap().digest(), image(1).digest());
    assert!(hello_world().blobs().all(|blob| world.targets[0].has_blob("app", &blob.digest())));
}

#[tokio::test]
async fn a_tag_is_not_tried_again_by_who_was_displaced_meanwhile() {
    let world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.targets[0].fault(Fault::on(Method::PUT, Endpoint::Manifest).times(1), Effect::status(503));
    let task = only_task(&world).await;

    let worked = work(&world.rule, task, Arc::new(Shut::at_check(1))).await;

    assert!(matches!(worked, Worked::Displaced), "{worked:?}");
    assert_eq!(world.targets[0].count(&Method::PUT, Endpoint::Manifest), 1);
    assert_eq!(world.targets[0].tags("app"), Vec::<String>::new());
}

#[tokio::test]
async fn the_tag_under_which_referrers_are_listed_is_fenced_too() {
    let mut world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.source.seed_untagged("app", &Image::artifact("text/sig").layer(2, 40).subject(&image(1)).build());
    world.change(|rule| rule.referrers = Referrers::All);
    let task = only_task(&world).await;

    let worked = work(&world.rule, task.clone(), Arc::new(Shut::at_check(0))).await;

    assert!(matches!(worked, Worked::Displaced), "{worked:?}");
    assert_eq!(world.targets[0].tags("app"), Vec::<String>::new());
    assert_eq!(world.targets[0].check_whole("app", &image(1).digest()), Ok(()), "it was brought by its digest");
    let open = Arc::new(Open::default());
    work(&world.rule, task, Arc::clone(&open) as _).await;
    assert_eq!((open.checks.load(Ordering::Relaxed), world.targets[0].tags("app").len()), (2, 2));
}

#[tokio::test]
async fn an_image_that_is_in_place_asks_no_fence() {
    let world = World::new(2, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.targets.iter().for_each(|target| drop(target.seed("app", "v1", &image(1))));
    let (task, open) = (only_task(&world).await, Arc::new(Open::default()));

    let worked = work(&world.rule, task, Arc::clone(&open) as _).await;

    let Worked::Done(brought) = worked else { panic!("{worked:?}") };
    assert!(brought.iter().all(|brought| brought.image.outcome == ImageOutcome::Unchanged));
    assert_eq!((open.holds.load(Ordering::Relaxed), open.checks.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn a_task_of_another_configuration_is_refused_before_anything_is_asked() {
    let world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    let task = only_task(&world).await;
    let others =
        [Rule { overwrite: false, ..(*world.rule).clone() }, Rule { name: "b".into(), ..(*world.rule).clone() }];
    world.source.clear_requests();
    world.targets[0].clear_requests();
    for other in others {
        let (engine, cancel, fence) = (engine(), CancellationToken::new(), Arc::new(Open::default()));
        let refused = engine.work(&Arc::new(other), task.clone(), fence, &cancel).await.unwrap_err().to_string();
        assert!(refused.contains("\"app\"") && refused.contains("same configuration"), "{refused}");
    }
    assert!(world.source.requests().is_empty() && world.targets[0].requests().is_empty());
}

#[tokio::test]
async fn a_task_that_is_stopped_in_the_middle_is_given_back_and_not_told_of() {
    let world = World::new(1, &["v1"]).await;
    world.source.seed("app", "v1", &image(1));
    world.source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::Hang);
    let (task, ears, cancel) = (only_task(&world).await, Arc::new(Ears::default()), CancellationToken::new());
    let engine = engine_with(Default::default(), Arc::clone(&ears) as _);
    let stop = async {
        while world.source.count(&Method::GET, Endpoint::Blob) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };

    let both = async { tokio::join!(engine.work(&world.rule, task, Arc::new(Open::default()), &cancel), stop) };
    let (worked, ()) = tokio::time::timeout(LIMIT, both).await.unwrap();

    let Ok(Worked::Stopped(brought)) = worked else { panic!("{worked:?}") };
    assert_eq!((brought[0].image.outcome, brought[0].is_told), (ImageOutcome::Skipped, false));
    assert_eq!(*ears.0.lock().unwrap(), Vec::<String>::new());
}

/// Remembers who was told of which image, and how.
#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Observer for Ears {
    fn image(&self, rule: &str, image: &ImageReport) {
        self.0.lock().unwrap().push(format!("{rule} image {}", image.outcome.as_str()));
    }
    fn brought(&self, rule: &str, image: &ImageReport) {
        self.0.lock().unwrap().push(format!("{rule} brought {}", image.outcome.as_str()));
    }
    fn found(&self, rule: &str, images: usize) {
        self.0.lock().unwrap().push(format!("{rule} found {images}"));
    }
    fn run_ended(&self, run: &regferry::events::RuleReport) {
        self.0.lock().unwrap().push(format!("{} ended", run.name));
    }
}

#[tokio::test]
async fn an_image_is_counted_where_it_is_worked_on_and_known_where_the_run_is_owned() {
    let world = World::new(1, &["v*"]).await;
    world.source.seed("app", "v1", &image(1));
    let (owner, worker) = (Arc::new(Ears::default()), Arc::new(Ears::default()));
    let mut replicas = Replicas::new(1, &world.rule);
    replicas.engines = vec![engine_with(Default::default(), Arc::clone(&worker) as _)];
    let (engine, cancel) = (engine_with(Default::default(), Arc::clone(&owner) as _), CancellationToken::new());

    engine.run_with(&world.rule, Mode::Execute, &replicas, Arc::new(Open::default()), &cancel).await;

    assert_eq!(*worker.0.lock().unwrap(), ["app image copied"]);
    assert_eq!(*owner.0.lock().unwrap(), ["app found 1", "app brought copied", "app ended"]);
}

#[tokio::test]
async fn a_run_that_another_owns_by_now_deletes_nothing() {
    let mut world = World::new(1, &["v*"]).await;
    (1..3).for_each(|n| drop(world.source.seed("app", &format!("v{n}"), &image(n))));
    world.targets[0].seed("app", "v9", &image(9));
    world.change(|rule| rule.prune = Some(Prune { keep: vec![], max_delete: 20, others: vec![] }));
    let (replicas, engine, cancel) = (world.replicas(), engine(), CancellationToken::new());

    let report = engine.run_with(&world.rule, Mode::Execute, &replicas, Arc::new(Shut::AtHold), &cancel).await;

    assert_eq!((report.pruned.len(), report.count(ImageOutcome::Copied)), (0, 2));
    assert_eq!(world.targets[0].tags("app").len(), 3);
    assert_eq!(world.targets[0].requests().iter().filter(|request| request.method == Method::DELETE).count(), 0);
}

#[tokio::test]
async fn a_composed_list_is_not_cut_and_not_written_by_who_was_displaced() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let sources = [1, 2].map(|n| {
        let platform = ["linux/amd64", "linux/arm64"][n as usize - 1];
        source.seed("app", &format!("v{n}"), &Image::oci(platform).layer(n, 300).build());
        Source::Image(reference(&format!("{}/app:v{n}", source.host())))
    });
    let to = Target::Repository { location: location(target.host(), "app"), tag: Some("all".parse().unwrap()) };
    let kept = Some(Kept { same_revision: false });
    let rule = Arc::new(Rule { kept, ..(*rule_of("app", sources.to_vec(), vec![to], &[])).clone() });
    let (replicas, engine, cancel) = (Replicas::new(1, &rule), engine(), CancellationToken::new());
    let run = |fence: Arc<dyn Fence>| engine.run_with(&rule, Mode::Execute, &replicas, fence, &cancel);

    let report = run(Arc::new(Shut::at_check(0))).await;
    assert_eq!((report.outcome, report.images[0].outcome), (RunOutcome::Success, ImageOutcome::Skipped));
    assert!(report.images[0].error.as_deref().unwrap().contains("another replica"), "{report:?}");
    assert_eq!(target.tags("app"), Vec::<String>::new());

    assert_eq!(run(Arc::new(Open::default())).await.images[0].outcome, ImageOutcome::Copied);
    assert_eq!((target.tags("app").len(), replicas.tasks().len()), (1, 0));
}

#[tokio::test]
async fn images_of_layouts_stay_on_the_machine_that_has_them() {
    let (folder, source) = (tempfile::tempdir().unwrap(), FakeRegistry::start().await);
    source.seed("app", "v1", &image(1));
    let dir = format!("oci:{}", folder.path().join("out").display());
    let to = Target::Repository { location: dir.parse().unwrap(), tag: None };
    let rule = rule_of("app", vec![Source::Repository(location(source.host(), "app"))], vec![to], &["v1"]);
    let (replicas, engine, cancel) = (Replicas::new(1, &rule), engine(), CancellationToken::new());
    let run = |fence: Arc<dyn Fence>| engine.run_with(&rule, Mode::Execute, &replicas, fence, &cancel);

    let report = run(Arc::new(Shut::AtHold)).await;
    assert_eq!((report.images[0].outcome, folder.path().join("out").exists()), (ImageOutcome::Skipped, false));
    let report = run(Arc::new(Shut::at_check(0))).await;
    assert_eq!(report.images[0].outcome, ImageOutcome::Skipped, "{report:?}");
    let report = run(Arc::new(Open::default())).await;
    assert_eq!((report.images[0].outcome, replicas.tasks().len()), (ImageOutcome::Copied, 0));
}
