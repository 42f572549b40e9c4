//! A daemon to which all happens that the dashboard shows: images come, fail and go, a registry throttles and counts
//! pulls, another tells of pushes, a rule fails and recovers again and again, and what moves is slow enough to be seen moving.

use std::sync::Arc;
use std::time::Duration;

use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Method, Receiver, client};
use tokio::task::AbortHandle;
use tokio::time::interval;

use crate::daemon::Daemon;
use crate::support::Ferry;

/// The rule whose runs fail.
pub(super) const BROKEN: &str = "broken";

/// Goes on until it is dropped.
pub(super) struct Scenario {
    daemon: Daemon,
    world: AbortHandle,
    _registries: Arc<Registries>,
}

struct Registries {
    source: DistributionServer,
    target: DistributionServer,
    /// Throttles, and counts pulls.
    hub: FakeRegistry,
    /// Is told of rules that fail, and of those that recover.
    chat: Receiver,
}

const SECRET: &str = "s3cret-of-the-registry";

impl Scenario {
    pub(super) async fn start() -> Self {
        let registries = Arc::new(Registries {
            source: DistributionServer::start(),
            target: DistributionServer::start(),
            hub: FakeRegistry::builder().pulls(5000, Duration::from_secs(3600)).start().await,
            chat: Receiver::start().await,
        });
        registries.move_on(0).await;
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let daemon = Daemon::of(Ferry::new(&arguments).config(&registries.config()).file("secret", SECRET)).await;
        let hook = format!("{}/api/v1/webhooks/distribution", daemon.url());
        let world = tokio::spawn(turn(Arc::clone(&registries), hook)).abort_handle();
        Self { daemon, world, _registries: registries }
    }

    /// Where the daemon shows its metrics.
    pub(super) fn metrics(&self) -> &str {
        self.daemon.address()
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        self.world.abort();
    }
}

async fn turn(registries: Arc<Registries>, hook: String) {
    let mut ticks = interval(Duration::from_secs(1));
    for round in 1.. {
        ticks.tick().await;
        registries.move_on(round).await;
        registries.tell_of_a_push(&hook).await;
    }
}

impl Registries {
    fn config(&self) -> String {
        let (source, target, hub) = (self.source.host(), self.target.host(), self.hub.host());
        let chat = self.chat.url("/chat");
        format!(
            r#"
defaults.schedule = "1s"

[webhooks.distribution]
secret_file = "secret"

[[notifications]]
name = "chat"
url = "{chat}"

[registries."{source}"]
# About a second and a half for each image.
bandwidth = "700KiB/s"

[[rules]]
name = "app"
source = "{source}/app"
target = "{target}/app"

[[rules]]
name = "hub"
source = "{hub}/library/alpine"
target = "{target}/hub/*"

[[rules]]
name = "cleaned"
source = "{source}/cleaned"
target = "{target}/cleaned"
prune = {{ max_delete = 100 }}

[[rules]]
name = "{BROKEN}"
source = "{source}/app"
target = "{target}/broken"
tags.include = ["no-such-tag"]
"#
        )
    }

    /// What happens in a second.
    async fn move_on(&self, round: u64) {
        let image = |kind: u64, size| Image::oci("linux/amd64").layer(1000 * kind + round, size).build();
        let tag = format!("v{round}");
        client::push(self.source.host(), "app", &tag, &image(1, 1 << 20)).await;
        self.hub.seed("library/alpine", &tag, &image(2, 10_000));
        if round.is_multiple_of(3) {
            self.hub.fault(Fault::on(Method::GET, Endpoint::Blob).times(1), throttled());
            self.hub.fault(Fault::on(Method::GET, Endpoint::Tags).times(1), Effect::status(403));
        }
        if round == 0 {
            client::push(self.source.host(), "cleaned", "kept", &image(3, 10_000)).await;
        } else {
            client::push(self.target.host(), "cleaned", &tag, &image(3, 10_000)).await;
        }
    }

    /// As a registry would that has another name for itself than the rules have for it.
    async fn tell_of_a_push(&self, hook: &str) {
        let body = r#"{"events": [{"action": "push", "target": {"repository": "app", "tag": "latest"}}]}"#;
        let http = reqwest::Client::builder().no_proxy().build().expect("plain HTTP needs nothing more");
        let request = http.post(hook).bearer_auth(SECRET).body(body);
        request.send().await.expect("the daemon answers");
    }
}

fn throttled() -> Effect {
    Effect::status_with(429, &[("retry-after", "1")])
}
