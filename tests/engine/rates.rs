//! `requests_per_second`, `burst` and `bandwidth`, as a registry sees them.

use std::num::NonZeroU32;

use regferry::events::Direction;
use regferry::registry::Rate;
use testkit::{FakeRegistry, Image};
use tokio::time::Instant;

use crate::gauge::{gauged, settings};
use crate::support::{copy, failures, location, rule, run};

#[tokio::test]
async fn requests_never_come_faster_than_they_may() {
    const PER_SECOND: f64 = 40.0;
    const BURST: u32 = 3;
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for n in 0..8 {
        source.seed("app", &format!("v{n}"), &Image::oci("linux/amd64").layer(n, 1_000).build());
    }
    let rate = Rate { per_second: PER_SECOND, burst: NonZeroU32::new(BURST).unwrap() };
    let limited = |registry| settings(registry, |s| s.limits.rate = Some(rate));
    let (engine, _) = gauged([limited(&source), limited(&target)]);
    let rule = rule("app", location(source.host(), "app"), location(target.host(), "app"), &["v*"]);
    let started = Instant::now();

    let report = run(&engine, &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    for registry in [&source, &target] {
        let requests = registry.requests();
        assert!(requests.len() > 20, "{}", registry.summary());
        for (before, request) in requests.iter().enumerate() {
            // A request may arrive later than it may, never earlier.
            let allowed = f64::from(BURST) + (request.arrived - started).as_secs_f64() * PER_SECOND;
            assert!(before as f64 <= allowed, "request {before} when {allowed} were allowed");
        }
    }
}

#[tokio::test]
async fn both_directions_share_a_registrys_bandwidth() {
    const BYTES: u32 = 2_000_000;
    const PER_SECOND: u32 = 4_000_000;
    let (limited, other) = (FakeRegistry::start().await, FakeRegistry::start().await);
    limited.seed("out", "v1", &Image::oci("linux/amd64").layer(1, BYTES as usize).build());
    other.seed("in", "v1", &Image::oci("linux/amd64").layer(2, BYTES as usize).build());
    let (engine, gauge) = gauged([settings(&limited, |s| s.limits.bandwidth = Some(PER_SECOND.into()))]);
    let image = |registry: &FakeRegistry, name: &str| format!("{}/{name}:v1", registry.host());
    let (out, to_other) = (image(&limited, "out"), image(&other, "out"));
    let (back, to_limited) = (image(&other, "in"), image(&limited, "in"));
    let started = Instant::now();

    let (out, back) = tokio::join!(copy(&engine, &out, &to_other), copy(&engine, &back, &to_limited));

    let took = started.elapsed().as_secs_f64();
    assert_eq!((out.error, back.error), (None, None));
    let moved = gauge.bytes(&limited, Direction::Read) + gauge.bytes(&limited, Direction::Written);
    assert!(moved > u64::from(2 * BYTES), "{moved}");
    // What was charged last is not waited for: a piece of each stream.
    let least = f64::from(2 * BYTES - 600_000) / f64::from(PER_SECOND);
    assert!(took >= least, "{moved} bytes in {took} s");
}
