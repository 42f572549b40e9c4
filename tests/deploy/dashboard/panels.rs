//! What the dashboard asks, as Grafana would ask it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use testkit::server::Prometheus;

use crate::files::{items, json, text};

const DASHBOARD: &str = "deploy/grafana/regferry.json";
/// The panels show so much of the past: more than a test takes.
const RANGE: Duration = Duration::from_secs(600);

/// A query of a panel, with a value in the place of every variable.
pub(super) struct Query {
    pub(super) panel: String,
    pub(super) expression: String,
    legend: String,
    is_instant: bool,
}

/// A line of a panel.
pub(super) struct Series {
    pub(super) name: String,
    /// In time's order; one, where the panel asks for the present only.
    pub(super) values: Vec<f64>,
}

/// All queries of all panels.
pub(super) fn queries() -> Vec<Query> {
    let dashboard = json(DASHBOARD);
    let drawn: Vec<&Value> = items(&dashboard["panels"]).filter(|panel| panel["type"] != "row").collect();
    for panel in &drawn {
        assert!(items(&panel["targets"]).count() > 0, "{} asks for nothing", panel["title"]);
    }
    let targets = drawn.iter().flat_map(|panel| items(&panel["targets"]).map(move |target| (*panel, target)));
    targets.map(|(panel, target)| Query::new(panel, target)).collect()
}

/// What the variables are chosen from: `label_values(series, label)` as an expression.
pub(super) fn variables() -> Vec<String> {
    let dashboard = json(DASHBOARD);
    let variables = items(&dashboard["templating"]["list"]).filter(|variable| variable["type"] == "query");
    let expression = |variable: &Value| {
        let call =
            text(&variable["query"]["query"]).strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) = call.and_then(|inner| inner.rsplit_once(", ")).expect("it is a call of label_values");
        format!("group by ({label}) ({})", filled(series))
    };
    variables.map(expression).collect()
}

impl Query {
    fn new(panel: &Value, target: &Value) -> Self {
        Self {
            panel: text(&panel["title"]).to_owned(),
            expression: filled(text(&target["expr"])),
            legend: text(&target["legendFormat"]).to_owned(),
            is_instant: target["instant"] == true,
        }
    }

    /// What the panel would show.
    pub(super) async fn run(&self, prometheus: &Prometheus) -> Vec<Series> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let (start, end) = ((now - RANGE).as_secs().to_string(), now.as_secs().to_string());
        let expression = ("query", self.expression.as_str());
        let data = if self.is_instant {
            prometheus.ask("query", &[expression]).await
        } else {
            prometheus.ask("query_range", &[expression, ("start", &start), ("end", &end), ("step", "1")]).await
        };
        items(&data["result"]).map(|series| self.series(series)).collect()
    }

    fn series(&self, found: &Value) -> Series {
        let samples = if self.is_instant { vec![&found["value"]] } else { items(&found["values"]).collect() };
        let number = |sample: &Value| text(&sample[1]).parse().expect("a sample is a number");
        Series { name: self.name(&found["metric"]), values: samples.into_iter().map(number).collect() }
    }

    fn name(&self, labels: &Value) -> String {
        let labels = labels.as_object().expect("a series has labels");
        if self.legend == "__auto" {
            return labels.values().map(text).collect::<Vec<_>>().join(" ");
        }
        labels
            .iter()
            .fold(self.legend.clone(), |name, (label, value)| name.replace(&format!("{{{{{label}}}}}"), text(value)))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.panel, self.expression)
    }
}

/// All is chosen, and rates are over as many scrapes as Grafana takes, and some more.
fn filled(expression: &str) -> String {
    let values = [("$__rate_interval", "10s"), ("$job", "regferry"), ("$instance", ".+"), ("$rule", ".+")];
    let filled = values.iter().fold(expression.to_owned(), |text, (variable, value)| text.replace(variable, value));
    assert!(!filled.contains('$'), "a variable that nobody knows: {filled}");
    filled
}
