//! HTTP/2: for what is small, and only as long as it works.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use regferry::backoff::Patience;
use regferry::registry::Settings;
use regferry::transfer::Engine;
use testkit::front::{Http2, Request};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Front, Image, Method};

use crate::support::{copy, engine_with, https, location, rule, run};

/// A registry behind a front on each side of a copy of `app:v1`.
struct Stage {
    source: Front,
    target: Front,
    registries: [FakeRegistry; 2],
}

impl Stage {
    async fn new(http2: Http2) -> Self {
        let registries = [(); 2].map(|()| FakeRegistry::builder().relative_locations().start());
        let [source, target] = registries;
        let registries = [source.await, target.await];
        registries[0].seed("app", "v1", &Image::oci("linux/amd64").layer(1, 100_000).layer(2, 10).build());
        let [source, target] = registries.each_ref().map(|behind| Front::before(behind.host()).http2(http2).start());
        Self { source: source.await, target: target.await, registries }
    }

    fn engine(&self) -> Arc<Engine> {
        let settings = [&self.source, &self.target].map(|front| {
            let (host, settings) = https(front);
            // Four tries: who goes on with HTTP/2 does not get through.
            let retry = Patience { initial: Duration::from_millis(1), max_attempts: 4, ..Patience::STANDARD };
            (host, Settings { retry, ..settings })
        });
        engine_with(HashMap::from(settings), Arc::new(()))
    }

    async fn copy(&self, engine: &Arc<Engine>, tag: &str) -> Result<(), String> {
        let (from, to) = (format!("{}/app:v1", self.source.host()), format!("{}/app:{tag}", self.target.host()));
        copy(engine, &from, &to).await.error.map_or(Ok(()), Err)
    }

    /// All requests to both sides.
    fn requests(&self) -> Vec<Request> {
        [self.source.requests(), self.target.requests()].concat()
    }

    /// How many requests each side got by HTTP/2.
    fn by_http2(&self) -> [usize; 2] {
        [&self.source, &self.target].map(|front| front.requests().iter().filter(|request| is_http2(request)).count())
    }
}

fn is_http2(request: &Request) -> bool {
    request.version == http::Version::HTTP_2
}

/// Whether a blob's bytes go with it.
fn is_bulk(request: &Request) -> bool {
    let is_upload = request.target.contains("/blobs/uploads/");
    request.target.contains("/blobs/")
        && (request.method == Method::GET || is_upload && [Method::PATCH, Method::PUT].contains(&request.method))
}

#[tokio::test]
async fn what_is_small_goes_by_http2_where_it_is_offered_and_blobs_by_http1() {
    let stage = Stage::new(Http2::Spoken).await;

    stage.copy(&stage.engine(), "v1").await.unwrap();

    assert_eq!(stage.registries[1].check_whole("app", "v1"), Ok(()));
    let (bulk, small): (Vec<_>, Vec<_>) = stage.requests().into_iter().partition(is_bulk);
    assert_eq!(bulk.iter().filter(|request| request.method == Method::GET).count(), 3);
    assert!(bulk.iter().all(|request| !is_http2(request)), "{bulk:#?}");
    assert!(!small.is_empty() && small.iter().all(is_http2), "{small:#?}");
}

#[tokio::test]
async fn where_it_is_not_offered_all_goes_by_http1() {
    let stage = Stage::new(Http2::None).await;

    stage.copy(&stage.engine(), "v1").await.unwrap();

    assert_eq!(stage.by_http2(), [0, 0]);
}

#[tokio::test]
async fn who_breaks_http2_off_is_spoken_to_by_http1_from_then_on() {
    for how in [Http2::GoAway, Http2::Reset] {
        let stage = Stage::new(how).await;
        let engine = stage.engine();

        for tag in ["v1", "v2"] {
            stage.copy(&engine, tag).await.unwrap_or_else(|error| panic!("{how:?}: {error}"));
            assert_eq!(stage.registries[1].check_whole("app", tag), Ok(()), "{how:?}");
            let tried = stage.by_http2();
            assert!(tried.iter().all(|count| (1..=3).contains(count)), "{how:?}: {tried:?}");
        }
    }
}

#[tokio::test]
async fn what_a_server_has_not_begun_with_it_is_asked_again_at_once() {
    let stage = Stage::new(Http2::Refused).await;

    stage.copy(&stage.engine(), "v1").await.unwrap();

    let [tried, _] = stage.by_http2();
    assert!(tried > 0 && tried % 3 == 0, "each three times: {tried}");
}

#[tokio::test]
async fn who_breaks_http2_off_within_a_listing_is_spoken_to_by_http1_from_then_on() {
    let stage = Stage::new(Http2::ResetBody).await;
    let open = FakeRegistry::start().await;
    let rule = rule("app", location(stage.source.host(), "app"), location(open.host(), "app"), &["*"]);

    let report = run(&stage.engine(), &rule).await;

    assert_eq!((report.error, open.check_whole("app", "v1")), (None, Ok(())));
}

#[tokio::test]
async fn tokens_are_to_be_had_from_who_breaks_http2_off() {
    for how in [Http2::GoAway, Http2::Reset, Http2::ResetBody] {
        let stage = Stage::new(Http2::None).await;
        let behind = FakeRegistry::start().await;
        behind.fault(
            Fault::on(Method::GET, Endpoint::Token),
            Effect::Body {
                content_type: "application/json".to_owned(),
                bytes: Bytes::from_static(br#"{"token":"t"}"#),
            },
        );
        let tokens = Front::before(behind.host()).http2(how).start().await;
        let challenge = format!("Bearer realm=\"https://{}/token\"", tokens.host());
        let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
        stage.registries[0].fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), refusal);
        let (host, settings) = https(&stage.source);
        let ca_files = [&stage.source, &stage.target, &tokens].map(|front| front.ca_file().to_owned()).into();
        let retry = Patience { initial: Duration::from_millis(1), max_attempts: 4, ..Patience::STANDARD };
        let settings = Settings { ca_files, retry, ..settings };
        let engine = engine_with(HashMap::from([(host, settings), https(&stage.target)]), Arc::new(()));

        stage.copy(&engine, "v1").await.unwrap_or_else(|error| panic!("{how:?}: {error}"));

        assert_eq!(behind.count(&Method::GET, Endpoint::Token), 1, "{how:?}");
    }
}
