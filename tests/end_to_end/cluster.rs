//! Several processes as one mirror, over a real NATS server.

use std::time::Duration;

use futures_util::future::join_all;
use regferry::events::Queue;
use regferry::queue::{Cluster, Order, RunState, Settings};
use regferry::transfer::Mode;
use serde_json::json;
use testkit::content::hello_world;
use testkit::{Endpoint, FakeRegistry, Image, Method, NatsServer};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

const TAGS: usize = 12;

/// Two registries, a NATS server, and a configuration that mirrors all tags of a repository.
struct Scene {
    source: FakeRegistry,
    target: FakeRegistry,
    nats: NatsServer,
    config: String,
}

impl Scene {
    async fn new() -> Self {
        let (source, target, nats) = (FakeRegistry::start().await, FakeRegistry::start().await, NatsServer::start());
        for tag in 0..TAGS {
            source.seed("hello", &format!("v{tag}"), &hello_world());
        }
        let config = format!(
            "[cluster]\nnats = '{}'\nname = 'test'\nack_wait = '2s'\n[[rules]]\nname = 'hello'\nsource = '{}/hello'\n\
             target = '{}/hello'\nschedule = '1h'\n",
            nats.url(),
            source.host(),
            target.host()
        );
        Self { source, target, nats, config }
    }

    /// The test's own view of the cluster.
    async fn cluster(&self) -> Cluster {
        let url = self.nats.url().parse().expect("it is a URL");
        let settings = Settings::of(url, "test", Duration::from_secs(2));
        Cluster::connect(settings).await.expect("NATS answers")
    }

    /// Has the daemons follow the source, waits for that, and returns how many manifests each side was asked for.
    async fn follow(&self, cluster: &Cluster, at: u64) -> (usize, usize) {
        [&self.source, &self.target].iter().for_each(|registry| registry.clear_requests());
        let order = Order { rule: "hello".to_owned(), at, mode: Some(Mode::Follow) };
        let mut runs = cluster.runs_of("hello", cluster.told().await.expect("NATS answers"));
        let sequence = cluster.order(&order).await.expect("NATS answers");
        loop {
            let news = runs.next().await.expect("it goes on");
            if let RunState::Ended { report, .. } = news.state
                && news.sequence >= sequence
            {
                assert_eq!(report.error, None);
                return (
                    self.source.count(&Method::HEAD, Endpoint::Manifest),
                    self.target.count(&Method::HEAD, Endpoint::Manifest),
                );
            }
        }
    }

    /// Waits until one run waits for somebody to do it.
    async fn until_ordered(&self) {
        let cluster = self.cluster().await;
        let waits = async || (cluster.backlog(Queue::Runs).await.expect("NATS answers") == 1).then_some(());
        until("the order waits", waits).await;
    }

    fn tags_written(&self) -> usize {
        let tags = self.target.requests();
        tags.iter().filter(|request| request.method == Method::PUT && request.path.contains("/manifests/v")).count()
    }
}

#[tokio::test]
async fn two_daemons_do_a_tick_once_and_each_of_them_shows_it() {
    let scene = Scene::new().await;
    let daemons = [Daemon::start(&scene.config).await, Daemon::start(&scene.config).await];
    for daemon in &daemons {
        let run = until("the run's end is known", async || {
            let status = daemon.status().await;
            let rule = &status["rules"][0];
            (rule["state"] == "idle" && rule["last_run"].is_object()).then(|| rule.clone())
        })
        .await;
        assert_eq!(
            (&run["last_run"]["copied"], &run["last_run"]["outcome"]),
            (&json!(TAGS), &json!("success")),
            "{run}"
        );
        assert!(run["next"].is_string() && run["last_success"].is_string(), "{run}");
        assert_eq!(daemon.get("/readyz").await, (200, "ready\n".to_owned()));
        let last = daemon.metric(r#"regferry_rule_last_success_timestamp_seconds{rule="hello"}"#).await;
        assert!(last > 0.0, "each says that the rule has succeeded");
        until("both are seen", async || {
            (daemon.metric("regferry_cluster_replicas").await >= 2.0
                && daemon.metric("regferry_cluster_connected").await >= 1.0)
                .then_some(())
        })
        .await;
    }
    assert_eq!(scene.tags_written(), TAGS, "each once");
    let mut runs = 0.0;
    for daemon in &daemons {
        runs += daemon.metric(r#"regferry_rule_runs_total{outcome="success",rule="hello"}"#).await;
    }
    assert!((runs - 1.0).abs() < f64::EPSILON, "{runs} runs");
    for daemon in daemons {
        daemon.signal("TERM");
        let ended = daemon.ended().await;
        assert_eq!(ended.code, Some(143), "{}", ended.stderr);
        assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_order_is_reported_as_a_pass_of_its_own_would_be_and_workers_drain_it() {
    let scene = Scene::new().await;
    let sync = Ferry::new(&["sync", "--cluster", "--output", "json"]).config(&scene.config).spawn();
    let workers = ["work", "--until-empty", "--listen", ""];
    scene.until_ordered().await;
    let workers =
        [Ferry::new(&workers).config(&scene.config).spawn(), Ferry::new(&workers).config(&scene.config).spawn()];
    let report = sync.ended().await;
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let report = report.json();
    assert_eq!((&report["totals"]["copied"], &report["totals"]["failed"]), (&json!(TAGS), &json!(0)), "{report}");
    assert_eq!(report["rules"][0]["images"].as_array().expect("NATS answers").len(), TAGS);
    for worker in workers {
        let ended = worker.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(scene.tags_written(), TAGS, "each once");
    assert_eq!(scene.source.count(&Method::GET, Endpoint::Tags), 1, "listed once");
}

#[tokio::test]
async fn a_daemon_works_on_when_nats_was_away_and_says_so_meanwhile() {
    let mut scene = Scene::new().await;
    let daemon = Daemon::start(&scene.config).await;
    until("the first run's end", async || daemon.status().await["rules"][0]["last_run"].is_object().then_some(()))
        .await;
    scene.nats.stop();
    until("it says so", async || (daemon.get("/readyz").await.0 == 503).then_some(())).await;
    assert_eq!(daemon.get("/livez").await.0, 200);
    until("its status says so too", async || {
        (daemon.status().await["cluster"]["connected"] == json!(false)).then_some(())
    })
    .await;
    scene.nats.restart();
    until("it is back", async || (daemon.get("/readyz").await.0 == 200).then_some(())).await;
    let sync = Ferry::new(&["sync", "--cluster"]).config(&scene.config).run().await;
    assert_eq!(sync.code, Some(0), "{}", sync.stderr);
}

#[tokio::test]
async fn a_pass_that_nats_has_lost_is_ordered_again_by_who_waits_for_it() {
    let mut scene = Scene::new().await;
    let sync = Ferry::new(&["sync", "--cluster", "--output", "json"]).config(&scene.config).spawn();
    scene.until_ordered().await;
    scene.nats.restart_empty();
    let work = Ferry::new(&["work", "--listen", ""]).config(&scene.config).spawn();
    let report = sync.ended().await;
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stderr.contains("NATS has lost streams"), "{}", report.stderr);
    assert_eq!(report.json()["totals"]["copied"], json!(TAGS));
    work.signal("TERM");
    work.ended().await;
}

#[tokio::test]
async fn a_pass_whose_reports_nats_has_lost_is_reported_all_the_same() {
    let scene = Scene::new().await;
    let sync = Ferry::new(&["sync", "--cluster", "--output", "json"]).config(&scene.config).spawn();
    scene.until_ordered().await;
    let client = async_nats::connect(scene.nats.url()).await.expect("NATS answers");
    async_nats::jetstream::new(client).delete_stream("regferry-test-reports").await.expect("it is there");
    let work = Ferry::new(&["work", "--listen", ""]).config(&scene.config).spawn();
    let report = sync.ended().await;
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert_eq!(report.json()["rules"][0]["images"].as_array().expect("they are told").len(), TAGS);
    work.signal("TERM");
    work.ended().await;
}

/// In a queue that is made anew places begin with one again: reports of before have higher ones.
#[tokio::test]
async fn who_orders_after_nats_has_lost_the_queue_is_told_of_no_run_of_before() {
    let scene = Scene::new().await;
    let daemon = Daemon::start(&scene.config).await;
    let ordering = async || {
        let report = Ferry::new(&["sync", "--cluster", "--output", "json"]).config(&scene.config).run().await;
        assert_eq!(report.code, Some(0), "{}", report.stderr);
        report.json()["rules"][0]["images"].as_array().expect("they are told").len()
    };
    for _ in 0..3 {
        assert_eq!(ordering().await, TAGS);
    }
    let client = async_nats::connect(scene.nats.url()).await.expect("NATS answers");
    let jetstream = async_nats::jetstream::new(client);
    jetstream.delete_stream("regferry-test-runs").await.expect("it is there");
    until("it is made anew", async || jetstream.get_stream("regferry-test-runs").await.ok()).await;
    scene.source.seed("hello", "newer", &hello_world());
    assert_eq!(ordering().await, TAGS + 1);
    daemon.signal("TERM");
    daemon.ended().await;
}

#[tokio::test]
async fn a_nats_that_is_not_there_is_told_by_all_that_need_it() {
    let mut scene = Scene::new().await;
    scene.nats.stop();
    let needing = [&["serve", "--listen", ""][..], &["sync", "--cluster"], &["work", "--listen", ""]];
    // Each of them waits for it some time.
    for done in join_all(needing.map(|arguments| Ferry::new(arguments).config(&scene.config).run())).await {
        let text = done.failure(1);
        assert!(text.contains("connecting at NATS") && text.contains("check that it runs"), "{text}");
    }
    assert_eq!(scene.source.requests().len(), 0);
}

#[tokio::test]
async fn a_check_says_whether_nats_is_reached_and_makes_nothing_there() {
    let mut scene = Scene::new().await;
    let check = async |config: &str| Ferry::new(&["check", "--online", "--output", "json"]).config(config).run().await;
    let checked = check(&scene.config).await;
    assert_eq!((checked.code, &checked.json()["online"]["cluster"]["outcome"]), (Some(0), &json!("ok")));
    let client = async_nats::connect(scene.nats.url()).await.expect("NATS answers");
    let streams = async_nats::jetstream::new(client).get_stream("regferry-test-runs").await;
    assert!(streams.is_err(), "it only looks");
    scene.nats.stop();
    let checked = check(&scene.config).await;
    let cluster = &checked.json()["online"]["cluster"];
    assert_eq!((checked.code, &cluster["outcome"]), (Some(1), &json!("failed")));
    assert!(cluster["error"].as_str().is_some_and(|error| error.contains("check that it runs")), "{cluster}");
}

#[tokio::test]
async fn what_needs_a_cluster_says_so_where_the_configuration_has_none() {
    let scene = Scene::new().await;
    let alone = &scene.config[scene.config.find("[[rules]]").expect("NATS answers")..];
    for arguments in [&["sync", "--cluster"][..], &["work"]] {
        let text = Ferry::new(arguments).config(alone).run().await.failure(2);
        assert!(text.contains("it has no [cluster]"), "{text}");
    }
}

#[tokio::test]
async fn an_unchanged_image_costs_one_request_whichever_replica_has_seen_it() {
    let scene = Scene::new().await;
    let daemons = [Daemon::start(&scene.config).await, Daemon::start(&scene.config).await];
    for daemon in &daemons {
        until("the first run's end", async || daemon.status().await["rules"][0]["last_run"].is_object().then_some(()))
            .await;
    }
    let cluster = scene.cluster().await;
    assert_eq!(scene.follow(&cluster, 1).await, (TAGS, 0), "what was brought is in place");
    assert_eq!(scene.follow(&cluster, 2).await, (TAGS, 0));

    let other = Image::oci("linux/amd64").layer(7, 100).build();
    scene.source.seed("hello", "v3", &other);
    assert_eq!(scene.follow(&cluster, 3).await.0, TAGS);
    assert_eq!(scene.target.manifest("hello", "v3").map(|moved| moved.digest()), Some(other.digest()));
    scene.source.seed("hello", "v3", &hello_world());
    assert_eq!(scene.follow(&cluster, 4).await.0, TAGS);
    assert_eq!(scene.target.manifest("hello", "v3").map(|back| back.digest()), Some(hello_world().digest()));
    assert_eq!(scene.follow(&cluster, 5).await, (TAGS, 0));

    let nats = async_nats::jetstream::new(async_nats::connect(scene.nats.url()).await.expect("NATS answers"));
    nats.get_stream("KV_regferry-test-seen").await.expect("it is there").purge().await.expect("NATS answers");
    assert_eq!(scene.follow(&cluster, 6).await, (TAGS, TAGS), "who has lost what he knew asks both sides");
    assert_eq!(scene.follow(&cluster, 7).await, (TAGS, 0));
}

#[tokio::test]
async fn what_an_import_moves_is_seen_by_the_next_run() {
    let scene = Scene::new().await;
    let (token, http) = ("s3cret-one-of-the-api", reqwest::Client::builder());
    let config = format!("service.api_token_file = 'token'\n{}", scene.config);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&config).file("token", token)).await;
    until("the first run's end", async || daemon.status().await["rules"][0]["last_run"].is_object().then_some(()))
        .await;
    let cluster = scene.cluster().await;
    assert_eq!(scene.follow(&cluster, 1).await, (TAGS, 0));

    let other = Image::oci("linux/amd64").layer(7, 100).build();
    scene.source.seed("other", "v1", &other);
    let order = json!({
        "source": format!("{}/other:v1", scene.source.host()),
        "images": [format!("{}/hello:v3", scene.target.host())],
        "force": true,
    });
    let http = http.no_proxy().build().expect("plain HTTP needs nothing more");
    let asked = http.post(format!("{}/api/v1/imports", daemon.url())).bearer_auth(token);
    let asked = asked.header("Content-Type", "application/json").body(order.to_string()).send().await;
    assert_eq!(asked.expect("the daemon answers").status(), 202);
    let is_moved = || scene.target.manifest("hello", "v3").is_some_and(|moved| moved.digest() == other.digest());
    until("the import has moved the tag", async || is_moved().then_some(())).await;
    scene.follow(&cluster, 2).await;
    assert!(!is_moved(), "the rule has moved it back");
}
