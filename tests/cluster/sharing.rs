//! A registry's limits over three replicas, as the registry sees them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use regferry::content::{Location, Pull as _};
use regferry::oci::Reference;
use regferry::queue::Sharing;
use regferry::registry::{Access, Allotments, DockerConfigFiles, Rate, Registries, Remote, Settings};
use testkit::{Endpoint, FakeRegistry, Image, Method, NatsServer};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{connect, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// A replica that asks a registry as much as it may.
struct Replica {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Replica {
    async fn start(server: &NatsServer, registry: &FakeRegistry, settings: Settings) -> Self {
        let cluster = Arc::new(connect(server).await);
        let (allotments, stop) = (Arc::new(Allotments::default()), CancellationToken::new());
        let host = registry.host().parse().unwrap();
        let settings = HashMap::from([(host, settings)]);
        let registries = Registries::new(settings, DockerConfigFiles::default(), Arc::new(()));
        let registries = registries.with_allotments(Arc::clone(&allotments));
        let sharing = Sharing::new(cluster, allotments, Arc::new(()));
        let mut tasks = JoinSet::new();
        let kept = stop.clone();
        tasks.spawn(async move { sharing.keep(&kept).await });
        let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
        let remote = registries.remote(&Location::from(&reference), Access::Pull).unwrap();
        for _ in 0..8 {
            let (remote, reference) = (remote.clone(), reference.clone());
            tasks.spawn(async move {
                let at = remote.meant(&reference).await.unwrap();
                loop {
                    let _ = remote.resolve(&at).await;
                }
            });
        }
        Self { stop, tasks }
    }
}

async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 100).build());
    registry
}

fn fifty(registry: &FakeRegistry) -> Settings {
    let mut settings = Settings::for_host(&registry.host().parse().unwrap());
    settings.limits.rate = Some(Rate { per_second: 50.0, burst: NonZeroU32::new(5).unwrap() });
    settings
}

/// How long this process was kept from running: what it sent then came late, and what it could have sent is lost.
#[derive(Default)]
struct Stalls(Mutex<(Duration, Duration)>);

impl Stalls {
    fn watch() -> Arc<Self> {
        const TICK: Duration = Duration::from_millis(5);
        let stalls = Arc::new(Self::default());
        let watching = Arc::clone(&stalls);
        tokio::spawn(async move {
            loop {
                let slept = Instant::now();
                tokio::time::sleep(TICK).await;
                let over = slept.elapsed().saturating_sub(TICK * 2);
                let mut stalls = watching.0.lock().unwrap();
                *stalls = (stalls.0.max(over), stalls.1 + over);
            }
        });
        stalls
    }

    /// What came within any second, and how many a second since `since`, are what they are to be.
    fn check(&self, registry: &FakeRegistry, since: Instant) {
        let (most, rate) = seen(registry, since);
        let (longest, all) = *self.0.lock().unwrap();
        let late = (longest.as_secs_f64() * 50.0).ceil() as usize;
        let lost = all.as_secs_f64() / since.elapsed().as_secs_f64() * 50.0;
        assert!(most <= 55 + late, "{most} in a second; {late} may have been late");
        assert!(rate >= 45.0 - lost, "{rate} a second; {lost} may be lost");
    }
}

/// The most requests that came within any second, and how many a second since `since`.
fn seen(registry: &FakeRegistry, since: Instant) -> (usize, f64) {
    let came: Vec<Instant> = registry.requests().iter().map(|request| request.arrived).collect();
    let within = |first: usize| came[first..].iter().take_while(|at| **at < came[first] + SECOND).count();
    let most = (0..came.len()).map(within).max().unwrap_or(0);
    let lately = came.iter().filter(|at| **at >= since).count();
    (most, lately as f64 / since.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_keep_one_rate_and_the_last_one_has_all_of_it() {
    let (server, registry, stalls) = (NatsServer::start(), registry().await, Stalls::watch());
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(&server, &registry, fifty(&registry)).await);
    }
    eventually("all three share", async || seen(&registry, Instant::now() - SECOND).1 > 40.0).await;
    tokio::time::sleep(4 * SECOND).await;
    let steady = Instant::now();
    tokio::time::sleep(5 * SECOND).await;
    stalls.check(&registry, steady);

    // Killed: nothing is given back.
    replicas.truncate(1);
    tokio::time::sleep(10 * SECOND).await;
    let alone = Instant::now();
    tokio::time::sleep(3 * SECOND).await;
    stalls.check(&registry, alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_from_nats_pauses_and_goes_on_when_it_is_there_again() {
    let (mut server, registry) = (NatsServer::start(), registry().await);
    let replica = Replica::start(&server, &registry, fifty(&registry)).await;
    eventually("it has all", async || seen(&registry, Instant::now() - SECOND).1 > 40.0).await;
    server.stop();
    tokio::time::sleep(6 * SECOND).await;
    let paused = Instant::now();
    tokio::time::sleep(2 * SECOND).await;
    assert!(seen(&registry, paused).1 < 1.0, "nothing goes without a share");
    server.restart();
    eventually("it goes on", async || seen(&registry, Instant::now() - SECOND).1 > 40.0).await;
    drop(replica);
}

/// A replica that pulls when it is told to.
struct Puller {
    source: Remote,
    _sharing: JoinSet<()>,
}

impl Puller {
    /// One that has asked for something that is no pull, and so knows the quota.
    async fn start(server: &NatsServer, registry: &FakeRegistry) -> Self {
        let cluster = Arc::new(connect(server).await);
        let allotments = Arc::new(Allotments::default());
        let registries = Registries::new(HashMap::new(), DockerConfigFiles::default(), Arc::new(()));
        let registries = registries.with_allotments(Arc::clone(&allotments));
        let mut tasks = JoinSet::new();
        tasks.spawn(
            async move { Sharing::new(cluster, allotments, Arc::new(())).keep(&CancellationToken::new()).await },
        );
        let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
        let seat = Arc::new(registries.seat(&registry.host().parse().unwrap(), None).unwrap());
        let source = registries.remote(&Location::from(&reference), Access::Pull).unwrap().seated(&seat);
        source.resolve(&"v1".parse().unwrap()).await.unwrap();
        Self { source, _sharing: tasks }
    }

    /// Whether a pull was let through.
    async fn pulls(&self) -> bool {
        let pulled = self.source.manifest(&"v1".parse().unwrap()).await;
        pulled.inspect_err(|error| assert!(error.no_pulls().is_some(), "{error}")).is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_quota_of_pulls_all_replicas_know_and_none_takes_what_another_took() {
    const PULLS: usize = 10;
    let (server, registry) = (NatsServer::start(), FakeRegistry::builder().pulls(PULLS, 3600 * SECOND).start().await);
    registry.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 100).build());
    let (one, other) = (Puller::start(&server, &registry).await, Puller::start(&server, &registry).await);
    let pulls = || registry.count(&Method::GET, Endpoint::Manifest);
    // It has but a part at first, and all of it when the other is seen to want none.
    eventually("all are taken", async || {
        one.pulls().await;
        pulls() == PULLS
    })
    .await;
    // The other has heard of ten, long ago.
    eventually("the other knows", async || !other.pulls().await).await;
    assert_eq!(pulls(), PULLS, "it did not even ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_pull_at_once_take_no_more_than_is_left() {
    const PULLS: usize = 20;
    let (server, registry) = (NatsServer::start(), FakeRegistry::builder().pulls(PULLS, 3600 * SECOND).start().await);
    registry.seed("app", "v1", &Image::oci("linux/amd64").layer(1, 100).build());
    let pullers = [Puller::start(&server, &registry).await, Puller::start(&server, &registry).await];
    let taken = join_all(pullers.iter().map(async |puller| {
        let mut taken = 0;
        let end = Instant::now() + 8 * SECOND;
        while Instant::now() < end {
            taken += usize::from(puller.pulls().await);
            tokio::time::sleep(SECOND / 10).await;
        }
        taken
    }))
    .await;
    assert_eq!(taken.iter().sum::<usize>(), PULLS, "{taken:?}");
    assert!(taken.iter().all(|taken| *taken >= PULLS / 5), "{taken:?}");
    let asked = registry.count(&Method::GET, Endpoint::Manifest);
    // Parts are rounded up: each may be one too far.
    assert!(asked <= PULLS + pullers.len(), "{asked} were asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_gives_its_share_back_at_once() {
    let (server, registry, stalls) = (NatsServer::start(), registry().await, Stalls::watch());
    let mut one = Replica::start(&server, &registry, fifty(&registry)).await;
    let _other = Replica::start(&server, &registry, fifty(&registry)).await;
    eventually("both share", async || seen(&registry, Instant::now() - SECOND).1 > 40.0).await;
    tokio::time::sleep(3 * SECOND).await;
    one.stop.cancel();
    one.tasks.join_next().await;
    tokio::time::sleep(SECOND + SECOND / 2).await;
    let stopped = Instant::now();
    tokio::time::sleep(3 * SECOND).await;
    stalls.check(&registry, stopped);
}
