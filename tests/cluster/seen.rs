//! What a run has seen in place, as the next one knows it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use regferry::events::{ImageOutcome, ImageReport};
use regferry::oci::Digest;
use regferry::queue::{Bucket, Cluster, Order, ToldMoves};
use regferry::transfer::{Brought, Mode, Movable, Moves, Sight, Sighting, Task, Worked};
use testkit::NatsServer;

use crate::hands::{TestHands, Working, ended};
use crate::support::{connect, jetstream};

const IMAGES: usize = 5;

/// What the tasks of a run know: of each tag the digest and the last move.
type Known = BTreeMap<String, u64>;

/// A cluster of one replica, whose images are all in place, and each tells the last move that it finds.
struct Scene {
    server: NatsServer,
    cluster: Arc<Cluster>,
    moves: Arc<ToldMoves>,
    known: Arc<Mutex<Known>>,
    /// Results are those of an owner before.
    is_late: Arc<AtomicBool>,
    _working: Working,
    at: u64,
}

impl Scene {
    async fn new() -> Self {
        let server = NatsServer::start();
        let cluster = Arc::new(connect(&server).await);
        let moves = Arc::new(ToldMoves::new(&cluster));
        let known: Arc<Mutex<Known>> = Arc::default();
        let is_late: Arc<AtomicBool> = Arc::default();
        let (noted, asked, late) = (Arc::clone(&known), Arc::clone(&moves), Arc::clone(&is_late));
        let work = move |mut task: Task, _, _| {
            let (noted, asked) = (Arc::clone(&noted), Arc::clone(&asked));
            if late.load(Ordering::Relaxed) {
                task.since = task.since.map(|since| since - 1);
            }
            async move { Some(in_place(&task, &noted, &asked).await) }.boxed()
        };
        let hands = TestHands::new(IMAGES, Box::new(work));
        let working = Working::start(&server, &hands, 8).await;
        Self { server, cluster, moves, known, is_late, _working: working, at: 0 }
    }

    /// Has the rule run, and returns what its tasks knew.
    async fn run(&mut self, mode: Mode) -> Known {
        self.known.lock().unwrap().clear();
        self.at += 1;
        let order = Order { rule: "rule".to_owned(), at: self.at, mode: Some(mode) };
        let sequence = self.cluster.order(&order).await.unwrap();
        ended(&self.cluster, "rule", sequence).await;
        self.known.lock().unwrap().clone()
    }

    /// How many images the next run's tasks know.
    async fn known_next(&mut self) -> usize {
        self.run(Mode::Follow).await.len()
    }

    async fn lose(&self, bucket: &str) {
        jetstream(&self.server).await.delete_stream(format!("KV_regferry-test-{bucket}")).await.unwrap();
        // As every replica does soon.
        connect(&self.server).await;
    }
}

async fn in_place(task: &Task, known: &Mutex<Known>, moves: &ToldMoves) -> Worked {
    let there = &task.targets[0];
    let tag = Movable::Tag(there.location.clone(), task.from.to_string().parse().unwrap());
    if let Some(seen) = &there.seen {
        assert_eq!(seen.digest, Digest::of(task.from.to_string().as_bytes()));
        known.lock().unwrap().insert(task.from.to_string(), seen.last);
    }
    let last = match &there.seen {
        Some(seen) => Some(seen.last),
        None => moves.last(tag).await,
    };
    let image = ImageReport {
        outcome: ImageOutcome::Unchanged,
        digest: Some(Digest::of(task.from.to_string().as_bytes())),
        ..ImageReport::new(task.source.reference(&task.from), there.location.reference(&there.to))
    };
    let sight = task.since.zip(last).map(|(since, last)| Sight { since, last });
    Worked::Done(vec![Brought { image, sighting: Sighting::Unknown, is_told: true, sight }])
}

fn tag(number: usize) -> Movable {
    Movable::Tag("target.example/app".parse().unwrap(), format!("v{number}").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_has_seen_the_next_ones_know() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.known_next().await, 0);
    assert_eq!(scene.known_next().await, IMAGES);
    assert_eq!(scene.known_next().await, IMAGES);
    assert_eq!(scene.run(Mode::Repair).await.len(), 0, "it checks what others believe");
    assert_eq!(scene.known_next().await, IMAGES);
    assert_eq!(scene.run(Mode::Execute).await.len(), 0, "it believes nothing, and keeps nothing");
    assert_eq!(scene.known_next().await, IMAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_moves_is_asked_for_once_and_while_it_is_being_moved() {
    let mut scene = Scene::new().await;
    scene.known_next().await;
    let begun = scene.moves.begin(tag(1)).await.unwrap();

    let known = scene.run(Mode::Follow).await;
    assert!(!known.contains_key("v1") && known.len() == IMAGES - 1, "{known:?}");
    assert_eq!(scene.known_next().await, IMAGES - 1, "it is being moved still");
    let last = scene.moves.end(tag(1), begun).await.unwrap();
    assert_eq!((scene.known_next().await, scene.moves.last(tag(1)).await), (IMAGES - 1, Some(last)));
    assert_eq!(scene.known_next().await, IMAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_something_is_deleted_all_of_the_repository_is_asked_for() {
    let mut scene = Scene::new().await;
    scene.known_next().await;
    let repository = || Movable::Repository("target.example/app".parse().unwrap());
    let begun = scene.moves.begin(repository()).await.unwrap();
    scene.moves.end(repository(), begun).await;
    assert_eq!(scene.known_next().await, 0);
    assert_eq!(scene.known_next().await, IMAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_move_at_once_is_over_for_nobody() {
    let scene = Scene::new().await;
    let first = scene.moves.begin(tag(1)).await.unwrap();
    assert_eq!(scene.moves.begin(tag(1)).await, None);
    assert_eq!((scene.moves.end(tag(1), first).await, scene.moves.last(tag(1)).await), (None, None));
    let other = scene.moves.begin(tag(2)).await.unwrap();
    let ended = scene.moves.end(tag(2), other).await;
    assert!(ended > Some(other) && scene.moves.last(tag(2)).await == ended);
    assert_eq!(scene.moves.last(tag(3)).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_lost_costs_questions_alone() {
    let mut scene = Scene::new().await;
    for lost in ["seen", "moves"] {
        scene.known_next().await;
        assert_eq!(scene.known_next().await, IMAGES);
        scene.lose(lost).await;
        assert_eq!(scene.known_next().await, 0, "{lost}");
        assert_eq!(scene.known_next().await, IMAGES, "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_late_by_who_has_lost_the_rule_is_not_believed() {
    let mut scene = Scene::new().await;
    scene.known_next().await;
    let seen = scene.cluster.seen();
    let keys = keys(&scene.server).await;
    let mut before = Vec::new();
    for key in &keys {
        before.push((key, seen.get(key).await.unwrap().unwrap().value));
    }
    assert_eq!(scene.known_next().await, IMAGES);
    let moved = scene.moves.begin(tag(1)).await.unwrap();
    scene.moves.end(tag(1), moved).await;
    scene.known_next().await;
    put_back(&seen, &before).await;
    assert_eq!(scene.known_next().await, 0);
    assert_eq!(scene.known_next().await, IMAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_for_an_owner_before_does_not_count() {
    let mut scene = Scene::new().await;
    scene.is_late.store(true, Ordering::Relaxed);
    scene.known_next().await;
    assert_eq!(scene.known_next().await, 0);
    scene.is_late.store(false, Ordering::Relaxed);
    scene.known_next().await;
    assert_eq!(scene.known_next().await, IMAGES);
}

/// The keys of what is kept.
async fn keys(server: &NatsServer) -> Vec<String> {
    let stream = jetstream(server).await.get_stream("KV_regferry-test-seen").await.unwrap();
    let mut subjects = stream.info_with_subjects("$KV.regferry-test-seen.>").await.unwrap();
    let mut keys = Vec::new();
    while let Some((subject, _)) = futures_util::TryStreamExt::try_next(&mut subjects).await.unwrap() {
        keys.push(subject.trim_start_matches("$KV.regferry-test-seen.").to_owned());
    }
    keys
}

async fn put_back(seen: &Bucket, before: &[(&String, bytes::Bytes)]) {
    for (key, value) in before {
        seen.put(key, value.clone()).await.unwrap();
    }
}
