//! A registry's limits hold for all replicas together.

use std::time::Duration;

use jiff::Timestamp;

use crate::fleet::{Fleet, replica};
use crate::registry_log::{Asked, requests};

const LIMIT: &str = "requests_per_second = 50\nburst = 5";
const WARM_UP: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_three_replicas_keep_one_limit_and_one_that_is_left_has_it_all() {
    let fleet = Fleet::with_images(250, 1_000).await;
    // Every second all images are asked for again, by three rules: more than the limit lets through.
    let rule = "schedule = '1s'\nrecheck = '0s'";
    let others = ["other", "third"].map(|name| fleet.rule(name, rule));
    let config = fleet.config(fleet.nats.host(), rule, LIMIT) + &others.concat();
    let pushed = requests(&fleet.source).len();
    let (a, b, c) = tokio::join!(replica(&config), replica(&config), replica(&config));
    let began = Timestamp::now();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let killed = Timestamp::now();
    for replica in [a, b] {
        replica.signal("KILL");
        replica.ended().await;
    }
    tokio::time::sleep(Duration::from_secs(16)).await;
    let ended = Timestamp::now();
    drop(c);

    let all = requests(&fleet.source).split_off(pushed);
    let most = busiest_second(&all);
    assert!(most <= 55, "{most} requests in a second");
    // The replicas find each other, and share, in the first seconds.
    let with_three = rate(&all, began + WARM_UP, killed);
    assert!(with_three >= 45.0, "{with_three} a second with three");
    let alone = rate(&all, killed + Duration::from_secs(10), ended);
    assert!(alone >= 45.0, "{alone} a second, ten seconds after two were killed");
}

/// The most requests that came within any second.
fn busiest_second(all: &[Asked]) -> usize {
    let within =
        |from: usize| all[from..].iter().take_while(|asked| asked.at < all[from].at + Duration::from_secs(1)).count();
    (0..all.len()).map(within).max().unwrap_or_default()
}

fn rate(all: &[Asked], from: Timestamp, to: Timestamp) -> f64 {
    let count = all.iter().filter(|asked| asked.at >= from && asked.at < to).count();
    count as f64 / to.duration_since(from).as_secs_f64()
}
