//! A state as an operator may find it on a working day: for screenshots, and for what has to be looked at in all its states.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use regferry::events::{
    Direction, ImageOutcome, ImageReport, Observer as _, Request, Retry, RunOutcome, ThrottleReason,
};
use regferry::oci::Host;
use regferry::registry::{Limits, Rate};
use regferry::server::{ImportJob, JobState};
use regferry::telemetry::Status;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::stage::{Stage, image, run, status_of};

const MIB: u64 = 1 << 20;

/// A rule of an hour, or of a quarter of one: a line of the table below.
struct Line {
    name: &'static str,
    source: &'static str,
    /// Below `registry.example/`.
    target: &'static str,
    tags: &'static str,
    /// Minutes since its last run; 0 if it has not run yet.
    ago: u64,
    /// Minutes to the next.
    next: u64,
}

const TABLE: &str = "
    alpine         docker.io/library/alpine                  base/alpine               3.18,3.19,3.20,edge,latest       4  11
    argo-cd        quay.io/argoproj/argocd                   tools/argocd              v2.11.7,v2.12.3,v2.13.0         21  39
    cert-manager   quay.io/jetstack/cert-manager-controller  k8s/cert-manager          v1.14.7,v1.15.3,v1.16.1         33  27
    cilium         quay.io/cilium/cilium                     k8s/cilium                v1.15.10,v1.16.3                 8  52
    dotnet-sdk     mcr.microsoft.com/dotnet/sdk              base/dotnet-sdk           8.0,8.0-alpine,9.0              47  13
    gitlab-runner  docker.io/gitlab/gitlab-runner            ci/gitlab-runner          alpine-v17.4.0,alpine-v17.5.1   58   2
    golang         docker.io/library/golang                  base/golang               1.22,1.23,1.23-alpine           12  48
    grafana        docker.io/grafana/grafana                 observability/grafana     10.4.11,11.2.2,11.3.0           26  34
    keycloak       quay.io/keycloak/keycloak                 identity/keycloak         25.0.6,26.0.1                   17  43
    kube-core      registry.k8s.io/*                         k8s/core                  v1.29.10,v1.30.6,v1.31.2        39  21
    nginx          docker.io/library/nginx                   base/nginx                1.26,1.27,1.27-alpine,stable     5  10
    node           docker.io/library/node                    base/node                 20,20-alpine,22,22-alpine       14  46
    platform       harbor.example/platform/**                platform                  2.3.0,2.3.1,2.4.0-rc.2           2  13
    postgres       docker.io/library/postgres                data/postgres             15.8,16.4,17.0                  31  29
    prometheus     quay.io/prometheus/prometheus             observability/prometheus  v2.54.1,v2.55.0,v3.0.0-rc.0     44  16
    python         docker.io/library/python                  base/python               3.11,3.12,3.13,3.13-slim         9  51
    sigstore       ghcr.io/sigstore/*                        security/sigstore         v2.4.0,v2.4.1                   52   8
    vault          docker.io/hashicorp/vault                 security/vault            1.17.6,1.18.0                    0   0
";

fn lines() -> Vec<Line> {
    let line = |text: &'static str| {
        let mut words = text.split_whitespace();
        let mut word = || words.next().expect("a line has six words");
        let (name, source, target, tags) = (word(), word(), word(), word());
        let mut minutes = || word().parse().expect("the last two are minutes");
        Line { name, source, target, tags, ago: minutes(), next: minutes() }
    };
    TABLE.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

const DENIED: &str = "starting an upload of blob sha256:5d20c808… (48.2 MiB) to registry.example/platform/billing: 403 DENIED: requested access to the resource is denied; the login may pull and not push there: give it the right to push, or use another one ([registries.\"registry.example\"] username)";
const UNKNOWN: &str = "looking up manifest v1.31.2 of registry.k8s.io/kube-proxy: no answer for 150 s: connecting to 34.96.108.209:443: connection timed out; check that this machine reaches registry.k8s.io, or set a proxy with HTTPS_PROXY";

/// Everything is there, and some of it moves for as long as this lives.
pub(crate) struct Lively {
    pub(crate) stage: Stage,
    _moving: AbortOnDropHandle<()>,
}

impl Lively {
    pub(crate) async fn start() -> Self {
        let lines = lines();
        let status = status_of(&lines.iter().map(|line| line.name.to_owned()).collect::<Vec<_>>());
        registries(&status);
        lines.iter().zip(0..).for_each(|(line, number)| past(&status, number, line));
        let now = Timestamp::now();
        let at = |line: &Line| (line.next > 0).then(|| now + Duration::from_secs(line.next * 60 + 7));
        status.ticks(lines.iter().map(|line| (line.name, at(line))));
        let stage = Stage::of(Arc::clone(&status), imports()).await;
        Self { stage, _moving: AbortOnDropHandle::new(tokio::spawn(moving(status))) }
    }
}

fn host(name: &str) -> Host {
    name.parse().expect("it is a host")
}

fn registries(status: &Status) {
    let rate = Rate { per_second: 20.0, burst: std::num::NonZeroU32::MIN };
    let [hub, own] =
        [Limits { pull_reserve: 20, ..Limits::default() }, Limits { bandwidth: Some(200 * MIB), ..Limits::default() }];
    let limits = [
        ("docker.io", hub),
        ("ghcr.io", Limits::default()),
        ("harbor.example", Limits { rate: Some(rate), ..Limits::default() }),
        ("mcr.microsoft.com", Limits::default()),
        ("quay.io", Limits { max_connections: Some(16), ..Limits::default() }),
        ("registry.example", own),
        ("registry.k8s.io", Limits::default()),
    ];
    status.registries_are(limits.map(|(name, limits)| (host(name), limits)));
    for (name, requests, answer) in [
        ("docker.io", 1284, Some(200)),
        ("ghcr.io", 96, Some(200)),
        ("harbor.example", 611, Some(200)),
        ("mcr.microsoft.com", 142, Some(200)),
        ("quay.io", 873, Some(429)),
        ("registry.example", 4120, Some(201)),
        ("registry.k8s.io", 388, None),
    ] {
        let registry = &host(name);
        (0..requests).for_each(|_| {
            status.request(&Request { registry, method: "GET", status: Some(200), elapsed: Duration::ZERO });
        });
        status.request(&Request { registry, method: "GET", status: answer, elapsed: Duration::ZERO });
    }
    status.pulls_left(&host("docker.io"), 20, Duration::from_secs(5 * 3600));
    status.throttled(&host("docker.io"), ThrottleReason::Quota, Duration::from_secs(1860));
    status.throttled(&host("quay.io"), ThrottleReason::RetryAfter, Duration::from_secs(94));
    status.throttled(&host("quay.io"), ThrottleReason::Window, Duration::from_secs(12));
    status.throttled(&host("registry.example"), ThrottleReason::Bandwidth, Duration::from_secs(41));
    for (name, error) in [
        ("quay.io", "looking up manifest v1.16.3 of quay.io/cilium/cilium: 429 TOOMANYREQUESTS: retry after 30 s"),
        ("registry.k8s.io", "looking up manifest v1.31.2 of registry.k8s.io/kube-proxy: connection timed out"),
    ] {
        let reason = regferry::backoff::RetryReason::Connection;
        status.retry(&Retry { registry: &host(name), reason, pause: Duration::ZERO, error: &error });
    }
}

/// The last runs of a rule, an hour apart: mostly nothing was new.
fn past(status: &Status, number: u64, line: &Line) {
    let Line { name, source, target, tags, ago, .. } = line;
    let folder = if source.ends_with('*') { "/*" } else { "" };
    status.between(name, vec![(*source).to_owned()], vec![format!("registry.example/{target}{folder}")]);
    if *ago == 0 {
        return;
    }
    let repository = if source.contains("harbor") { "/billing" } else { "/kube-proxy" };
    let from = source.replace("/**", repository).replace("/*", repository);
    let to = format!("registry.example/{target}{}", if folder.is_empty() { "" } else { repository });
    for hours in (0..20).rev() {
        let mixed = (number * 7 + hours * 5) % 9;
        let is_new = |place: u64| hours == 19 || (mixed < 4 && place <= mixed / 2);
        let bytes = |place: u64| (9 + mixed * 31 + place * 17 + number * 3) * MIB / if hours == 19 { 1 } else { 2 };
        let images = tags.split(',').zip(0..).map(|(tag, place)| match is_new(place) {
            true => image(&from, &to, tag, ImageOutcome::Copied, bytes(place)),
            false => image(&from, &to, tag, ImageOutcome::Unchanged, 0),
        });
        let mut images: Vec<ImageReport> = images.collect();
        let error = [("platform", DENIED), ("kube-core", UNKNOWN)].into_iter().find(|(failing, _)| failing == name);
        let outcome = match error.filter(|_| hours < 3) {
            Some((_, error)) => {
                let last = images.last_mut().expect("each rule has tags");
                (last.outcome, last.bytes, last.error) = (ImageOutcome::Failed, 0, Some(error.to_owned()));
                RunOutcome::Failure
            }
            None if *name == "grafana" && (5..7).contains(&hours) => RunOutcome::Timeout,
            None => RunOutcome::Success,
        };
        run(status, name, (ago + hours * 60) * 60, outcome, images);
    }
}

fn imports() -> Vec<ImportJob> {
    let job = |id: &str, state, source: &str, target: &str, ago, error: Option<&str>| ImportJob {
        id: id.to_owned(),
        state,
        source: source.to_owned(),
        targets: vec![target.to_owned()],
        force: false,
        created: Timestamp::now() - Duration::from_secs(ago),
        started: Some(Timestamp::now() - Duration::from_secs(ago)),
        ended: (state != JobState::Running).then(|| Timestamp::now() - Duration::from_secs(ago - 20)),
        error: error.map(str::to_owned),
        result: None,
    };
    vec![
        job("1-9", JobState::Running, "ghcr.io/acme/checkout:1.9.0", "registry.example/shop/checkout:1.9.0", 34, None),
        job("1-8", JobState::Done, "docker.io/library/redis:7.4", "registry.example/data/redis:7.4", 1310, None),
    ]
}

/// Three runs are under way, and one of them waits.
async fn moving(status: Arc<Status>) {
    let (hub, own) = (host("docker.io"), host("registry.example"));
    for (rule, found, done) in [("python", 148, 61_u64), ("argo-cd", 36, 24), ("vault", 12, 5)] {
        status.run_started(rule);
        status.found(rule, found);
        for number in 0..done {
            let tag = format!("build-{number}");
            status.image(
                rule,
                &image("docker.io/library/some", "registry.example/base/some", &tag, ImageOutcome::Copied, 11 * MIB),
            );
        }
    }
    status.out_of_pulls("vault", &"docker.io: 20 pulls are left, and 20 are kept for others; images that wait: 7");
    (0..6).for_each(|_| status.transfer_started());
    for step in 0_u64.. {
        let wave = 24 + (step % 40).abs_diff(20) * 2 + (step * 7919) % 13;
        status.bytes(&hub, Direction::Read, wave * MIB / 10);
        status.bytes(&own, Direction::Written, (wave - (step * 31) % 9) * MIB / 10);
        if step % 12 == 0 {
            let tag = format!("build-{}", 100 + step);
            status.image(
                "python",
                &image(
                    "docker.io/library/python",
                    "registry.example/base/python",
                    &tag,
                    ImageOutcome::Copied,
                    21 * MIB,
                ),
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
}
