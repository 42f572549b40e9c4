//! Image jobs: each done once, none lost, whoever dies.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use regferry::content::NoPulls;
use regferry::events::{ImageOutcome, Queue, RunOutcome};
use regferry::queue::{Cluster, Lease, Order};
use regferry::transfer::{Mode, Parked, Worked};
use testkit::{Cut, NatsServer};

use crate::hands::{TestHands, Working, done, ended, run, task};
use crate::support::{ACK_WAIT, connect, eventually, jetstream, stream};

#[tokio::test]
async fn three_replicas_bring_each_image_once_and_share_them() {
    let server = NatsServer::start();
    let hands: Vec<Arc<TestHands>> = (0..3).map(|_| TestHands::quick(300, Duration::from_millis(20))).collect();
    let mut replicas = Vec::new();
    for hands in &hands {
        replicas.push(Working::start(&server, hands, 16).await);
    }
    let (report, images) = run(&server, "rule", 1).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 300));
    let counts: Vec<usize> = hands.iter().map(|hands| hands.begun()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 300, "{counts:?}");
    assert!(counts.iter().all(|count| *count >= 60), "{counts:?}");
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn what_a_replica_had_under_way_when_it_died_is_done_by_another_in_time() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let owner = Working::start(&server, &TestHands::quick(8, Duration::ZERO), 0).await;
    let dying = TestHands::stuck(8);
    let replica = Working::start(&server, &dying, 8).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("all are begun", async || dying.begun() == 8).await;
    let hands = TestHands::quick(8, Duration::ZERO);
    let other = Working::start(&server, &hands, 8).await;
    // It is seen that jobs which are under way stay with who does them.
    tokio::time::sleep(ACK_WAIT * 2).await;
    assert_eq!(hands.begun(), 0);
    replica.kill().await;
    let killed = Instant::now();
    eventually("all are done", async || hands.done() == 8).await;
    assert!(killed.elapsed() < ACK_WAIT + Duration::from_secs(2), "{:?}", killed.elapsed());
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 8));
    other.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn who_has_an_image_after_another_does_not_believe_what_the_listing_told() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let owner = Working::start(&server, &TestHands::quick(1, Duration::ZERO), 0).await;
    let absent = Arc::new(Mutex::new(Vec::new()));
    let noting = |is_done: bool| {
        let noted = Arc::clone(&absent);
        TestHands::new(
            1,
            Box::new(move |task, _, _| {
                noted.lock().unwrap().push(task.targets[0].is_absent);
                async move { if is_done { Some(done(&task)) } else { std::future::pending().await } }.boxed()
            }),
        )
    };
    let dying = Working::start(&server, &noting(false), 1).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("it is begun", async || absent.lock().unwrap().len() == 1).await;
    dying.kill().await;
    let other = Working::start(&server, &noting(true), 1).await;
    ended(&cluster, "rule", sequence).await;
    assert_eq!(*absent.lock().unwrap(), [true, false]);
    other.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn a_replica_that_was_cut_off_stands_down_and_its_late_word_counts_for_nothing() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let owner = Working::start(&server, &TestHands::quick(1, Duration::ZERO), 0).await;
    let cut = Cut::before(server.host()).await;
    // One that has compared, and begins to write late.
    let late = Duration::from_secs(8);
    let answers = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&answers);
    let dying = TestHands::new(
        1,
        Box::new(move |task, fence, _| {
            let noted = Arc::clone(&noted);
            async move {
                tokio::time::sleep(late).await;
                if fence.hold().await.is_err() {
                    noted.fetch_add(1, Ordering::SeqCst);
                    return Some(Worked::Displaced);
                }
                Some(done(&task))
            }
            .boxed()
        }),
    );
    let replica = Working::at(&format!("nats://{}", cut.host()), &dying, 8).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("it is begun", async || dying.begun() == 1).await;
    cut.cut();
    let hands = TestHands::quick(1, Duration::ZERO);
    let other = Working::start(&server, &hands, 8).await;
    ended(&cluster, "rule", sequence).await;
    assert_eq!(hands.done(), 1);
    cut.mend();
    eventually("it stands down", async || answers.load(Ordering::SeqCst) == 1).await;
    assert_eq!(dying.done(), 0);
    replica.kill().await;
    other.stop().await;
    owner.stop().await;
}

/// A run with one job, which five replicas were given and did not end.
async fn a_suspect(server: &NatsServer) -> (Working, Cluster, u64) {
    let cluster = connect(server).await;
    let owner = Working::start(server, &TestHands::quick(1, Duration::ZERO), 0).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("it waits", async || cluster.backlog(Queue::Images).await.unwrap() == 1).await;
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        jetstream(server).await.get_consumer_from_stream("workers", "regferry-test-images").await.unwrap();
    for _ in 0..5 {
        let mut batch = consumer.batch().max_messages(1).expires(Duration::from_secs(5)).messages().await.unwrap();
        let message = batch.next().await.unwrap().unwrap();
        message.ack_with(async_nats::jetstream::AckKind::Nak(None)).await.unwrap();
    }
    (owner, cluster, sequence)
}

#[tokio::test]
async fn a_job_that_nobody_survives_alone_either_is_put_aside_and_its_run_says_so() {
    let server = NatsServer::start();
    let (owner, cluster, sequence) = a_suspect(&server).await;
    for turn in 1..=3 {
        let hands = TestHands::stuck(1);
        let replica = Working::start(&server, &hands, 8).await;
        eventually(&format!("begun alone for the {turn}. time"), async || hands.begun() == 1).await;
        replica.kill().await;
    }
    let hands = TestHands::quick(1, Duration::ZERO);
    let replica = Working::start(&server, &hands, 8).await;
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!(hands.begun(), 0);
    assert_eq!((report.outcome, images[0].outcome), (RunOutcome::Failure, ImageOutcome::Failed));
    assert!(images[0].error.as_ref().unwrap().contains("8 replicas died"), "{images:?}");
    assert_eq!(stream(&server, "dead").await.state.messages, 1);
    assert_eq!(cluster.backlog(Queue::Images).await.unwrap(), 0);
    replica.stop().await;
    owner.stop().await;
}

/// A dead replica's lease is its own for some moments yet after its job is another's.
#[tokio::test]
async fn who_died_of_a_job_counts_also_where_its_lease_is_held_still() {
    let server = NatsServer::start();
    let (owner, cluster, sequence) = a_suspect(&server).await;
    let key = format!("job.{}", task(&"rule".into(), Mode::Execute, 0).id());
    let span = cluster.ack_wait();
    let lease = Lease::take(&cluster.leases(), &key, "of the dead", span).await.unwrap().expect("nobody has it");
    let hands = TestHands::stuck(1);
    let replica = Working::start(&server, &hands, 8).await;
    tokio::time::sleep(span).await;
    assert_eq!(hands.begun(), 0, "another holds it");
    lease.release().await;
    eventually("it is begun", async || hands.begun() == 1).await;
    replica.kill().await;
    for _ in 2..=3 {
        let hands = TestHands::stuck(1);
        let replica = Working::start(&server, &hands, 8).await;
        eventually("it is begun alone", async || hands.begun() == 1).await;
        replica.kill().await;
    }
    let hands = TestHands::quick(1, Duration::ZERO);
    let replica = Working::start(&server, &hands, 8).await;
    let (report, _) = ended(&cluster, "rule", sequence).await;
    assert_eq!((hands.begun(), report.outcome), (0, RunOutcome::Failure));
    replica.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn a_job_that_only_lay_there_when_replicas_died_is_brought_in_its_turn() {
    let server = NatsServer::start();
    let (owner, cluster, sequence) = a_suspect(&server).await;
    let replica = Working::start(&server, &TestHands::quick(1, Duration::ZERO), 8).await;
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images[0].outcome), (RunOutcome::Success, ImageOutcome::Copied));
    assert_eq!(stream(&server, "dead").await.state.messages, 0);
    replica.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn a_job_that_waits_for_pulls_comes_again_when_it_is_worth_a_try() {
    let server = NatsServer::start();
    let tries = Arc::new(AtomicUsize::new(0));
    let hands = TestHands::new(
        1,
        Box::new(move |task, _, _| {
            let number = tries.fetch_add(1, Ordering::SeqCst);
            async move {
                if number > 0 {
                    return Some(done(&task));
                }
                let none = NoPulls { remaining: 0, limit: None, reserve: 0, window: Duration::ZERO };
                Some(Worked::Parked(Box::new(Parked { task, none, wait: Duration::from_secs(3) })))
            }
            .boxed()
        }),
    );
    let replica = Working::start(&server, &hands, 8).await;
    let begun = Instant::now();
    let (report, _) = run(&server, "rule", 1).await;
    assert_eq!((report.outcome, hands.begun()), (RunOutcome::Success, 2));
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    replica.stop().await;
}

#[tokio::test]
async fn a_job_of_a_newer_version_is_left_for_newer_replicas() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let newer = r#"{"v":2,"body":{}}"#;
    jetstream(&server).await.publish("regferry.test.image.other.1-due.x", newer.into()).await.unwrap().await.unwrap();
    let hands = TestHands::quick(3, Duration::ZERO);
    let replica = Working::start(&server, &hands, 8).await;
    let (report, _) = run(&server, "rule", 1).await;
    assert_eq!((report.outcome, hands.done()), (RunOutcome::Success, 3), "others are not held up");
    assert_eq!(cluster.backlog(Queue::Images).await.unwrap(), 1, "it is there still");
    assert_eq!(stream(&server, "dead").await.state.messages, 0);
    replica.stop().await;
    assert_eq!(cluster.backlog(Queue::Images).await.unwrap(), 1, "it is there still");
}

#[tokio::test]
async fn a_server_that_is_killed_and_restarted_loses_nothing() {
    let mut server = NatsServer::start();
    let hands = TestHands::quick(100, Duration::from_millis(100));
    let replicas = [Working::start(&server, &hands, 4).await, Working::start(&server, &hands, 4).await];
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    for done in [20, 50] {
        eventually("some are brought", async || hands.done() >= done).await;
        server.stop();
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.restart();
    }
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 100));
    // What it was told in its last moment it may have forgotten: that is looked at again, and found to be in place.
    let brought: HashSet<String> = hands.done.lock().unwrap().iter().cloned().collect();
    assert_eq!(brought.len(), 100);
    eventually("nothing is left", async || cluster.backlog(Queue::Images).await.unwrap() == 0).await;
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn jobs_that_are_lost_with_their_stream_are_handed_out_again() {
    let server = NatsServer::start();
    let owner = Working::start(&server, &TestHands::quick(10, Duration::ZERO), 0).await;
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("they wait", async || cluster.backlog(Queue::Images).await.unwrap() == 10).await;
    jetstream(&server).await.delete_stream("regferry-test-images").await.unwrap();
    let hands = TestHands::quick(10, Duration::ZERO);
    let replica = Working::start(&server, &hands, 8).await;
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 10));
    replica.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn a_replica_without_the_rule_leaves_its_images_to_one_that_has_it() {
    let server = NatsServer::start();
    let foreign = TestHands::new(4, Box::new(|_, _, _| async { None }.boxed()));
    let hands = TestHands::quick(4, Duration::ZERO);
    let replicas = [Working::start(&server, &foreign, 8).await, Working::start(&server, &hands, 8).await];
    let (report, images) = run(&server, "rule", 1).await;
    assert_eq!((report.outcome, images.len(), hands.done()), (RunOutcome::Success, 4, 4));
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn what_a_stopped_run_takes_back_is_its_own_alone() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let owner = Working::start(&server, &TestHands::quick(4, Duration::ZERO), 0).await;
    let dying = TestHands::stuck(4);
    let replica = Working::start(&server, &dying, 4).await;
    let order = |rule: &str| Order { rule: rule.into(), at: 1, mode: Some(Mode::Execute) };
    let sequence = cluster.order(&order("rule-a")).await.unwrap();
    eventually("all are begun", async || dying.begun() == 4).await;
    // Another rule's run begins and takes back what it finds of its own; then the replica dies.
    let hands = TestHands::quick(4, Duration::ZERO);
    let other = Working::start(&server, &hands, 8).await;
    let (report, _) = run(&server, "rule-b", 1).await;
    assert_eq!(report.outcome, RunOutcome::Success);
    replica.kill().await;
    let (report, images) = ended(&cluster, "rule-a", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 4));
    other.stop().await;
    owner.stop().await;
}
