//! What a daemon does between two rechecks: it follows the source, and takes what it saw at the target to be so still.

use std::sync::Arc;

use regferry::events::ImageOutcome;
use regferry::transfer::{Engine, Mode, Rule};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::support::{engine, failures, location, rule};

/// One image that was brought over, by a rule that names its tag.
struct InPlace {
    source: FakeRegistry,
    target: FakeRegistry,
    engine: Arc<Engine>,
    rule: Arc<Rule>,
}

impl InPlace {
    async fn new(tags: &[&str]) -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &hello_world());
        let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), tags);
        let in_place = Self { source, target, engine: engine(), rule };
        assert_eq!(in_place.run(Mode::Follow).await, ImageOutcome::Copied);
        in_place.clear();
        in_place
    }

    async fn run(&self, mode: Mode) -> ImageOutcome {
        let report = self.engine.run(&self.rule, mode, &CancellationToken::new()).await;
        assert_eq!(failures(&report), Vec::<String>::new());
        report.images[0].outcome
    }

    /// What the target's tag points at.
    fn pointed_at(&self) -> String {
        self.target.manifest("app", "v1").map(|document| document.digest()).unwrap_or_default()
    }

    fn clear(&self) {
        self.source.clear_requests();
        self.target.clear_requests();
    }
}

fn other() -> Image {
    Image::oci("linux/amd64").layer(7, 100).build()
}

#[tokio::test]
async fn one_request_tells_that_nothing_has_changed() {
    let app = InPlace::new(&["v1"]).await;

    assert_eq!(app.run(Mode::Follow).await, ImageOutcome::Unchanged);

    assert_eq!((app.source.summary().as_str(), app.target.summary().as_str()), ("HEAD manifest 1", "no requests"));
}

#[tokio::test]
async fn what_moves_at_the_source_is_brought_over() {
    let app = InPlace::new(&["v1"]).await;
    app.source.seed("app", "v1", &other());

    assert_eq!(app.run(Mode::Follow).await, ImageOutcome::Copied);

    assert_eq!(app.target.check_whole("app", "v1"), Ok(()));
    assert_eq!(app.pointed_at(), other().digest());
}

#[tokio::test]
async fn what_moves_at_the_target_is_seen_by_the_recheck() {
    let app = InPlace::new(&["v1"]).await;
    app.target.seed("app", "v1", &other());

    assert_eq!(app.run(Mode::Follow).await, ImageOutcome::Unchanged);
    assert_eq!(app.run(Mode::Repair).await, ImageOutcome::Copied);

    assert_eq!(app.pointed_at(), hello_world().digest());
}

#[tokio::test]
async fn a_tag_that_the_targets_listing_lacks_is_written_again() {
    let app = InPlace::new(&["v*"]).await;
    assert!(app.target.remove_manifest("app", "v1"));

    assert_eq!(app.run(Mode::Follow).await, ImageOutcome::Copied);

    assert_eq!(app.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_tag_that_could_not_be_brought_over_is_not_taken_to_be_in_place() {
    let app = InPlace::new(&["v1"]).await;
    app.source.seed("app", "v1", &other());
    app.target.fault(Fault::on(Method::PUT, Endpoint::Manifest).times(1), Effect::status(403));
    let report = app.engine.run(&app.rule, Mode::Follow, &CancellationToken::new()).await;
    assert_eq!(report.images[0].outcome, ImageOutcome::Failed);
    app.target.seed("app", "v1", &Image::oci("linux/amd64").layer(8, 100).build());
    app.source.seed("app", "v1", &hello_world());

    assert_eq!(app.run(Mode::Follow).await, ImageOutcome::Copied);

    assert_eq!(app.pointed_at(), hello_world().digest());
}
