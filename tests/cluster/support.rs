//! A cluster for a test.

use std::time::Duration;

use regferry::queue::{Cluster, Settings};
use testkit::NatsServer;

/// How long the tests' replicas may be silent.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(2);

pub(crate) fn settings(url: &str) -> Settings {
    Settings::of(url.parse().unwrap(), "test", ACK_WAIT)
}

/// One process's view of the cluster.
pub(crate) async fn connect(server: &NatsServer) -> Cluster {
    Cluster::connect(settings(&server.url())).await.unwrap()
}

/// Waits until something holds, and fails when it does not within some seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in 20 s: {what}");
}

/// JetStream as others see it.
pub(crate) async fn jetstream(server: &NatsServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// How a stream is.
pub(crate) async fn stream(server: &NatsServer, what: &str) -> async_nats::jetstream::stream::Info {
    let stream = jetstream(server).await.get_stream(format!("regferry-test-{what}")).await.unwrap();
    stream.cached_info().clone()
}
