//! Debian's `prometheus`, and `promtool`, which comes with it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use url::Url;

use super::not_run;
use super::process::{Process, Program, SELDOM};
use crate::client;

const PROGRAM: Program = Program {
    name: "prometheus",
    package: "prometheus",
    arguments: |config, host| {
        let data = config.with_file_name("data");
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display()).into();
        vec![
            option("config.file", config),
            option("storage.tsdb.path", &data),
            format!("--web.listen-address={host}").into(),
        ]
    },
    listening: "Server is ready to receive web requests",
    gogc: SELDOM,
};

/// A `prometheus` process over a database of its own, on a loopback port. Killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
}

impl Prometheus {
    /// Starts it with this configuration (`prometheus.yml`) and waits until it answers. Relative paths in it start from
    /// an empty folder.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start(configuration: &str) -> Self {
        let home = tempfile::tempdir().expect("the temporary directory is writable");
        Self { process: Process::start(&PROGRAM, home, |_| configuration.to_owned()) }
    }

    /// Asks its API: `ask("query", &[("query", "up")])` is `GET /api/v1/query?query=up`. Returns the answer's `data`.
    ///
    /// # Panics
    /// If it has something to say against the question, or does not answer in JSON.
    pub async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.process.host());
        let url = Url::parse_with_params(&url, parameters).expect("a host and a path are a URL");
        let mut answer = client::get_json(url).await;
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].take()
    }
}

/// Runs `promtool`, which checks rules and configurations, and tests rules.
///
/// # Errors
/// All that it printed, if it failed.
///
/// # Panics
/// If it is not installed.
pub fn promtool(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("promtool").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}", not_run("promtool", "prometheus", &error)));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(text) }
}
