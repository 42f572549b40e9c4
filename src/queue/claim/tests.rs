use std::time::Duration;

use testkit::NatsServer;

use super::*;
use crate::queue::Cluster;
use crate::queue::link::ANSWER;
use crate::queue::order::Order;
use crate::queue::pull::Puller;
use crate::queue::settings::Settings;
use crate::queue::streams::RUNS;

const ACK_WAIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_stream_whose_messages_two_servers_count_differently_is_made_anew_and_ticks_are_ordered_again() {
    for (sequence, there) in [("2", "another message"), ("3", "none")] {
        let (_server, cluster, claim) = given().await;
        cluster.tick("other", 7).await.unwrap();
        assert_eq!(claim.is_there().await, Ok(true));
        let mut losses = cluster.losses();
        assert_eq!(told_by_another(&cluster, &claim, sequence).is_there().await, Ok(false), "{there}");
        tokio::time::timeout(ANSWER, losses.changed()).await.expect("rules run anew").unwrap();
        assert_eq!(cluster.link.last_of(RUNS).await, Ok(0), "{there}");
        assert_eq!(cluster.last_tick("other").await.unwrap(), None, "{there}");

        order(&cluster).await;
        assert_eq!(claim.is_there().await, Ok(true), "one like it");
        cluster.tick("other", 7).await.unwrap();
        assert_eq!(told_by_another(&cluster, &claim, sequence).is_there().await, Ok(false), "{there}");
        assert_eq!(cluster.link.last_of(RUNS).await, Ok(2), "what was given out before is no word on the new one");
    }
}

#[tokio::test]
async fn a_message_of_the_past_is_not_there_and_that_is_all() {
    let (_server, cluster, claim) = given().await;
    order(&cluster).await;
    assert_eq!(claim.is_there().await, Ok(false), "a later one has taken its place");
    assert_eq!(told_by_another(&cluster, &claim, "2").is_there().await, Ok(true), "one like it");
    assert_eq!(cluster.link.last_of(RUNS).await, Ok(2));
}

/// An order that a replica was given.
async fn given() -> (NatsServer, Cluster, Claim) {
    let server = NatsServer::start();
    let cluster = Cluster::connect(Settings::of(server.url().parse().unwrap(), "test", ACK_WAIT)).await.unwrap();
    order(&cluster).await;
    let message = Puller::new(&cluster.link, RUNS).await.unwrap().next(1).await;
    let claim = Claim::new(&cluster.link, RUNS, message, ACK_WAIT);
    (server, cluster, claim)
}

/// Always the same, but for the header that would have the server know it.
async fn order(cluster: &Cluster) {
    let order = Order { rule: "rule".to_owned(), at: 1, mode: None };
    let (subject, payload) = (cluster.link.names.subject(&order.subject()), serde_json::to_vec(&order).unwrap());
    cluster.link.publish(subject, HeaderMap::new(), payload.into()).await.unwrap();
}

/// The message as a server gives it out that counts differently.
fn told_by_another(cluster: &Cluster, claim: &Claim, sequence: &str) -> Claim {
    let mut message = claim.message.clone();
    let reply = message.reply.clone().unwrap();
    let mut place: Vec<&str> = reply.split('.').collect();
    place[5] = sequence;
    message.message.reply = Some(place.join(".").into());
    Claim::new(&cluster.link, RUNS, message, ACK_WAIT)
}
