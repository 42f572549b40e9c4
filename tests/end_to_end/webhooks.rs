//! Registries that tell of what is pushed to them, and rules that run for it.

use std::time::{Duration, Instant};

use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

const SECRET: &str = "s3cret-of-the-registry";
const AUTHORIZATION: &str = "Bearer s3cret-of-the-registry";

const TAKEN: &str = "[webhooks.distribution]\nsecret_file = 'secret'\n";

/// A daemon that takes distribution's messages, and has a rule without a meaning: its address goes into a registry's
/// configuration, and that one's into its rules.
async fn daemon() -> Daemon {
    let registry = FakeRegistry::start().await;
    registry.seed("nothing", "v1", &hello_world());
    let host = registry.host();
    let config = format!("{TAKEN}{}", rule("nothing", &format!("{host}/nothing"), &format!("{host}/at/all"), ""));
    let arguments = ["-v", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&config).file("secret", &format!("{SECRET}\n"))).await;
    until("the first run", async || (runs(&daemon, "nothing").await >= 1.0).then_some(())).await;
    daemon
}

fn hook(daemon: &Daemon) -> String {
    format!("{}/api/v1/webhooks/distribution", daemon.url())
}

/// A rule that its schedule does not run again while the test does.
fn rule(name: &str, source: &str, target: &str, more: &str) -> String {
    format!("[[rules]]\nname = '{name}'\nsource = '{source}'\ntarget = '{target}'\nschedule = '24h'\n{more}\n")
}

async fn runs(daemon: &Daemon, rule: &str) -> f64 {
    daemon.metric(&format!("regferry_rule_runs_total{{outcome=\"success\",rule=\"{rule}\"}}")).await
}

async fn copied(daemon: &Daemon) -> f64 {
    daemon.metric("regferry_images_total{outcome=\"copied\",rule=\"app\"}").await
}

async fn heard(daemon: &Daemon, outcome: &str) -> f64 {
    daemon.metric(&format!("regferry_webhooks_total{{kind=\"distribution\",outcome=\"{outcome}\"}}")).await
}

async fn post(daemon: &Daemon, authorization: &str, body: &str) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().expect("plain HTTP needs nothing more");
    let request = http.post(hook(daemon)).header("Authorization", authorization).body(body.to_owned());
    request.send().await.expect("the daemon answers").status().as_u16()
}

fn image(seed: u64) -> Image {
    Image::oci("linux/amd64").layer(seed, 5_000).build()
}

#[tokio::test]
async fn a_push_to_a_real_registry_is_at_the_target_within_two_seconds() {
    let daemon = daemon().await;
    let source = DistributionServer::builder().with_notifications(&hook(&daemon), AUTHORIZATION).start();
    let target = DistributionServer::start();
    let (from, to) = (source.host(), target.host());
    client::push(from, "team/app", "v0", &hello_world()).await;
    client::push(from, "other", "v0", &hello_world()).await;
    let rules = rule("app", &format!("{from}/team/*"), &format!("{to}/mirror/*"), "tags.include = ['v*']")
        + &rule("other", &format!("{from}/other"), &format!("{to}/other"), "");
    daemon.rewrite("regferry.toml", &format!("{TAKEN}{rules}"));
    until("the first runs", async || {
        (runs(&daemon, "app").await >= 1.0 && runs(&daemon, "other").await >= 1.0).then_some(())
    })
    .await;

    let mut took = Vec::new();
    for number in 1..=5 {
        let tag = format!("v{number}");
        client::push(from, "team/app", &tag, &image(number)).await;
        let pushed = Instant::now();
        // The registry itself fails for who asks for a tag while it is being written.
        until("the copy", async || (copied(&daemon).await > number as f64).then_some(())).await;
        took.push(pushed.elapsed());
        let (here, there) = (Place::new(from, "team/app", &tag), Place::new(to, "mirror/app", &tag));
        assert_eq!(client::same_tree(here, there).await, Ok(()), "{tag}");
    }

    // The machine may be busy with something else at one time, not at each.
    let fastest = took.iter().min().copied().unwrap_or(Duration::MAX);
    assert!(fastest < Duration::from_secs(2), "{took:?}");
    assert!(heard(&daemon, "accepted").await >= 5.0 && heard(&daemon, "ignored").await >= 1.0);
    assert_eq!((heard(&daemon, "invalid").await, heard(&daemon, "unauthorized").await), (0.0, 0.0));
    assert_eq!(runs(&daemon, "other").await, 1.0, "nothing was pushed there");
    client::push(from, "team/app", "edge", &image(9)).await;
    until("a tag that no rule wants", async || (heard(&daemon, "unmatched").await >= 1.0).then_some(())).await;
    assert!(!daemon.log().contains(SECRET), "{}", daemon.log());
}

#[tokio::test]
async fn many_pushes_at_once_are_one_run() {
    let daemon = daemon().await;
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let (from, to) = (format!("{}/app", source.host()), format!("{}/app", target.host()));
    daemon.rewrite("regferry.toml", &format!("{TAKEN}{}", rule("app", &from, &to, "")));
    until("the first run", async || (runs(&daemon, "app").await >= 1.0).then_some(())).await;
    let push = |tag: &str| {
        let target = format!(r#"{{"repository": "app", "tag": "{tag}"}}"#);
        format!(
            r#"{{"events": [{{"action": "push", "target": {target}, "request": {{"host": "{}"}}}}]}}"#,
            source.host()
        )
    };

    let before = source.requests().len();
    for number in 0..50 {
        let tag = format!("v{number}");
        source.seed("app", &tag, &hello_world());
        assert_eq!(post(&daemon, AUTHORIZATION, &push(&tag)).await, 202);
    }
    until("the run that they ask for", async || (runs(&daemon, "app").await >= 2.0).then_some(())).await;
    until("what was pushed", async || target.check_whole("app", "v49").is_ok().then_some(())).await;

    let listings = source.requests()[before..].iter().filter(|request| request.path.ends_with("/tags/list")).count();
    assert!((1..10).contains(&listings), "{listings} runs for 50 pushes");
}

#[tokio::test]
async fn who_does_not_know_the_secret_is_told_in_the_log_once_and_counted() {
    let daemon = daemon().await;
    for _ in 0..30 {
        let code = post(&daemon, "Bearer an0ther-that-is-wrong", "{}").await;
        assert!(matches!(code, 401 | 429), "{code}");
    }
    assert_eq!(post(&daemon, AUTHORIZATION, r#"{"events": []}"#).await, 200);
    let log = daemon.log();
    let told = log.lines().filter(|line| line.contains("a webhook's message is not let in")).count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("an0ther") && heard(&daemon, "unauthorized").await == 30.0, "{log}");
}

#[tokio::test]
async fn a_secret_that_cannot_be_one_is_a_wrong_configuration() {
    for command in ["check", "serve"] {
        for (file, tells) in [("\n", "it is empty"), ("hunter2", "line 1 is shorter than 16 characters")] {
            let config = format!("{TAKEN}{}", rule("a", "127.0.0.1:9/a", "127.0.0.1:9/b", ""));
            let told = Ferry::new(&[command]).config(&config).file("secret", file).run().await.failure(2);
            assert!(told.contains("secret") && told.contains(tells) && !told.contains("hunter2"), "{told}");
        }
        for (config, tells) in [
            ("[webhooks.harbour]\n", "webhooks.harbour: unknown key; did you mean `harbor`?"),
            ("[webhooks.quay]\n", "webhooks.quay: has no `secret_file`"),
        ] {
            let told = Ferry::new(&[command]).config(config).run().await.failure(2);
            assert!(told.contains(tells), "{told}");
        }
    }
}
