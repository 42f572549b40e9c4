//! Buckets, which everything that is agreed on goes through.

use bytes::Bytes;
use regferry::queue::{Change, Cluster, Login, Settings};
use testkit::{NatsCluster, NatsServer};

use crate::support::{ACK_WAIT, connect, eventually, settings};

#[tokio::test]
async fn a_key_is_created_once_and_changed_by_who_knows_its_revision() {
    let server = NatsServer::start();
    let (one, two) = (connect(&server).await.ticks(), connect(&server).await.ticks());

    let first = one.create("key", Bytes::from_static(b"one")).await.unwrap().unwrap();
    assert_eq!(two.create("key", Bytes::from_static(b"two")).await.unwrap(), None);
    let second = two.update("key", Bytes::from_static(b"two"), first).await.unwrap().unwrap();
    assert_eq!(one.update("key", Bytes::from_static(b"one"), first).await.unwrap(), None, "it was changed since");
    assert_eq!(one.get("key").await.unwrap().unwrap().value, "two");
    assert_eq!(one.delete("key", first).await.unwrap(), None, "it was changed since");
    assert!(one.delete("key", second).await.unwrap() > Some(second));
    assert_eq!(two.get("key").await.unwrap(), None);
    assert!(two.create("key", Bytes::from_static(b"again")).await.unwrap().is_some(), "a deleted key is free");
}

#[tokio::test]
async fn a_lease_that_nobody_renews_is_free_again() {
    let server = NatsServer::start();
    let leases = connect(&server).await.leases();
    let first = leases.create("key", Bytes::from_static(b"mine")).await.unwrap().unwrap();
    tokio::time::sleep(ACK_WAIT / 2).await;
    let renewed = leases.update("key", Bytes::from_static(b"mine"), first).await.unwrap().unwrap();
    tokio::time::sleep(ACK_WAIT / 2).await;
    assert_eq!(leases.create("key", Bytes::from_static(b"other")).await.unwrap(), None, "it was renewed");
    eventually("the lease expires", async || leases.get("key").await.unwrap().is_none()).await;
    assert_eq!(
        leases.update("key", Bytes::from_static(b"mine"), renewed).await.unwrap(),
        None,
        "it is not mine any more"
    );
    assert!(leases.create("key", Bytes::from_static(b"other")).await.unwrap().is_some());
}

#[tokio::test]
async fn who_watches_is_told_of_all_that_is_there_and_of_every_change_also_after_a_restart() {
    let mut server = NatsServer::start();
    let cluster = connect(&server).await;
    let bucket = cluster.ticks();
    let first = bucket.create("a.b", Bytes::from_static(b"1")).await.unwrap().unwrap();
    let mut watch = bucket.watch();
    let change =
        |value: Option<&'static str>, revision| Change { key: "a.b".into(), value: value.map(Bytes::from), revision };
    assert_eq!(watch.next().await, Some(change(Some("1"), first)));
    let second = bucket.update("a.b", Bytes::from_static(b"2"), first).await.unwrap().unwrap();
    assert_eq!(watch.next().await, Some(change(Some("2"), second)));

    server.restart();
    eventually("the server is back", async || bucket.get("a.b").await.is_ok()).await;
    assert_eq!(bucket.get("a.b").await.unwrap().unwrap().revision, second, "it is kept in files");
    let third = bucket.update("a.b", Bytes::from_static(b"3"), second).await.unwrap().unwrap();
    assert!(bucket.delete("a.b", third).await.unwrap().is_some());
    loop {
        let told = watch.next().await.unwrap();
        if told.value.is_none() {
            break assert_eq!(told, change(None, third + 1));
        }
    }
}

#[tokio::test]
async fn three_servers_keep_a_bucket_when_one_of_them_is_killed() {
    let mut servers = NatsCluster::start();
    let urls = servers.urls().iter().map(|url| url.parse().unwrap()).collect();
    let cluster = Cluster::connect(Settings { servers: urls, ..settings("nats://unused") }).await.unwrap();
    let bucket = cluster.ticks();
    let first = bucket.create("key", Bytes::from_static(b"1")).await.unwrap().unwrap();
    servers.server(0).stop();
    eventually("two of three go on", async || bucket.update("key", Bytes::from_static(b"2"), first).await.is_ok())
        .await;
    eventually("it is there", async || {
        bucket.get("key").await.is_ok_and(|entry| entry.is_some_and(|entry| entry.value == "2"))
    })
    .await;
}

#[tokio::test]
async fn streams_are_on_three_servers_as_soon_as_those_are_there_or_on_as_many_as_is_said() {
    let servers = NatsCluster::start();
    let urls: Vec<_> = servers.urls().iter().map(|url| url.parse().unwrap()).collect();
    let client = async_nats::connect(servers.urls()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    // The first found one server alone; then nobody says how many, and then somebody does.
    for (said, kept) in [(Some(1), 1), (None, 3), (Some(1), 1)] {
        let said = Settings { servers: urls.clone(), stream_replicas: said, ..settings("nats://unused") };
        drop(Cluster::connect(said).await.unwrap());
        for stream in ["regferry-test-runs", "KV_regferry-test-leases"] {
            eventually(&format!("{stream} is on {kept}"), async || {
                jetstream.get_stream(stream).await.is_ok_and(|stream| stream.cached_info().config.num_replicas == kept)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn settings_that_change_are_brought_to_the_streams_that_are_there() {
    let server = NatsServer::start();
    drop(connect(&server).await);
    let longer = Settings { ack_wait: ACK_WAIT * 10, login: Login::Anonymous, ..settings(&server.url()) };
    let leases = Cluster::connect(longer).await.unwrap().leases();
    leases.create("key", Bytes::from_static(b"mine")).await.unwrap();
    tokio::time::sleep(ACK_WAIT * 2).await;
    assert!(leases.get("key").await.unwrap().is_some(), "it is kept for longer");
}
