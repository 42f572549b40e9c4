//! What one replica finds out of blobs the others know.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::queue::Knowing;
use regferry::registry::{DockerConfigFiles, Registries};
use regferry::transfer::{Engine, Import, Limits};
use testkit::{Endpoint, FakeRegistry, Image, Method, NatsServer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{connect, eventually};

struct Replica {
    engine: Arc<Engine>,
    knowing: JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.knowing.abort();
    }
}

impl Replica {
    async fn start(server: &NatsServer) -> Self {
        let registries = Registries::new(HashMap::new(), DockerConfigFiles::default(), Arc::new(()));
        let engine = Arc::new(Engine::new(registries, Limits::default(), Arc::new(())));
        let knowing = Knowing::new(&connect(server).await, engine.hearsay());
        let knowing = tokio::spawn(async move { knowing.keep(&CancellationToken::new()).await });
        Self { engine, knowing }
    }

    fn knows(&self, host: &str, digest: &str) -> bool {
        self.engine.hearsay().repository(&host.parse().unwrap(), &digest.parse().unwrap()).is_some()
    }

    /// Copies an image; how many of its blobs were mounted.
    async fn copy(&self, from: &str, to: &str) -> u64 {
        let import = Import { force: true, ..Import::new(from.parse().unwrap(), vec![to.parse().unwrap()]) };
        let imported = self.engine.import(&import, &CancellationToken::new()).await;
        imported.unwrap().images.remove(0).blobs.mounted
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_has_copied_another_mounts_also_one_that_comes_later() {
    let server = NatsServer::start();
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 10_000).build();
    ["a", "b", "c"].iter().for_each(|repository| drop(source.seed(repository, "v1", &image)));
    let place = |host: &str, repository: &str| format!("{host}/{repository}:v1");
    let (one, other) = (Replica::start(&server).await, Replica::start(&server).await);
    one.copy(&place(source.host(), "a"), &place(target.host(), "a")).await;

    for (replica, repository) in [(other, "b"), (Replica::start(&server).await, "c")] {
        // It is told in the background.
        eventually("all blobs are told of", async || {
            image.blobs().all(|blob| replica.knows(target.host(), &blob.digest()))
        })
        .await;
        let (from, to) = (place(source.host(), repository), place(target.host(), repository));
        assert_eq!(replica.copy(&from, &to).await, 2);
    }
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), 2, "only the first has read them");
    drop(one);
}
