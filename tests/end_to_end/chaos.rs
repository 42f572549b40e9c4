//! Two hundred images through chaos on both sides: what is at the target is right, what is not is told, and the next
//! pass makes it whole.
//!
//! `REGFERRY_CHAOS_SEED` chooses the faults; a test that fails names the seed it had.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::client::{self, Place};
use testkit::{Chaos, DistributionServer, Harm, Image};
use tokio::task::JoinSet;

use crate::support::{Ferry, Finished};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const REPOSITORIES: [&str; 8] = ["base", "app", "app/web", "app/api", "tool", "tool/cli", "team/a", "team/b"];

/// Longer than the idle timeout of the configuration.
const STALL: Duration = Duration::from_millis(1500);

/// Everything that may happen, on either side.
const EVERYTHING: [(Harm, f64); 10] = [
    (Harm::Throttle, 0.015),
    (Harm::ServerError, 0.03),
    (Harm::NoAnswer, 0.02),
    (Harm::LoseAnswer, 0.03),
    (Harm::StallAnswer, 0.02),
    (Harm::CutAnswer, 0.15),
    (Harm::CorruptAnswer, 0.02),
    (Harm::CutRequest, 0.06),
    (Harm::StallRequest, 0.02),
    (Harm::CorruptRequest, 0.02),
];

/// What a download goes on after.
const INTERRUPTIONS: [(Harm, f64); 2] = [(Harm::CutAnswer, 0.35), (Harm::StallAnswer, 0.08)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_nothing_wrong_arrives_and_what_does_not_arrive_is_told() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    let images = many_images();
    fill(&source, &images).await;
    let seed = seed();
    let before_source = chaos(&source, seed, &EVERYTHING).await;
    let before_target = chaos(&target, seed + 1, &EVERYTHING).await;
    let hosts = (before_source.host(), before_target.host());
    let config = impatient(hosts.0) + &impatient(hosts.1) + &rules(hosts.0, hosts.1);

    let first = sync(&config).await;

    let report = first.json();
    let failed = failed(&report, &images);
    let (reads, writes) = (before_source.tally(), before_target.tally());
    let story = format!("seed {seed}\nsource: {reads}\ntarget: {writes}\n{}\n{failed:#?}", report["totals"]);
    tell(&story);
    assert!(reads.faults() + writes.faults() > 300, "{story}");
    assert!(failed.len() < images.len() / 10, "{story}");
    assert!(failed.values().all(|error| !error.is_empty()), "{story}");
    assert_eq!(first.code, Some(i32::from(!failed.is_empty())), "{story}\n{}", first.stderr);
    let arrived = images.keys().filter(|name| !failed.contains_key(*name));
    assert_eq!(differences(&source, &target, arrived).await, Vec::<String>::new(), "{story}");
    assert_eq!(target.damage(), Vec::<String>::new(), "{story}");

    before_source.calm();
    before_target.calm();
    let second = sync(&config).await;

    assert_eq!(second.code, Some(0), "{story}\n{}\n{}", second.text(), second.stderr);
    assert_eq!(differences(&source, &target, images.keys()).await, Vec::<String>::new(), "{story}");
    assert_eq!(target.damage(), Vec::<String>::new(), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn downloads_that_break_off_cost_next_to_no_bytes_more() {
    let source = DistributionServer::start();
    let images = large_images();
    fill(&source, &images).await;
    let seed = seed();

    let calm = chaos(&source, seed, &[]).await;
    mirror(&source, &images, &calm).await;
    let broken = chaos(&source, seed, &INTERRUPTIONS).await;
    mirror(&source, &images, &broken).await;

    let story = format!("seed {seed}\nin peace: {}\nbroken: {}", calm.tally(), broken.tally());
    tell(&story);
    assert!(broken.tally().faults() > 30, "{story}");
    assert!(broken.tally().received * 100 < calm.tally().received * 105, "{story}");
}

/// Mirrors all images through this chaos into a target that is new.
async fn mirror(source: &DistributionServer, images: &Images, chaos: &Chaos) {
    let target = DistributionServer::start();
    let run = sync(&(impatient(chaos.host()) + &rules(chaos.host(), target.host()))).await;
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", chaos.tally(), run.text(), run.stderr);
    assert_eq!(differences(source, &target, images.keys()).await, Vec::<String>::new(), "{}", chaos.tally());
}

/// Images by repository and tag.
type Images = BTreeMap<Name, Image>;
type Name = (&'static str, String);

/// Lists and plain images in every repository, of layers that all the others have, that some have, and none.
fn many_images() -> Images {
    let mut images = Images::new();
    for (repository, number) in REPOSITORIES.into_iter().zip(1..) {
        for tag in 0..25 {
            let of_platform = |platform: &str, child: u64| {
                let own = number * 1_000 + tag * 10 + child;
                let size = [1, 4, 16, 40, 150][own as usize % 5] * KIB + own as usize;
                Image::oci(platform).layer(tag % 4, 32 * KIB).layer(number * 1_000 + 999, 64 * KIB).layer(own, size)
            };
            let amd64 = of_platform("linux/amd64", 0);
            let image = match tag {
                0 => amd64.layer(number, 3 * MIB).build(),
                1..7 => Image::oci_index([amd64.build(), of_platform("linux/arm64", 1).build()]),
                _ => amd64.build(),
            };
            images.insert((repository, format!("1.{tag}")), image);
        }
    }
    images
}

/// A few images with layers that are large enough to break off in the middle.
fn large_images() -> Images {
    let image = |seed: u64| Image::oci("linux/amd64").layer(seed, 2 * MIB).layer(seed + 100, 700 * KIB).build();
    let names = REPOSITORIES.into_iter().flat_map(|repository| (0..3).map(move |tag| (repository, format!("1.{tag}"))));
    names.zip(0..).map(|(name, seed)| (name, image(seed))).collect()
}

async fn fill(source: &DistributionServer, images: &Images) {
    let mut pushing = JoinSet::new();
    for repository in REPOSITORIES {
        let host = source.host().to_owned();
        let images: Vec<_> = images.iter().filter(|((of, _), _)| *of == repository).collect();
        let images: Vec<_> = images.into_iter().map(|((_, tag), image)| (tag.clone(), image.clone())).collect();
        pushing.spawn(async move {
            for (tag, image) in images {
                client::push(&host, repository, &tag, &image).await;
            }
        });
    }
    pushing.join_all().await;
}

async fn chaos(registry: &DistributionServer, seed: u64, harms: &[(Harm, f64)]) -> Chaos {
    let calm = Chaos::before(registry.host()).seed(seed).stalls_for(STALL);
    harms.iter().fold(calm, |chaos, (harm, share)| chaos.often(*harm, *share)).start().await
}

fn seed() -> u64 {
    std::env::var("REGFERRY_CHAOS_SEED").map_or(1, |seed| seed.parse().expect("REGFERRY_CHAOS_SEED is a number"))
}

fn impatient(host: &str) -> String {
    format!("[registries.'{host}']\nidle_timeout = '1s'\n")
}

fn rules(source: &str, target: &str) -> String {
    let rule = |repository: &str| {
        let name = repository.replace('/', "-");
        format!("[[rules]]\nname = '{name}'\nsource = '{source}/{repository}'\ntarget = '{target}/{repository}'\n")
    };
    REPOSITORIES.map(rule).concat()
}

async fn sync(config: &str) -> Finished {
    Ferry::new(&["sync", "--output", "json"]).config(config).run().await
}

/// The images that did not arrive, with what is told of them or, where they are not named, of their rule.
fn failed(report: &Value, images: &Images) -> BTreeMap<Name, String> {
    let told = |value: &Value| value["error"].as_str().unwrap_or_default().to_owned();
    let mut failed = BTreeMap::new();
    for (repository, rule) in REPOSITORIES.into_iter().zip(report["rules"].as_array().expect("a list of rules")) {
        failed.extend(images.keys().filter(|(of, _)| *of == repository).map(|name| (name.clone(), told(rule))));
        for image in rule["images"].as_array().expect("a list of images") {
            let (_, tag) = image["target"].as_str().and_then(|target| target.rsplit_once(':')).expect("a tag");
            let name = (repository, tag.to_owned());
            match image["outcome"].as_str() {
                Some("copied" | "unchanged") => failed.remove(&name),
                _ => failed.insert(name, told(image)),
            };
        }
    }
    failed
}

/// What is other at the target than at the source.
async fn differences(
    source: &DistributionServer,
    target: &DistributionServer,
    names: impl Iterator<Item = &Name>,
) -> Vec<String> {
    let mut looking = JoinSet::new();
    for (repository, tag) in names.cloned() {
        let (source, target) = (source.host().to_owned(), target.host().to_owned());
        looking.spawn(async move {
            let (there, here) = (Place::new(&source, repository, &tag), Place::new(&target, repository, &tag));
            client::same_tree(there, here).await
        });
    }
    looking.join_all().await.into_iter().filter_map(Result::err).collect()
}

#[expect(clippy::print_stderr, reason = "shown when the test fails, or with --nocapture")]
fn tell(story: &str) {
    eprintln!("{story}");
}
