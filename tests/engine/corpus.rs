//! Twenty-four repositories that share layers, as mirrors see them: what a cold, a half-done and an unchanged run cost.
//!
//! Each has three tags of four platforms, half of them Docker lists and half OCI indexes. An image has five layers: the
//! first two are those of its platform in every repository, the third is that of the repository's tags.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::join_all;
use regferry::events::{RuleReport, RunOutcome};
use regferry::transfer::{Engine, Mode, Rule};
use testkit::{Endpoint, FakeRegistry, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, rule};

const REPOSITORIES: u64 = 24;
const TAGS: u64 = 3;
const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"];

/// Of tags, on each side.
const LISTS: usize = 24;
const IMAGES: usize = 72;
const MANIFESTS: usize = 360;
const BLOBS: usize = 968;
/// Blobs that another repository of the target has when they are needed.
const REPEATS: usize = 184;

struct Corpus {
    source: FakeRegistry,
    target: FakeRegistry,
}

impl Corpus {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        for repository in 0..REPOSITORIES {
            for tag in 0..TAGS {
                source.seed(&format!("up/{repository}"), &format!("v{tag}"), &image(repository, tag));
            }
        }
        Self { source, target }
    }

    fn rules(&self, repositories: Range<u64>) -> Vec<Arc<Rule>> {
        let rule_of = |repository| {
            let (from, to) = (format!("up/{repository}"), format!("down/{repository}"));
            rule(&from, location(self.source.host(), &from), location(self.target.host(), &to), &["*"])
        };
        repositories.map(rule_of).collect()
    }

    /// As `sync` does: all rules side by side, in one pass.
    async fn sync(&self, engine: &Arc<Engine>, repositories: Range<u64>, mode: Mode) -> Vec<RuleReport> {
        let (_knowledge, _pass, cancel) = (engine.knowledge(), engine.begin_pass(), CancellationToken::new());
        let rules = self.rules(repositories);
        let reports = join_all(rules.iter().map(|rule| engine.run(rule, mode, &cancel))).await;
        for report in &reports {
            assert_eq!((report.outcome, failures(report)), (RunOutcome::Success, Vec::new()), "{:?}", report.error);
        }
        reports
    }

    fn clear(&self) {
        self.source.clear_requests();
        self.target.clear_requests();
    }

    fn assert_whole(&self) {
        for repository in 0..REPOSITORIES {
            for tag in 0..TAGS {
                assert_eq!(self.target.check_whole(&format!("down/{repository}"), &format!("v{tag}")), Ok(()));
            }
        }
    }
}

fn image(repository: u64, tag: u64) -> Image {
    let is_docker = repository.is_multiple_of(2);
    let children = PLATFORMS.iter().zip(0..).map(|(platform, number)| {
        let image = if is_docker { Image::docker(*platform) } else { Image::oci(*platform) };
        let own = 10_000 + (repository * TAGS + tag) * 100 + number * 10;
        let layers = [number, 10 + number, 1_000 + repository * 10 + number, own, own + 1];
        layers.into_iter().fold(image, |image, layer| image.layer(layer, 300)).build()
    });
    if is_docker { Image::docker_list(children) } else { Image::oci_index(children) }
}

fn mounted(reports: &[RuleReport]) -> u64 {
    reports.iter().flat_map(|report| &report.images).map(|image| image.blobs.mounted).sum()
}

#[tokio::test]
async fn a_cold_run_asks_for_what_it_moves_and_nothing_else() {
    let corpus = Corpus::new().await;

    let reports = corpus.sync(&engine(), 0..REPOSITORIES, Mode::Execute).await;

    corpus.assert_whole();
    let (source, target) = (&corpus.source, &corpus.target);
    assert_eq!(mounted(&reports), REPEATS as u64);
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), BLOBS, "{}", source.summary());
    assert_eq!(source.requests().len(), LISTS + MANIFESTS + BLOBS, "{}", source.summary());
    assert_eq!(target.requests().len(), LISTS + 2 * BLOBS + REPEATS + MANIFESTS, "{}", target.summary());
}

#[tokio::test]
async fn a_run_that_finds_half_of_it_there_asks_for_the_other_half() {
    let corpus = Corpus::new().await;
    corpus.sync(&engine(), 0..REPOSITORIES / 2, Mode::Execute).await;
    corpus.clear();

    let reports = corpus.sync(&engine(), 0..REPOSITORIES, Mode::Execute).await;

    corpus.assert_whole();
    let (source, target) = (&corpus.source, &corpus.target);
    let (manifests, looked_at) = (MANIFESTS / 2, LISTS + IMAGES / 2);
    // Another process brought the base layers of the first half: the first repository of the second has them anew.
    let bases = 2 * PLATFORMS.len();
    let (blobs, mounts) = ((BLOBS - bases) / 2 + bases, 11 * bases);
    assert_eq!(mounted(&reports), mounts as u64);
    assert_eq!(source.count(&Method::GET, Endpoint::Blob), blobs, "{}", source.summary());
    assert_eq!(source.requests().len(), looked_at + manifests + blobs, "{}", source.summary());
    assert_eq!(target.requests().len(), looked_at + 2 * blobs + mounts + manifests, "{}", target.summary());
}

#[tokio::test]
async fn an_unchanged_run_asks_for_each_tag_on_each_side() {
    let corpus = Corpus::new().await;
    corpus.sync(&engine(), 0..REPOSITORIES, Mode::Execute).await;
    corpus.clear();

    corpus.sync(&engine(), 0..REPOSITORIES, Mode::Execute).await;

    for registry in [&corpus.source, &corpus.target] {
        assert_eq!(registry.summary(), format!("GET tags {LISTS}, HEAD manifest {IMAGES}"));
    }
}

#[tokio::test]
async fn a_daemon_that_has_seen_all_in_place_asks_for_each_tag_at_the_source_alone() {
    let (corpus, engine) = (Corpus::new().await, engine());
    corpus.sync(&engine, 0..REPOSITORIES, Mode::Follow).await;
    corpus.clear();

    corpus.sync(&engine, 0..REPOSITORIES, Mode::Follow).await;

    assert_eq!(corpus.source.summary(), format!("GET tags {LISTS}, HEAD manifest {IMAGES}"));
    assert_eq!(corpus.target.summary(), format!("GET tags {LISTS}"));
}
