//! What is said at the start where NATS is not as it has to be.

use std::time::Duration;

use regferry::queue::{Cluster, Login, Order, Settings};
use regferry::registry::Password;
use testkit::NatsServer;

use crate::support::settings;

async fn refusal(settings: Settings) -> String {
    Cluster::connect(settings).await.unwrap_err().to_string()
}

fn user(username: &str, password: &str) -> Login {
    Login::User { username: username.into(), password: Password::Literal(password.into()) }
}

#[tokio::test]
async fn wrong_credentials_are_told_as_such() {
    let server = NatsServer::builder().lines("authorization { user: bot, password: secret }").start();
    let text = refusal(Settings { login: user("bot", "guessed"), ..settings(&server.url()) }).await;
    assert!(text.starts_with(&format!("connecting at NATS {}: the login is refused", server.url())), "{text}");
    assert!(!text.contains("guessed"), "{text}");
    let text = refusal(settings(&server.url())).await;
    assert!(text.contains("the login is refused"), "{text}");
    Cluster::connect(Settings { login: user("bot", "secret"), ..settings(&server.url()) }).await.unwrap();
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_as_such() {
    let server = NatsServer::builder().lines("accounts { A { users: [{ user: bot, password: secret }] } }").start();
    let text = refusal(Settings { login: user("bot", "secret"), ..settings(&server.url()) }).await;
    assert!(text.contains("JetStream: enable it") || text.contains("has no JetStream"), "{text}");
}

#[tokio::test]
async fn what_the_user_may_not_do_is_named() {
    let server = NatsServer::builder()
        .lines(
            "authorization { users: [{ user: bot, password: secret, permissions: \
             { publish: \"regferry.>\", subscribe: \">\" } }] }",
        )
        .start();
    let text = refusal(Settings { login: user("bot", "secret"), ..settings(&server.url()) }).await;
    assert!(text.contains("making the stream regferry-test-runs at NATS"), "{text}");
    assert!(text.contains("Permissions Violation") && text.contains("allow the user"), "{text}");
}

#[tokio::test]
async fn what_the_user_may_not_publish_is_named_when_it_is_published() {
    let server = NatsServer::builder()
        .lines(
            "authorization { users: [{ user: bot, password: secret, permissions: \
             { publish: [\"$JS.>\", \"$KV.>\"], subscribe: \">\" } }] }",
        )
        .start();
    let bot = Settings { login: user("bot", "secret"), ..settings(&server.url()) };
    let cluster = Cluster::connect(bot).await.unwrap();
    let order = Order { rule: "rule".into(), at: 1, mode: None };
    let text = cluster.order(&order).await.unwrap_err().to_string();
    assert!(text.starts_with("ordering a run of rule at NATS") && text.contains("regferry.test.run."), "{text}");
    assert!(text.contains("allow the user"), "{text}");
}

#[tokio::test]
async fn more_copies_than_there_are_servers_are_told_with_what_says_so() {
    let server = NatsServer::start();
    let text = refusal(Settings { stream_replicas: Some(3), ..settings(&server.url()) }).await;
    assert!(text.contains("`stream_replicas` in [cluster] says 3"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_and_then_told() {
    let text = tokio::time::timeout(Duration::from_secs(30), refusal(settings("nats://127.0.0.1:1"))).await.unwrap();
    assert!(text.starts_with("connecting at NATS nats://127.0.0.1:1: "), "{text}");
    assert!(text.contains("check that it runs"), "{text}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told_as_such() {
    let server = NatsServer::start();
    server.pause();
    let text = refusal(settings(&server.url())).await;
    server.resume();
    assert!(text.contains("check that it runs"), "{text}");
}

#[tokio::test]
async fn a_stream_of_somebody_else_is_not_taken_over() {
    let server = NatsServer::start();
    let client = async_nats::connect(server.url()).await.unwrap();
    let config = async_nats::jetstream::stream::Config { name: "regferry-test-runs".into(), ..Default::default() };
    async_nats::jetstream::new(client).create_stream(config).await.unwrap();
    let text = refusal(settings(&server.url())).await;
    assert!(text.contains("no longer ours") && text.contains("regferry-test-runs"), "{text}");
}
