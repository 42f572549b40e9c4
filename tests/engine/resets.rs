//! Targets that cut large bodies without a word, and those that take no chunks.

use regferry::registry::Settings;
use regferry::transfer::Engine;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::gauge::{gauged, settings};
use crate::support::copy;

const MIB: usize = 1 << 20;

struct Stage {
    source: FakeRegistry,
    target: FakeRegistry,
    engine: std::sync::Arc<Engine>,
}

impl Stage {
    /// A source with a layer of five MiB under each of these tags.
    async fn new(tags: &[&str], change: impl FnOnce(&mut Settings)) -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        for (n, tag) in tags.iter().enumerate() {
            source.seed("app", tag, &Image::oci("linux/amd64").layer(n as u64, 5 * MIB).build());
        }
        let (engine, _) = gauged([settings(&target, change)]);
        Self { source, target, engine }
    }

    async fn copy(&self, tag: &str) -> Result<(), String> {
        let image = |registry: &FakeRegistry| format!("{}/app:{tag}", registry.host());
        let report = copy(&self.engine, &image(&self.source), &image(&self.target)).await;
        report.error.map_or(Ok(()), Err)?;
        assert_eq!((self.target.check_whole("app", tag), self.target.open_sessions()), (Ok(()), 0));
        Ok(())
    }

    /// The lengths of the bodies with which a layer was sent, and how each went.
    fn bodies(&self) -> Vec<(Method, usize, Option<u16>)> {
        let requests = self.target.requests().into_iter().filter(|request| request.endpoint == Endpoint::Upload);
        let length = |value: Option<&str>| value.and_then(|length| length.parse().ok()).unwrap_or(0);
        requests
            .map(|request| (length(request.header("content-length")), request))
            .filter(|(length, _)| *length > MIB / 2)
            .map(|(length, request)| (request.method.clone(), length, request.status))
            .collect()
    }
}

fn taken(size: usize) -> (Method, usize, Option<u16>) {
    (Method::PATCH, size, Some(202))
}

#[tokio::test]
async fn bodies_that_are_cut_above_a_size_go_in_chunks_after_two_breaks_and_so_do_the_next() {
    for effect in [Effect::Drop, Effect::CutRequest { after_bytes: 0 }] {
        let stage = Stage::new(&["v0", "v1"], |_| ()).await;
        stage.target.fault(Fault::any().larger_than(4 << 20), effect.clone());

        stage.copy("v0").await.unwrap();

        let cut = (Method::PUT, 5 * MIB, None);
        assert_eq!(stage.bodies(), [cut.clone(), cut, taken(4 * MIB), taken(MIB)], "{effect:?}");
        stage.target.clear_requests();
        stage.copy("v1").await.unwrap();
        assert_eq!(stage.bodies(), [taken(4 * MIB), taken(MIB)], "it is remembered for the registry");
    }
}

#[tokio::test]
async fn chunks_that_are_cut_as_well_get_smaller() {
    let stage = Stage::new(&["v0", "v1"], |_| ()).await;
    stage.target.fault(Fault::any().larger_than(3 << 20), Effect::Drop);

    stage.copy("v0").await.unwrap();

    let bodies = stage.bodies();
    assert_eq!(bodies[bodies.len() - 3..], [taken(2 * MIB), taken(2 * MIB), taken(MIB)], "{bodies:?}");
    assert_eq!(bodies.iter().filter(|(.., status)| status.is_none()).count(), 4, "{bodies:?}");
    stage.target.clear_requests();
    stage.copy("v1").await.unwrap();
    assert_eq!(stage.bodies(), [taken(2 * MIB), taken(2 * MIB), taken(MIB)]);
}

#[tokio::test]
async fn a_proxy_that_cuts_in_the_middle_of_a_body_is_answered_with_chunks() {
    let stage = Stage::new(&["v0"], |_| ()).await;
    // The registry behind it keeps what came, and still the whole rest is too large.
    stage.target.fault(Fault::any().larger_than(2 << 20), Effect::CutRequest { after_bytes: 1000 });

    stage.copy("v0").await.unwrap();

    assert!(stage.bodies().iter().all(|(_, length, status)| *length <= 2 * MIB || status.is_none()));
}

#[tokio::test]
async fn a_size_that_is_set_holds_from_the_first_upload() {
    let stage = Stage::new(&["v0"], |settings| settings.chunk_size = Some(2 << 20)).await;

    stage.copy("v0").await.unwrap();

    assert_eq!(stage.bodies(), [taken(2 * MIB), taken(2 * MIB), taken(MIB)]);
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_whole_bodies_again() {
    let stage = Stage::new(&["v0"], |_| ()).await;
    stage.target.fault(Fault::on(Method::PUT, Endpoint::Upload).larger_than(4 << 20).times(2), Effect::Drop);
    stage.target.fault(Fault::on(Method::PATCH, Endpoint::Upload), Effect::status(405));

    stage.copy("v0").await.unwrap();

    let bodies = stage.bodies();
    assert_eq!(bodies.last(), Some(&(Method::PUT, 5 * MIB, Some(201))), "{bodies:?}");
    assert_eq!(bodies.iter().filter(|(method, ..)| *method == Method::PATCH).count(), 1, "{bodies:?}");
}

#[tokio::test]
async fn a_single_break_is_the_network() {
    let stage = Stage::new(&["v0", "v1"], |_| ()).await;
    stage.target.fault(Fault::any().larger_than(4 << 20).times(1), Effect::Drop);

    stage.copy("v0").await.unwrap();
    stage.copy("v1").await.unwrap();

    let whole = |status| (Method::PUT, 5 * MIB, status);
    assert_eq!(stage.bodies(), [whole(None), whole(Some(201)), whole(Some(201))]);
}
