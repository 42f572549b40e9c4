//! Replicas and NATS die, and nothing is lost.

use std::time::Duration;

use jiff::Timestamp;

use crate::fleet::{ACK_WAIT, Fleet, MAX_IMAGES, replica, until_it_copies};
use crate::registry_log::requests;

const LAYER: usize = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_had_begun_is_begun_by_another_within_ack_wait_and_two_seconds() {
    const IMAGES: usize = 3;
    let fleet = Fleet::with_images(IMAGES, LAYER).await.read_slowly(256 << 10).await;
    let config = fleet.config(fleet.nats.host(), "schedule = '1h'", "");
    let dying = replica(&config).await;
    until_it_copies(&dying).await;
    let other = replica(&config).await;
    let death = Timestamp::now();
    dying.signal("KILL");
    dying.ended().await;
    fleet.until_mirrored(&[other]).await;

    let read = requests(&fleet.source);
    for number in 0..IMAGES {
        let last = fleet.read(number, &read).pop().expect("it was read");
        assert!(last.at <= death + ACK_WAIT + Duration::from_secs(2), "t{number}: {death}, and then {}", last.at);
    }
    fleet.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_and_nats_are_killed_and_nothing_is_lost_and_only_what_was_begun_is_done_again() {
    const IMAGES: usize = 80;
    const KILLS: usize = 10;
    // What was begun is others' by then.
    const APART: Duration = Duration::from_millis(2500);
    let mut fleet = Fleet::with_images(IMAGES, LAYER).await;
    let config = fleet.config(fleet.nats.host(), "schedule = '1h'", "bandwidth = '5MiB/s'");
    let (a, b, c) = tokio::join!(replica(&config), replica(&config), replica(&config));
    let mut replicas = vec![a, b, c];
    for kill in 0..KILLS {
        tokio::time::sleep(APART).await;
        let victim = replicas.remove(0);
        until_it_copies(&victim).await;
        victim.signal("KILL");
        victim.ended().await;
        if kill == KILLS / 2 {
            fleet.nats.stop();
            tokio::time::sleep(Duration::from_millis(500)).await;
            fleet.nats.restart();
        }
        replicas.push(replica(&config).await);
    }
    fleet.until_mirrored(&replicas).await;

    let read = requests(&fleet.source);
    let again: usize = (0..IMAGES).map(|number| fleet.read(number, &read).len() - 1).sum();
    // What NATS did not hear of when it died may be all that three replicas had begun.
    assert!(again <= (KILLS + 3) * MAX_IMAGES, "{again} layers were read again");
    fleet.is_whole().await;
}
