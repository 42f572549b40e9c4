//! The dashboard and the alerts, before a real Prometheus that scrapes a real daemon at work.

mod panels;
mod rendered;
mod scenario;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use regferry::events::{ClusterNews, Observer as _, Queue};
use regferry::telemetry::Metrics;
use serde_json::Value;
use tempfile::NamedTempFile;
use testkit::server::Prometheus;

use crate::alerts;
use crate::files::{items, read, text};
use crate::support::until;
use panels::{Query, Series};
use scenario::{BROKEN, Scenario};

const RULES_AND_TARGETS: &str = "deploy/prometheus/prometheus.yml";
const RULES: &str = "deploy/prometheus/alerts.yaml";

/// How the names of a cluster's metrics begin.
const CLUSTER: &str = "regferry_cluster_";

/// What may be zero all the time, and why.
const MAY_BE_ZERO: [(&str, &str); 1] = [("process_cpu_seconds_total", "it counts whole seconds, and may need none")];

#[tokio::test]
async fn every_query_of_the_dashboard_and_every_alert_finds_what_it_asks_for() {
    let scenario = Scenario::start().await;
    let rules = impatient_rules();
    let prometheus = Prometheus::start(&configuration(scenario.metrics(), rules.path()));

    // A daemon alone has nothing to say of a cluster.
    let queries: Vec<Query> =
        panels::queries().into_iter().filter(|query| !query.expression.contains(CLUSTER)).collect();
    for query in &queries {
        until(&query.to_string(), async || says(query, &query.run(&prometheus).await).then_some(())).await;
    }
    for expression in panels::variables() {
        let data = prometheus.ask("query", &[("query", &expression)]).await;
        assert!(items(&data["result"]).count() > 0, "{expression} finds nothing to choose from");
    }
    for name in metrics_of_rules() {
        let data = prometheus.ask("query", &[("query", &format!("{name}{{job=\"regferry\"}}"))]).await;
        assert!(items(&data["result"]).count() > 0, "the rules ask for {name}, which nobody has");
    }
    until("all rules evaluated without an error", async || are_healthy(&prometheus).await.then_some(())).await;
    for alert in ["RegferryMirrorStale", "RegferryRuleFailing"] {
        until(alert, async || alerts_of(&prometheus, alert).await.contains(BROKEN).then_some(())).await;
    }

    let mut shown = Vec::new();
    for query in queries {
        let found = query.run(&prometheus).await;
        shown.push((query, found));
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard.txt");
    fs::write(file, rendered::text(&shown)).expect("target/ is writable");
}

#[test]
fn what_is_asked_of_a_cluster_is_what_a_replica_shows() {
    let metrics = Metrics::new().unwrap();
    let registry = "registry.example".parse().unwrap();
    metrics.cluster(&ClusterNews::Share { registry: &registry, part: Some(1.0) });
    Queue::ALL.iter().for_each(|queue| metrics.cluster(&ClusterNews::Backlog { queue: *queue, messages: 1 }));
    let shown = metrics.render().unwrap();
    let name = Regex::new(r"\bregferry_cluster_[a-z_]+").expect("the pattern is one");

    let panels: Vec<String> = panels::queries().into_iter().map(|query| query.expression).collect();
    let asked = [panels.join("\n"), read(alerts::CLUSTER), read("deploy/kubernetes/cluster/autoscaler.yaml")];
    for text in &asked {
        let names: BTreeSet<&str> = name.find_iter(text).map(|found| found.as_str()).collect();
        assert!(!names.is_empty(), "{text}");
        assert!(names.iter().all(|name| shown.contains(&format!("# TYPE {name} "))), "{names:?}");
    }
}

/// The shipped configuration, but for what hangs on the place: the daemon's address, where the rules lie, and how long a
/// test has.
fn configuration(daemon: &str, rules: &Path) -> String {
    let rules = format!("- {}", rules.display());
    replaced(RULES_AND_TARGETS, &[("regferry:9464", daemon), ("- alerts.yaml", &rules), (": 15s", ": 1s")])
}

/// The shipped rules, but for the minutes that rules which run every second have before they are told of.
fn impatient_rules() -> NamedTempFile {
    let file = NamedTempFile::new().expect("the temporary directory is writable");
    fs::write(&file, replaced(RULES, &[(" + 600", " + 1"), (" + 300", " + 1")])).expect("so is the file");
    file
}

/// A shipped file with something else in some places.
fn replaced(shipped: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(read(shipped), |text, (place, here)| {
        assert!(text.contains(place), "{place} is not in {shipped}");
        text.replace(place, here)
    })
}

/// Whether there is data, and more than zeros.
fn says(query: &Query, found: &[Series]) -> bool {
    let may_be_zero = MAY_BE_ZERO.iter().any(|(name, _why)| query.expression.contains(name));
    found.iter().flat_map(|series| &series.values).any(|value| value.is_finite() && (may_be_zero || *value != 0.0))
}

/// Those of the daemon, and those that are recorded.
fn metrics_of_rules() -> BTreeSet<String> {
    let name = Regex::new(r"\b(regferry[_:]|process_)[a-z_]+").expect("the pattern is one");
    name.find_iter(&read(RULES)).map(|found| found.as_str().to_owned()).collect()
}

async fn are_healthy(prometheus: &Prometheus) -> bool {
    let data = prometheus.ask("rules", &[]).await;
    let rules: Vec<&Value> = items(&data["groups"]).flat_map(|group| items(&group["rules"])).collect();
    assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
    !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok")
}

/// The rules of ours for which an alert waits or fires.
async fn alerts_of(prometheus: &Prometheus, name: &str) -> BTreeSet<String> {
    let data = prometheus.ask("alerts", &[]).await;
    let alerts = items(&data["alerts"]).filter(|alert| alert["labels"]["alertname"] == name);
    alerts.map(|alert| text(&alert["labels"]["rule"]).to_owned()).collect()
}
