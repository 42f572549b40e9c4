//! Work is shared, and done once.

use crate::fleet::{Fleet, answered, replica};
use crate::registry_log::requests;

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_copy_each_image_once_and_none_of_them_less_than_a_fifth() {
    const IMAGES: usize = 300;
    let fleet = Fleet::with_images(IMAGES, 50_000).await;
    let config = fleet.config(fleet.nats.host(), "schedule = '1h'", "");
    let (a, b, c) = tokio::join!(replica(&config), replica(&config), replica(&config));
    let replicas = [a, b, c];
    fleet.until_mirrored(&replicas).await;

    let (read, written) = (requests(&fleet.source), requests(&fleet.target));
    for number in 0..IMAGES {
        assert_eq!(fleet.read(number, &read).len(), 1, "t{number} was read once");
        assert_eq!(fleet.written(number, &written).len(), 1, "t{number} was written once");
    }
    let mut shares = Vec::new();
    for replica in &replicas {
        shares.push(answered(replica, fleet.target.host(), "PUT", 201).await);
    }
    let all: f64 = shares.iter().sum();
    assert!(shares.iter().all(|share| *share >= all / 5.0), "{shares:?}");
    fleet.is_whole().await;
}
