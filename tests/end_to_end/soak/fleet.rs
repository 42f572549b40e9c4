//! Two real registries, what stands before them, and the images that move between.

use std::fmt::{self, Write as _};
use std::time::Duration;

use testkit::client::{self, Place};
use testkit::{Chaos, DistributionServer, FakeRegistry, Harm, Image};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

const KIB: usize = 1 << 10;

/// Each is a rule's.
const REPOSITORIES: usize = 50;
const TAGS: usize = 10;

/// Rules of one image each that never changes, in a registry in memory which is quick to answer however busy the real
/// ones are: their runs end before the next tick, and so tell whether ticks drift.
const QUICK: usize = 5;

/// All rules.
pub(super) const RULES: usize = REPOSITORIES + QUICK;

/// Longer than the idle timeout of the configuration.
const STALL: Duration = Duration::from_millis(2500);

/// What happens on either side. Of a thousand requests a second most only look, so that a small share of them is a few
/// faults a second; those that move bytes are few, and suffer more.
const FAULTS: [(Harm, f64); 8] = [
    (Harm::Throttle, 0.0005),
    (Harm::ServerError, 0.001),
    (Harm::NoAnswer, 0.001),
    (Harm::LoseAnswer, 0.0005),
    (Harm::StallAnswer, 0.0002),
    (Harm::CutAnswer, 0.02),
    (Harm::CutRequest, 0.05),
    (Harm::StallRequest, 0.01),
];

/// An image by the numbers of its repository and tag.
type Name = (usize, usize);

pub(super) struct Fleet {
    source: DistributionServer,
    target: DistributionServer,
    before_source: Chaos,
    before_target: Chaos,
    in_memory: FakeRegistry,
    /// Uploads without a byte that were open when the target ended.
    out_of_reach: usize,
    /// How many tags were moved.
    pub(super) moved: u64,
}

impl Fleet {
    /// The registries, the source with all images.
    pub(super) async fn start(seed: u64) -> Self {
        let (source, target) = (DistributionServer::start(), DistributionServer::start());
        let mut pushing = JoinSet::new();
        for repository in 0..REPOSITORIES {
            let host = source.host().to_owned();
            pushing.spawn(async move {
                for tag in 0..TAGS {
                    push(&host, (repository, tag), 0).await;
                }
            });
        }
        pushing.join_all().await;
        let (before_source, before_target) = (chaos(&source, seed).await, chaos(&target, seed + 1).await);
        let in_memory = FakeRegistry::start().await;
        in_memory.seed("quick", "v0", &image((0, 1), 0));
        Self { source, target, before_source, before_target, in_memory, out_of_reach: 0, moved: 0 }
    }

    pub(super) fn config(&self) -> String {
        let (from, to) = (self.before_source.host(), self.before_target.host());
        let mut config = String::from("defaults = { schedule = '1s', recheck = '5m' }\n");
        for host in [from, to] {
            let _ = writeln!(config, "[registries.'{host}']\nidle_timeout = '2s'");
        }
        let mut rule = |source: &str, target: &str, name: &str| {
            let _ = writeln!(config, "[[rules]]\nname = '{name}'\nsource = '{source}'\ntarget = '{target}'");
        };
        for name in (0..REPOSITORIES).map(repository) {
            rule(&format!("{from}/{name}"), &format!("{to}/{name}"), &name);
        }
        let quick = format!("{}/quick", self.in_memory.host());
        for number in 0..QUICK {
            rule(&format!("{quick}:v0"), &format!("{quick}/{number}:v0"), &format!("quick/{number}"));
        }
        config
    }

    /// Moves the tags of the next so many images to new ones.
    pub(super) async fn move_tags(&mut self, count: usize) {
        let mut pushing = JoinSet::new();
        for _ in 0..count {
            // Another repository each time, and another tag of it when its turn comes again.
            let turn = usize::try_from(self.moved).expect("a count");
            let name = (turn % REPOSITORIES, turn / REPOSITORIES % TAGS);
            let version = self.moved / (REPOSITORIES * TAGS) as u64 + 1;
            let host = self.source.host().to_owned();
            pushing.spawn(async move { push(&host, name, version).await });
            self.moved += 1;
        }
        pushing.join_all().await;
    }

    /// Lets the target or the source be away for a while.
    pub(super) async fn restart(&mut self, the_target: bool, away: Duration) {
        let registry = if the_target { &mut self.target } else { &mut self.source };
        registry.stop();
        if the_target {
            self.out_of_reach = registry.empty_uploads();
        }
        sleep(away).await;
        block_in_place(|| registry.restart());
    }

    /// Ends all faults.
    pub(super) fn calm(&self) {
        self.before_source.calm();
        self.before_target.calm();
    }

    /// The faults of both sides.
    pub(super) fn faults(&self) -> u64 {
        self.before_source.tally().faults() + self.before_target.tally().faults()
    }

    /// How often the target did what it was asked for and nobody heard of it.
    pub(super) fn unheard(&self) -> u64 {
        let harms = self.before_target.tally().harms;
        [Harm::LoseAnswer, Harm::StallAnswer].iter().filter_map(|harm| harms.get(harm)).sum()
    }

    /// Whether the target's tags are where the source's are.
    pub(super) async fn tags_agree(&self) -> bool {
        let agree = self.of_each(|there, here| async move {
            let of =
                async |place: Place<'_>| client::fetch_manifest(place.host, place.repository, place.reference).await;
            of(there.place()).await == of(here.place()).await
        });
        agree.await.into_iter().all(|agrees| agrees)
    }

    /// What is other at the target than at the source.
    pub(super) async fn differences(&self) -> Vec<String> {
        let compared =
            self.of_each(|there, here| async move { client::same_tree(there.place(), here.place()).await.err() });
        compared.await.into_iter().flatten().collect()
    }

    /// What is wrong on the target's disk.
    pub(super) fn damage(&self) -> Vec<String> {
        self.target.damage()
    }

    /// The uploads that the target still waits for, and that could be ended: not those that have bytes of a body that
    /// broke off, and those of the process before it, which nobody can end.
    pub(super) fn open_uploads(&self) -> usize {
        self.target.empty_uploads() - self.out_of_reach
    }

    /// Looks at every image on both sides; those of a repository one after the other.
    async fn of_each<T, F>(&self, look: impl Fn(At, At) -> F + Copy + Send + 'static) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let mut looking = JoinSet::new();
        for repository in 0..REPOSITORIES {
            let (source, target) = (self.source.host().to_owned(), self.target.host().to_owned());
            looking.spawn(async move {
                let mut seen = Vec::new();
                for tag in 0..TAGS {
                    seen.push(look(At::new(&source, (repository, tag)), At::new(&target, (repository, tag))).await);
                }
                seen
            });
        }
        looking.join_all().await.into_iter().flatten().collect()
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "source: {}\ntarget: {}", self.before_source.tally(), self.before_target.tally())?;
        let (all, open) = (self.target.open_uploads(), self.open_uploads());
        write!(f, "{} tags moved, {all} uploads open at the target, {open} of them could be ended", self.moved)
    }
}

/// An image at a registry.
struct At {
    host: String,
    repository: String,
    tag: String,
}

impl At {
    fn new(host: &str, name: Name) -> Self {
        Self { host: host.to_owned(), repository: repository(name.0), tag: tag(name.1) }
    }

    fn place(&self) -> Place<'_> {
        Place::new(&self.host, &self.repository, &self.tag)
    }
}

async fn chaos(registry: &DistributionServer, seed: u64) -> Chaos {
    let calm = Chaos::before(registry.host()).seed(seed).stalls_for(STALL);
    FAULTS.into_iter().fold(calm, |chaos, (harm, share)| chaos.often(harm, share)).start().await
}

async fn push(host: &str, name: Name, version: u64) {
    client::push(host, &repository(name.0), &tag(name.1), &image(name, version)).await;
}

fn repository(number: usize) -> String {
    format!("team/{number:02}")
}

fn tag(number: usize) -> String {
    format!("v{number}")
}

/// Small images, of one layer each; every tenth is a list, whose children have a layer that all lists have.
fn image((repository, tag): Name, version: u64) -> Image {
    let seed = 1_000_000 * (version + 1) + 1_000 * repository as u64 + 10 * tag as u64;
    let of_platform =
        |platform: &str, seed: u64| Image::oci(platform).layer(seed, KIB + 1_000 * (seed as usize / 10 % 7));
    match tag {
        0 => {
            let platforms = ["linux/amd64", "linux/arm64"].into_iter().zip(seed..);
            let children = platforms.map(|(platform, seed)| of_platform(platform, seed).layer(0, 16 * KIB).build());
            Image::oci_index(children)
        }
        _ => of_platform("linux/amd64", seed).build(),
    }
}
