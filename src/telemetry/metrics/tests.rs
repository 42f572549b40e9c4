use std::time::SystemTime;

use tokio::time::sleep;

use super::*;
use crate::events::{LeaseKind, Queue};

fn metrics(rules: &[&str]) -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics.rules(rules);
    metrics
}

fn run(rule: &str) -> RuleReport {
    RuleReport::begun(&rule.into(), SystemTime::now())
}

fn assert_has(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.render().unwrap();
    for line in lines {
        assert!(text.lines().any(|there| there.starts_with(line)), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_rule_begins_with_zeros_so_that_its_first_failure_is_an_increase() {
    assert_has(
        &metrics(&["hello"]),
        &[
            "regferry_rule_last_success_timestamp_seconds{rule=\"hello\"} 0",
            "regferry_rule_runs_total{outcome=\"success\",rule=\"hello\"} 0",
            "regferry_rule_runs_total{outcome=\"failure\",rule=\"hello\"} 0",
            "regferry_rule_runs_total{outcome=\"timeout\",rule=\"hello\"} 0",
            "regferry_rule_runs_total{outcome=\"cancelled\",rule=\"hello\"} 0",
            "regferry_images_total{outcome=\"failed\",rule=\"hello\"} 0",
            "regferry_blobs_total{outcome=\"failed\",rule=\"hello\"} 0",
            "regferry_pruned_tags_total{rule=\"hello\"} 0",
            "regferry_rule_run_duration_seconds_count{rule=\"hello\"} 0",
        ],
    );
}

#[test]
fn the_program_itself_is_there_from_the_start() {
    let lines =
        ["regferry_build_info{version=", "regferry_config_last_reload_successful 1", "process_resident_memory_"];
    assert_has(&metrics(&[]), &lines);
}

#[test]
fn how_many_images_a_run_found_is_not_known_before_it() {
    assert!(!metrics(&["hello"]).render().unwrap().contains("regferry_rule_images{"));
}

#[test]
fn events_are_counted_under_the_contracts_names() {
    let metrics = metrics(&["hello", "empty"]);
    let host: Host = "r.example".parse().unwrap();
    metrics.bytes(&host, Direction::Written, 5);
    metrics.blob("hello", BlobOutcome::Mounted);
    metrics.blob("import", BlobOutcome::Copied);
    metrics.pruned("hello", &"r.example/app:old".parse().unwrap());
    metrics.transfer_started();
    metrics.request(&Request { registry: &host, method: "HEAD", status: None, elapsed: Duration::from_millis(3) });
    metrics.request(&Request { registry: &host, method: "PUT", status: Some(201), elapsed: Duration::from_secs(600) });
    metrics.set_interval("hello", Duration::from_secs(900));
    metrics.run_ended(&run("empty"));
    metrics.reloaded(false);
    assert_has(
        &metrics,
        &[
            "regferry_rule_images{rule=\"empty\"} 0",
            "regferry_rule_interval_seconds{rule=\"hello\"} 900",
            "regferry_blob_bytes_total{direction=\"written\",registry=\"r.example\"} 5",
            "regferry_blobs_total{outcome=\"mounted\",rule=\"hello\"} 1",
            "regferry_blobs_total{outcome=\"copied\",rule=\"import\"} 1",
            "regferry_pruned_tags_total{rule=\"hello\"} 1",
            "regferry_transfers_in_flight 1",
            "regferry_http_requests_total{method=\"HEAD\",registry=\"r.example\",status=\"error\"} 1",
            "regferry_http_request_duration_seconds_bucket{method=\"HEAD\",registry=\"r.example\",le=\"0.005\"} 1",
            "regferry_http_request_duration_seconds_bucket{method=\"PUT\",registry=\"r.example\",le=\"300\"} 0",
            "regferry_http_request_duration_seconds_bucket{method=\"PUT\",registry=\"r.example\",le=\"1800\"} 1",
            "regferry_config_last_reload_successful 0",
        ],
    );
}

#[test]
fn what_a_rule_that_stays_has_counted_stays() {
    let metrics = metrics(&["hello"]);
    metrics.run_ended(&run("hello"));

    metrics.rules(&["new", "hello"]);

    assert_has(&metrics, &["regferry_rule_runs_total{outcome=\"success\",rule=\"hello\"} 1"]);
    assert_has(&metrics, &["regferry_rule_last_success_timestamp_seconds{rule=\"new\"} 0"]);
    assert!(!metrics.render().unwrap().contains("timestamp_seconds{rule=\"hello\"} 0\n"));
}

#[test]
fn a_rule_that_is_removed_leaves_no_series_even_if_its_run_ends_later() {
    let metrics = metrics(&["hello", "gone"]);
    metrics.set_interval("gone", Duration::from_secs(1));
    metrics.run_ended(&run("gone"));

    metrics.rules(&["hello"]);
    assert!(!metrics.render().unwrap().contains("gone"));

    metrics.blob("gone", BlobOutcome::Failed);
    metrics.pruned("gone", &"r.example/app:old".parse().unwrap());
    metrics.set_interval("gone", Duration::from_secs(1));
    metrics.run_ended(&run("gone"));
    assert!(!metrics.render().unwrap().contains("gone"), "{}", metrics.render().unwrap());
}

fn pulls_left(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render().unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("regferry_pull_quota_remaining"));
    series.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn how_many_pulls_are_left_is_shown_until_the_window_of_the_last_answer_is_over() {
    let (metrics, hub) = (metrics(&[]), "docker.io".parse().unwrap());
    let window = Duration::from_secs(21_600);
    metrics.pulls_left(&hub, 3, window);
    sleep(window / 2).await;
    metrics.pulls_left(&hub, 0, window);

    sleep(window - Duration::from_secs(1)).await;
    assert_eq!(pulls_left(&metrics), ["{registry=\"docker.io\"} 0"]);
    sleep(Duration::from_secs(1)).await;
    assert!(!metrics.render_for_files().unwrap().contains("regferry_pull_quota_remaining"));

    metrics.pulls_left(&hub, 100, window);
    assert_eq!(pulls_left(&metrics), ["{registry=\"docker.io\"} 100"]);
}

#[test]
fn how_many_pulls_are_left_where_no_rule_pulls_any_more_is_not_shown() {
    let (metrics, [gone, kept]) =
        (metrics(&[]), ["gone", "kept"].map(|host| format!("{host}.example").parse().unwrap()));
    for registry in [&gone, &kept] {
        metrics.pulls_left(registry, 0, Duration::from_secs(21_600));
    }

    metrics.keep_registries(|registry| *registry == kept);

    assert_eq!(pulls_left(&metrics), ["{registry=\"kept.example\"} 0"]);
}

#[test]
fn what_an_earlier_process_wrote_is_taken_over_of_rules_that_are_there_still() {
    let earlier = metrics(&["fails", "gone"]);
    earlier.run_ended(&run("fails"));
    earlier.run_ended(&run("gone"));
    let text = earlier.render_for_files().unwrap();
    let line =
        text.lines().find(|line| line.starts_with("regferry_rule_last_success_timestamp_seconds{rule=\"fails\"}"));

    let metrics = metrics(&["fails", "new"]);
    metrics.take_over(&text).unwrap();

    assert_has(&metrics, &[line.unwrap(), "regferry_rule_last_success_timestamp_seconds{rule=\"new\"} 0"]);
    assert!(!metrics.render().unwrap().contains("gone"));
    assert_eq!(
        metrics.take_over("no"),
        Err(NoMetrics::Family("regferry_rule_last_success_timestamp_seconds".to_owned()))
    );
}

#[test]
fn what_others_wrote_meanwhile_holds_where_it_is_later_and_nothing_of_our_own_says_more() {
    let metrics = metrics(&["ours", "failed", "theirs"]);
    let written =
        |rule: &str, time: f64| format!("regferry_rule_last_success_timestamp_seconds{{rule=\"{rule}\"}} {time}\n");
    metrics.run_ended(&run("ours"));

    // A clock that went wrong once is no reason to say so for ever.
    for time in [5.0, 7.0, 6.0, 1e12] {
        metrics.take_over(&written("ours", time)).unwrap();
    }
    for time in [5.0, 7.0, 6.0] {
        metrics.take_over(&(written("failed", time - 1.0) + &written("theirs", time))).unwrap();
    }

    assert_has(&metrics, &[written("failed", 6.0).trim_end(), written("theirs", 7.0).trim_end()]);
    let text = metrics.render().unwrap();
    let ours =
        text.lines().find_map(|line| line.strip_prefix("regferry_rule_last_success_timestamp_seconds{rule=\"ours\"} "));
    let ours: f64 = ours.unwrap().parse().unwrap();
    assert!(ours > 1e9 && ours < 1e11, "{ours}");
}

#[test]
fn a_file_has_nothing_of_the_process() {
    let text = metrics(&["hello"]).render_for_files().unwrap();
    assert!(text.contains("regferry_build_info") && !text.contains("process_"), "{text}");
}

#[test]
fn a_cluster_is_shown_from_its_first_news_on_and_counters_with_zeros() {
    let metrics = metrics(&[]);
    assert!(!metrics.render().unwrap().contains("regferry_cluster"));

    metrics.cluster(&ClusterNews::Connected(true));
    assert_has(
        &metrics,
        &[
            "regferry_cluster_connected 1",
            "regferry_cluster_redeliveries_total{queue=\"runs\"} 0",
            "regferry_cluster_redeliveries_total{queue=\"images\"} 0",
            "regferry_cluster_dead_letters_total{queue=\"images\"} 0",
            "regferry_cluster_leases{kind=\"rule\"} 0",
        ],
    );
}

#[test]
fn what_a_replica_learns_of_its_cluster_is_shown() {
    let metrics = metrics(&[]);
    let host: Host = "r.example".parse().unwrap();
    let news = [
        ClusterNews::Connected(false),
        ClusterNews::Replicas(3),
        ClusterNews::Backlog { queue: Queue::Images, messages: 70 },
        ClusterNews::Redelivered(Queue::Images),
        ClusterNews::DeadLetter(Queue::Runs),
        ClusterNews::Leases { kind: LeaseKind::Image, held: 4 },
        ClusterNews::Share { registry: &host, part: Some(0.25) },
    ];
    news.iter().for_each(|news| metrics.cluster(news));
    assert_has(
        &metrics,
        &[
            "regferry_cluster_connected 0",
            "regferry_cluster_replicas 3",
            "regferry_cluster_backlog{queue=\"images\"} 70",
            "regferry_cluster_redeliveries_total{queue=\"images\"} 1",
            "regferry_cluster_dead_letters_total{queue=\"runs\"} 1",
            "regferry_cluster_leases{kind=\"image\"} 4",
            "regferry_cluster_share{registry=\"r.example\"} 0.25",
        ],
    );
    metrics.cluster(&ClusterNews::Share { registry: &host, part: None });
    assert!(!metrics.render().unwrap().contains("regferry_cluster_share{"));
}
