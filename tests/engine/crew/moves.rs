//! Tags that move, told to others; and what they have seen in place, which is not asked for again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use regferry::events::ImageOutcome;
use regferry::transfer::{AtTarget, Brought, Engine, Mode, Movable, Moves, Prune, Sight, Task, Worked};
use testkit::{Effect, Endpoint, Fault, Method};
use tokio_util::sync::CancellationToken;

use super::fence::Open;
use super::{World, image, only_task};
use crate::support::{copy, digest, engine};

/// Moves as one process tells them and hears of them.
#[derive(Default)]
struct Told(Mutex<Moved>);

#[derive(Default)]
struct Moved {
    count: u64,
    last: HashMap<String, (u64, bool)>,
}

impl Told {
    fn tell(&self, what: &Movable, is_over: bool) -> u64 {
        let mut moved = self.0.lock().unwrap();
        moved.count += 1;
        let last = (moved.count, is_over);
        moved.last.insert(name(what), last);
        moved.count
    }

    /// Of what was told: the number, and whether it is over.
    fn of(&self, name: &str) -> Option<(u64, bool)> {
        self.0.lock().unwrap().last.get(name).copied()
    }
}

fn name(what: &Movable) -> String {
    match what {
        Movable::Tag(_, tag) => tag.to_string(),
        Movable::Repository(location) => location.repository.to_string(),
    }
}

impl Moves for Told {
    fn begin(&self, what: Movable) -> BoxFuture<'_, Option<u64>> {
        async move { Some(self.tell(&what, false)) }.boxed()
    }

    fn end(&self, what: Movable, begun: u64) -> BoxFuture<'_, Option<u64>> {
        async move { (self.of(&name(&what)) == Some((begun, false))).then(|| self.tell(&what, true)) }.boxed()
    }

    fn last(&self, what: Movable) -> BoxFuture<'_, Option<u64>> {
        async move {
            let (number, is_over) = self.of(&name(&what)).unwrap_or((0, true));
            is_over.then_some(number)
        }
        .boxed()
    }
}

/// A replica in a world, whose source has one image, and what it is given to do.
struct Replica {
    world: World,
    engine: Arc<Engine>,
    told: Arc<Told>,
    task: Task,
}

impl Replica {
    async fn new() -> Self {
        let world = World::new(1, &["v1"]).await;
        world.source.seed("app", "v1", &image(1));
        let task = Task { since: Some(7), mode: Mode::Follow, ..only_task(&world).await };
        let (engine, told) = (engine(), Arc::new(Told::default()));
        engine.tell_moves(Arc::clone(&told) as _);
        [&world.source, &world.targets[0]].iter().for_each(|registry| registry.clear_requests());
        Self { world, engine, told, task }
    }

    /// Its target has the image.
    async fn in_place() -> Self {
        let replica = Self::new().await;
        replica.world.targets[0].seed("app", "v1", &image(1));
        replica
    }

    fn see(&mut self, seed: u64) {
        self.task.targets[0].seen = Some(AtTarget { digest: digest(&image(seed)), last: 5 });
    }

    async fn work(&self) -> Brought {
        let cancel = CancellationToken::new();
        let worked = self.engine.work(&self.world.rule, self.task.clone(), Arc::new(Open::default()), &cancel);
        let Ok(Worked::Done(mut brought)) = worked.await else { panic!("it is done") };
        brought.remove(0)
    }

    fn asked(&self) -> (String, String) {
        (self.world.source.summary(), self.world.targets[0].summary())
    }
}

#[tokio::test]
async fn what_another_has_seen_in_place_costs_one_request_at_the_source() {
    let mut replica = Replica::in_place().await;
    replica.see(1);

    let brought = replica.work().await;

    assert_eq!(replica.asked(), ("HEAD manifest 1".to_owned(), "no requests".to_owned()));
    assert_eq!((brought.image.outcome, brought.image.digest), (ImageOutcome::Unchanged, Some(digest(&image(1)))));
    assert_eq!(brought.sight, Some(Sight { since: 7, last: 5 }));
}

#[tokio::test]
async fn what_another_has_moved_before_it_died_and_the_source_has_moved_back_is_brought_right() {
    let mut replica = Replica::new().await;
    replica.world.targets[0].seed("app", "v1", &image(2));
    replica.see(1);
    replica.task = replica.task.after_others();

    let brought = replica.work().await;

    assert_eq!(brought.image.outcome, ImageOutcome::Copied);
    assert_eq!(
        replica.world.targets[0].manifest("app", "v1").map(|there| there.digest()),
        Some(digest(&image(1)).to_string())
    );
}

#[tokio::test]
async fn a_check_asks_for_what_another_has_seen_as_well() {
    let mut replica = Replica::in_place().await;
    replica.see(1);
    replica.task.mode = Mode::Execute;

    assert_eq!(replica.work().await.image.outcome, ImageOutcome::Unchanged);

    assert_eq!(replica.world.targets[0].count(&Method::HEAD, Endpoint::Manifest), 1);
}

#[tokio::test]
async fn what_is_another_at_the_source_by_now_is_brought() {
    let mut replica = Replica::in_place().await;
    replica.world.source.seed("app", "v1", &image(2));
    replica.see(1);

    let brought = replica.work().await;

    assert_eq!((brought.image.outcome, brought.image.digest), (ImageOutcome::Copied, Some(digest(&image(2)))));
    assert_eq!(brought.sight, Some(Sight { since: 7, last: replica.told.of("v1").unwrap().0 }));
}

#[tokio::test]
async fn who_looks_says_which_move_was_the_last_before() {
    let replica = Replica::in_place().await;
    assert_eq!(replica.work().await.sight, Some(Sight { since: 7, last: 0 }));
    let tag = || Movable::Tag("target.example/app".parse().unwrap(), "v1".parse().unwrap());
    let begun = replica.told.begin(tag()).await.unwrap();
    assert_eq!(replica.work().await.sight, None, "it is being moved");
    let last = replica.told.end(tag(), begun).await.unwrap();
    assert_eq!(replica.work().await.sight, Some(Sight { since: 7, last }));
    replica.told.begin(Movable::Repository("target.example/app".parse().unwrap())).await;
    assert_eq!(replica.work().await.sight, None, "something is being deleted");
}

#[tokio::test]
async fn who_has_written_a_tag_says_that_it_is_over() {
    let replica = Replica::new().await;

    let brought = replica.work().await;

    assert_eq!(brought.image.outcome, ImageOutcome::Copied);
    assert_eq!(replica.told.of("v1"), Some((2, true)));
    assert_eq!(brought.sight, Some(Sight { since: 7, last: 2 }));
}

#[tokio::test]
async fn it_is_said_before_and_what_could_not_be_written_counts_as_being_moved() {
    let replica = Replica::new().await;
    replica.world.targets[0].fault(Fault::on(Method::PUT, Endpoint::Manifest), Effect::status(400));

    let brought = replica.work().await;

    assert_eq!((brought.image.outcome, brought.sight), (ImageOutcome::Failed, None));
    assert_eq!(replica.told.of("v1"), Some((1, false)));
}

#[tokio::test]
async fn an_import_and_a_prune_tell_what_they_move_too() {
    let mut replica = Replica::new().await;
    let place = |host: &str, tag: &str| format!("{host}/app:{tag}");
    let (source, target) = (replica.world.source.host().to_owned(), replica.world.targets[0].host().to_owned());
    copy(&replica.engine, &place(&source, "v1"), &place(&target, "v9")).await;
    assert_eq!(replica.told.of("v9"), Some((2, true)));

    replica.world.change(|rule| rule.prune = Some(Prune { keep: vec![], max_delete: 20, others: vec![] }));
    let report = replica.engine.run(&replica.world.rule, Mode::Execute, &CancellationToken::new()).await;

    assert_eq!(report.pruned.len(), 1, "{report:?}");
    assert!(replica.told.of("app").is_some_and(|(_, is_over)| is_over));
}
