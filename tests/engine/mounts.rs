//! Mounts: what a registry answers to them, and the plain upload that follows where it does not mount.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::events::ImageReport;
use regferry::transfer::{BlobPlace, Engine};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{copy, engine_with, location, login};

/// A source with one image in `a` and in `b`, and a target that has the first already: in the same process, so that the
/// second can be mounted from it.
struct Second {
    source: FakeRegistry,
    target: FakeRegistry,
    image: Image,
    engine: Arc<Engine>,
}

impl Second {
    async fn at(target: FakeRegistry) -> Self {
        let source = FakeRegistry::start().await;
        let image = Image::oci("linux/amd64").layer(1, 10_000).build();
        source.seed("a", "v1", &image);
        source.seed("b", "v1", &image);
        let engine = engine_with(HashMap::from([login(target.host(), "u", "p")]), Arc::new(()));
        Self { source, target, image, engine }
    }

    fn of_any_mount(&self) -> impl Iterator<Item = Fault> {
        let blobs = self.image.blobs().map(testkit::Blob::digest);
        blobs.map(|digest| Fault::on(Method::POST, Endpoint::Upload).repository("b").reference(&digest))
    }

    /// Copies `a`, and `b` with all mounts of it suffering `effect`.
    async fn copy(&self, effect: Option<Effect>) -> ImageReport {
        let _knowledge = self.engine.knowledge();
        let (from, to) = (self.source.host(), self.target.host());
        let first = copy(&self.engine, &format!("{from}/a:v1"), &format!("{to}/a:v1")).await;
        assert_eq!(first.error, None);
        self.target.clear_requests();
        if let Some(effect) = effect {
            self.of_any_mount().for_each(|fault| self.target.fault(fault, effect.clone()));
        }
        copy(&self.engine, &format!("{from}/b:v1"), &format!("{to}/b:v1")).await
    }

    fn assert_uploaded(&self, report: &ImageReport, case: &str) {
        assert_eq!(report.error, None, "{case}");
        assert_eq!((report.blobs.copied, report.blobs.mounted), (2, 0), "{case}");
        assert_eq!(self.target.check_whole("b", "v1"), Ok(()), "{case}");
        assert_eq!(self.target.open_sessions(), 0, "{case}");
    }
}

#[tokio::test]
async fn a_mount_says_from_which_repository_of_the_same_registry() {
    let second = Second::at(FakeRegistry::start().await).await;

    let report = second.copy(None).await;

    assert_eq!((report.error, report.blobs.mounted), (None, 2));
    let requests = second.target.requests();
    let mounts: Vec<_> = requests.iter().filter(|request| request.parameter("mount").is_some()).collect();
    assert_eq!(mounts.len(), 2);
    assert!(mounts.iter().all(|mount| mount.parameter("from").as_deref() == Some("a")));
}

#[tokio::test]
async fn a_mount_that_is_refused_is_followed_by_a_plain_upload() {
    for status in [400, 401, 403, 404, 405, 409, 422] {
        let second = Second::at(FakeRegistry::start().await).await;
        let report = second.copy(Some(Effect::status(status))).await;
        second.assert_uploaded(&report, &status.to_string());
    }
}

#[tokio::test]
async fn a_mount_that_the_registry_fails_at_is_followed_by_a_plain_upload() {
    for status in [500, 502, 503] {
        let second = Second::at(FakeRegistry::start().await).await;
        let report = second.copy(Some(Effect::status(status))).await;
        second.assert_uploaded(&report, &status.to_string());
    }
}

#[tokio::test]
async fn a_mount_that_is_accepted_without_a_session_is_followed_by_a_plain_upload() {
    let second = Second::at(FakeRegistry::builder().without_mount().start().await).await;
    let report = second.copy(Some(Effect::status(202))).await;
    second.assert_uploaded(&report, "202");
}

#[tokio::test]
async fn a_mount_whose_token_is_refused_is_followed_by_a_plain_upload() {
    let second = Second::at(FakeRegistry::builder().token_auth("u", "p").start().await).await;
    // The token for `a`, then the one for `b`; the third is for both.
    second.target.fault(Fault::on(Method::GET, Endpoint::Token).skip(2).times(1), Effect::status(403));

    let report = second.copy(None).await;

    second.assert_uploaded(&report, "403");
    let requests = second.target.requests();
    let refused: Vec<_> = requests.iter().filter(|request| request.status == Some(403)).collect();
    assert_eq!(refused.len(), 1, "{}", second.target.summary());
    assert!(
        refused[0].query.contains("%3Aa%3Apull") && refused[0].query.contains("%3Ab%3Apull"),
        "{}",
        refused[0].query
    );
}

#[tokio::test]
async fn the_session_of_a_mount_that_nobody_needs_is_closed() {
    let second = Second::at(FakeRegistry::builder().without_mount().start().await).await;
    second.source.fault(Fault::on(Method::GET, Endpoint::Blob).repository("b"), Effect::status(403));

    let report = second.copy(None).await;

    assert!(report.error.unwrap().contains("403"));
    assert_eq!(second.target.count(&Method::DELETE, Endpoint::Upload), 2, "{}", second.target.summary());
    assert_eq!(second.target.open_sessions(), 0);
}

#[tokio::test]
async fn another_process_mounts_what_it_was_told_of_and_learns_by_itself_when_that_is_not_true() {
    for is_true in [true, false] {
        let second = Second::at(FakeRegistry::start().await).await;
        let (from, to) = (second.source.host(), second.target.host());
        let other = engine_with(HashMap::from([login(to, "u", "p")]), Arc::new(()));
        let mut told = second.engine.hearsay().listen();
        if is_true {
            let report = copy(&second.engine, &format!("{from}/a:v1"), &format!("{to}/a:v1")).await;
            assert_eq!((report.error, told.len()), (None, 2));
            while let Ok(place) = told.try_recv() {
                other.hearsay().hear(place);
            }
        } else {
            for blob in second.image.blobs() {
                for repository in ["b", "nowhere"] {
                    let (location, digest) = (location(to, repository), blob.digest().parse().unwrap());
                    other.hearsay().hear(BlobPlace { location, digest });
                }
            }
        }

        let report = copy(&other, &format!("{from}/b:v1"), &format!("{to}/b:v1")).await;

        let (copied, mounted) = if is_true { (0, 2) } else { (2, 0) };
        assert_eq!((report.error, report.blobs.copied, report.blobs.mounted), (None, copied, mounted));
        assert_eq!(second.target.check_whole("b", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn a_blob_that_is_said_to_be_there_and_is_not_is_sent_after_all() {
    let second = Second::at(FakeRegistry::start().await).await;
    let (from, to) = (second.source.host(), second.target.host());
    for blob in second.image.blobs() {
        let (location, digest) = (location(to, "a"), blob.digest().parse().unwrap());
        second.engine.hearsay().hear(BlobPlace { location, digest });
    }

    let report = copy(&second.engine, &format!("{from}/a:v1"), &format!("{to}/a:v1")).await;

    assert_eq!(report.error, None);
    assert_eq!(second.target.check_whole("a", "v1"), Ok(()));
}
