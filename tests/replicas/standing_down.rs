//! Who lost its leases without knowing writes nothing any more.

use testkit::Cut;

use crate::daemon::Daemon;
use crate::fleet::{ACK_WAIT, Fleet, replica, until_it_copies};
use crate::support::until;

/// So slow that what is begun takes longer than a lease.
const SLOW: &str = "bandwidth = '2MiB/s'";
const LAYER: usize = 4 << 20;
const IMAGES: usize = 6;

/// The first image's tag moves at the source, and the replica that is left brings all images. Then the other one comes
/// back, and must not move the tag back.
async fn goes_on_without(fleet: &mut Fleet, left: &[Daemon], come_back: impl FnOnce()) {
    for number in 0..IMAGES {
        fleet.move_tag(number, LAYER / 8).await;
    }
    fleet.until_mirrored(left).await;
    come_back();
    tokio::time::sleep(ACK_WAIT * 2).await;
    assert_eq!(fleet.missing().await, None, "a tag was moved back");
    fleet.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_stopped_for_longer_than_its_leases_moves_no_tag_back() {
    let mut fleet = Fleet::with_images(IMAGES, LAYER).await;
    let config = fleet.config(fleet.nats.host(), "schedule = '3s'", SLOW);
    let stopped = replica(&config).await;
    until_it_copies(&stopped).await;
    stopped.signal("STOP");
    let other = [replica(&config).await];
    goes_on_without(&mut fleet, &other, || stopped.signal("CONT")).await;
    assert_eq!(stopped.get("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_cut_off_from_nats_and_not_from_the_registries_moves_no_tag_back() {
    let mut fleet = Fleet::with_images(IMAGES, LAYER).await;
    let way = Cut::before(fleet.nats.host()).await;
    let cut_off = replica(&fleet.config(way.host(), "schedule = '3s'", SLOW)).await;
    until_it_copies(&cut_off).await;
    way.cut();
    let other = [replica(&fleet.config(fleet.nats.host(), "schedule = '3s'", SLOW)).await];
    goes_on_without(&mut fleet, &other, || way.mend()).await;
    until("it reaches NATS again", async || (cut_off.get("/readyz").await.0 == 200).then_some(())).await;
}
