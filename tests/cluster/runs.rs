//! Ticks and runs: once over all replicas, whoever dies.

use std::time::{Duration, Instant};

use regferry::events::{ImageOutcome, Queue, RunOutcome};
use regferry::queue::Order;
use regferry::transfer::Mode;
use testkit::NatsServer;

use crate::hands::{TestHands, Working, ended, run};
use crate::support::{ACK_WAIT, connect, eventually, stream};

#[tokio::test]
async fn a_tick_that_three_schedulers_tell_of_is_one_run() {
    let server = NatsServer::start();
    let schedulers = [connect(&server).await, connect(&server).await, connect(&server).await];
    for at in 1..=20u64 {
        let [one, two, three] = &schedulers;
        let told = tokio::join!(one.tick("rule", at), two.tick("rule", at), three.tick("rule", at));
        assert!(told.0.is_ok() && told.1.is_ok() && told.2.is_ok());
    }
    assert_eq!(stream(&server, "runs").await.state.last_sequence, 20, "each became one message");
    assert_eq!(schedulers[0].last_tick("rule").await.unwrap(), Some(20));
    schedulers[1].tick("rule", 7).await.unwrap();
    assert_eq!(schedulers[0].last_tick("rule").await.unwrap(), Some(20), "a late one changes nothing");
}

#[tokio::test]
async fn ticks_that_come_while_one_waits_are_one_run_and_an_order_of_somebody_is_its_own() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    for at in 1..=5 {
        cluster.tick("rule", at).await.unwrap();
    }
    let order = Order { rule: "rule".into(), at: 3, mode: Some(Mode::Execute) };
    let sequence = cluster.order(&order).await.unwrap();
    assert_eq!(cluster.backlog(Queue::Runs).await.unwrap(), 2);
    let hands = TestHands::quick(1, Duration::ZERO);
    let replica = Working::start(&server, &hands, 8).await;
    ended(&cluster, "rule", sequence).await;
    eventually("both ran", async || cluster.backlog(Queue::Runs).await.unwrap() == 0).await;
    assert_eq!(hands.ran.lock().unwrap().len(), 2);
    replica.stop().await;
}

#[tokio::test]
async fn one_run_of_a_rule_is_in_flight_over_all_replicas() {
    let server = NatsServer::start();
    let hands = TestHands::quick(4, Duration::from_millis(300));
    let replicas = [Working::start(&server, &hands, 8).await, Working::start(&server, &hands, 8).await];
    let cluster = connect(&server).await;
    let order = |at| Order { rule: "rule".into(), at, mode: (at > 1).then_some(Mode::Execute) };
    let first = cluster.order(&order(1)).await.unwrap();
    let second = cluster.order(&order(2)).await.unwrap();
    let begun = Instant::now();
    ended(&cluster, "rule", first).await;
    ended(&cluster, "rule", second).await;
    assert!(begun.elapsed() > Duration::from_millis(600), "one after the other");
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test]
async fn an_owner_that_dies_is_followed_by_another_who_knows_what_was_brought() {
    let server = NatsServer::start();
    // It owns runs, and brings nothing itself.
    let owning = TestHands::quick(30, Duration::ZERO);
    let owner = Working::start(&server, &owning, 0).await;
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("it is begun", async || !owning.ran.lock().unwrap().is_empty()).await;
    let bringing = TestHands::quick(30, Duration::from_millis(200));
    let other = Working::start(&server, &bringing, 2).await;
    eventually("some are brought", async || bringing.done() >= 5).await;
    owner.kill().await;
    let killed = Instant::now();
    eventually("the other owns it", async || !bringing.ran.lock().unwrap().is_empty()).await;
    assert!(killed.elapsed() < ACK_WAIT + Duration::from_secs(2), "{:?}", killed.elapsed());
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 30));
    assert!(bringing.begun() <= 30 + 2, "twice at most what was under way: {}", bringing.begun());
    eventually("nothing is left", async || cluster.backlog(Queue::Images).await.unwrap() == 0).await;
    other.stop().await;
}

#[tokio::test]
async fn a_run_that_kills_everybody_who_begins_it_is_put_aside() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: None }).await.unwrap();
    for times in 1..=5 {
        let hands = TestHands::stuck(1);
        let replica = Working::start(&server, &hands, 0).await;
        eventually(&format!("begun for the {times}. time"), async || !hands.ran.lock().unwrap().is_empty()).await;
        replica.kill().await;
    }
    let hands = TestHands::quick(1, Duration::ZERO);
    // Nobody brings an image of it meanwhile.
    let replica = Working::start(&server, &hands, 0).await;
    let (report, _) = ended(&cluster, "rule", sequence).await;
    assert_eq!(report.outcome, RunOutcome::Failure);
    assert!(report.error.unwrap().contains("5 replicas died"));
    assert!(hands.ran.lock().unwrap().is_empty());
    assert_eq!(stream(&server, "dead").await.state.messages, 1);
    replica.stop().await;
    let replica = Working::start(&server, &hands, 1).await;
    let (report, _) = run(&server, "rule", 2).await;
    assert_eq!(report.outcome, RunOutcome::Success, "the next run is begun as ever");
    replica.stop().await;
}

#[tokio::test]
async fn a_run_that_is_given_back_by_replicas_that_stop_is_not_put_aside_however_many_do() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: None }).await.unwrap();
    for times in 1..=7 {
        let hands = TestHands::stuck(1);
        let replica = Working::start(&server, &hands, 0).await;
        eventually(&format!("begun for the {times}. time"), async || !hands.ran.lock().unwrap().is_empty()).await;
        replica.stop().await;
    }
    let replica = Working::start(&server, &TestHands::quick(1, Duration::ZERO), 1).await;
    let (report, _) = ended(&cluster, "rule", sequence).await;
    assert_eq!(report.outcome, RunOutcome::Success);
    replica.stop().await;
}

#[tokio::test]
async fn runs_go_on_over_a_nats_that_has_lost_all_it_had_and_who_waits_is_told() {
    let mut server = NatsServer::start();
    let cluster = connect(&server).await;
    let mut losses = cluster.losses();
    let stuck = TestHands::stuck(2);
    let replica = Working::start(&server, &stuck, 2).await;
    let order = Order { rule: "rule".into(), at: 1, mode: None };
    cluster.order(&order).await.unwrap();
    eventually("it is begun", async || stuck.begun() == 2).await;
    server.restart();
    eventually("NATS is back", async || cluster.backlog(Queue::Images).await.is_ok()).await;
    assert!(!losses.has_changed().unwrap(), "nothing is lost by a restart");
    server.restart_empty();
    tokio::time::timeout(Duration::from_secs(30), losses.changed()).await.expect("it is found out").unwrap();
    replica.kill().await;
    let replica = Working::start(&server, &TestHands::quick(2, Duration::ZERO), 2).await;
    let sequence = cluster.order(&order).await.unwrap();
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 2));
    replica.stop().await;
}

#[tokio::test]
async fn results_of_a_rules_runs_are_kept_until_the_next_one_has_ended_and_no_longer() {
    let server = NatsServer::start();
    let replica = Working::start(&server, &TestHands::quick(5, Duration::ZERO), 5).await;
    let mut left = Vec::new();
    for at in 1..=3 {
        let (_, images) = run(&server, "rule", at).await;
        assert_eq!(images.len(), 5);
        let (_, images) = run(&server, "rule-2", at).await;
        assert_eq!(images.len(), 5);
        left.push(stream(&server, "results").await.state.first_sequence);
    }
    eventually("the first are gone", async || stream(&server, "results").await.state.first_sequence > left[1]).await;
    replica.stop().await;
}

#[tokio::test]
async fn a_run_that_comes_further_with_every_owner_is_not_put_aside_however_many_die() {
    const OWNERS: u64 = 7;
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    for owner in 1..=OWNERS {
        let hands = TestHands::only_one_of(8);
        let replica = Working::start(&server, &hands, 8).await;
        eventually(&format!("the {owner}. owner has told of an image"), async || {
            stream(&server, "results").await.state.messages == owner
        })
        .await;
        replica.kill().await;
    }
    let replica = Working::start(&server, &TestHands::quick(8, Duration::ZERO), 8).await;
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 8));
    replica.stop().await;
}

#[tokio::test]
async fn a_replica_that_is_told_to_stop_hands_its_run_and_its_images_over_at_once() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let stuck = TestHands::stuck(6);
    let first = Working::start(&server, &stuck, 8).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: Some(Mode::Execute) }).await.unwrap();
    eventually("all are begun", async || stuck.begun() == 6).await;
    let hands = TestHands::quick(6, Duration::ZERO);
    let second = Working::start(&server, &hands, 8).await;
    let stopped = Instant::now();
    first.stop().await;
    let (report, images) = ended(&cluster, "rule", sequence).await;
    assert!(stopped.elapsed() < ACK_WAIT, "{:?}", stopped.elapsed());
    assert_eq!(report.outcome, RunOutcome::Success);
    assert!(images.len() == 6 && images.iter().all(|image| image.outcome == ImageOutcome::Copied));
    second.stop().await;
}

#[tokio::test]
async fn the_run_of_a_rule_that_looked_below_is_noted_so_that_the_next_need_not() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let hands = TestHands::quick(1, Duration::ZERO);
    let replica = Working::start(&server, &hands, 1).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 7, mode: None }).await.unwrap();
    ended(&cluster, "rule", sequence).await;
    let noted = cluster.ticks().watch().next().await;
    assert!(noted.is_some());
    replica.stop().await;
}

#[tokio::test]
async fn what_became_of_a_ticks_images_is_not_kept_when_its_run_has_ended_and_of_an_order_it_is() {
    let server = NatsServer::start();
    let cluster = connect(&server).await;
    let replica = Working::start(&server, &TestHands::quick(100, Duration::ZERO), 8).await;
    let sequence = cluster.order(&Order { rule: "rule".into(), at: 1, mode: None }).await.unwrap();
    ended(&cluster, "rule", sequence).await;
    eventually("nothing is kept", async || stream(&server, "results").await.state.messages == 0).await;
    let (report, images) = run(&server, "rule", 2).await;
    assert_eq!((report.outcome, images.len()), (RunOutcome::Success, 100));
    assert!(stream(&server, "results").await.state.messages > 0);
    replica.stop().await;
}
