//! The alert rules, by Prometheus' own tool.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::server::promtool;

use crate::files::{items, path, read, text, yaml};

/// Those for the replicas of a cluster.
pub(crate) const CLUSTER: &str = "deploy/prometheus/alerts-cluster.yaml";

/// A file of rules, and those that test it.
const FILES: [(&str, &[&str]); 3] = [
    (
        "deploy/prometheus/alerts.yaml",
        &[
            "deploy/prometheus/tests/alerts.yaml",
            "deploy/prometheus/tests/alerts-restarts.yaml",
            "deploy/prometheus/tests/alerts-seldom.yaml",
        ],
    ),
    ("deploy/prometheus/alerts-cronjob.yaml", &["deploy/prometheus/tests/alerts-cronjob.yaml"]),
    (CLUSTER, &["deploy/prometheus/tests/alerts-cluster.yaml"]),
];

#[test]
fn promtool_takes_the_rules_and_the_configuration() {
    for (rules, _) in FILES {
        assert!(run_promtool(&["check", "rules"], rules).contains("SUCCESS"), "{rules}");
    }
    assert!(run_promtool(&["check", "config"], "deploy/prometheus/prometheus.yml").contains("1 rule files found"));
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    for tests in FILES.iter().flat_map(|(_, tests)| *tests) {
        assert!(run_promtool(&["test", "rules"], tests).contains("SUCCESS"), "{tests}");
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    for (rules, tests) in FILES {
        let expected = |fires: bool| {
            let tests = tests.iter().flat_map(|file| cases(file));
            let wanted = tests.filter(|case| (items(&case["exp_alerts"]).count() > 0) == fires);
            wanted.map(|case| text(&case["alertname"]).to_owned()).collect::<BTreeSet<_>>()
        };
        let all: BTreeSet<_> = alerts(rules).iter().map(|alert| text(&alert["alert"]).to_owned()).collect();
        assert_eq!((expected(true), expected(false)), (all.clone(), all), "{rules}");
    }
}

#[test]
fn every_alert_waits_has_a_severity_and_links_to_its_section_of_the_runbook() {
    let runbook = read("docs/runbook.md");
    for alert in FILES.iter().flat_map(|(rules, _)| alerts(rules)) {
        let name = text(&alert["alert"]);
        assert!(alert["for"].is_string(), "{name} fires for a restart");
        assert!(["critical", "warning"].contains(&text(&alert["labels"]["severity"])), "{name}");
        // A heading's anchor is its text in lower case.
        assert_eq!(alert["annotations"]["runbook"], format!("docs/runbook.md#{}", name.to_lowercase()));
        assert!(runbook.lines().any(|line| line == format!("### {name}")), "the runbook says nothing of {name}");
    }
}

/// What an alert for CronJobs asks.
pub(crate) fn job_alert(name: &str) -> String {
    let alerts = alerts("deploy/prometheus/alerts-cronjob.yaml");
    text(&alerts.iter().find(|alert| alert["alert"] == name).expect("there is this alert")["expr"]).to_owned()
}

/// The alerts of a file of rules; others are recorded for them.
fn alerts(rules: &str) -> Vec<Value> {
    let rules = yaml(rules);
    let rules = items(&rules["groups"]).flat_map(|group| items(&group["rules"]));
    rules.filter(|rule| rule["alert"].is_string()).cloned().collect()
}

fn cases(tests: &str) -> Vec<Value> {
    items(&yaml(tests)["tests"]).flat_map(|test| items(&test["alert_rule_test"])).cloned().collect()
}

fn run_promtool(command: &[&str], file: &str) -> String {
    let file = path(file);
    let arguments = [command, &[file.to_str().expect("the repository's path is UTF-8")]].concat();
    promtool(&arguments).unwrap_or_else(|printed| panic!("{printed}"))
}
