//! What the NATS server tells of itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use testkit::{NatsServer, client};

/// How it stands with the broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Broker {
    /// Runs that wait or are under way.
    pub(crate) runs: u64,
    /// Image jobs that were published, and of those the ones that are still there.
    pub(crate) published: u64,
    pub(crate) left: u64,
    /// How often one was given to somebody.
    pub(crate) given: u64,
    /// Messages with results, and their bytes.
    pub(crate) results: u64,
    pub(crate) result_bytes: u64,
    /// All messages that came and went over the network, and their bytes.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Broker {
    /// As it is now.
    pub(crate) async fn of(server: &NatsServer) -> Result<Self> {
        let monitor = server.monitor().context("the server was not started with a monitor")?;
        let streams = client::get_json(monitor.join("jsz?accounts=true&streams=true&consumers=true")?).await;
        let traffic = client::get_json(monitor.join("varz")?).await;
        let stream = |what: &str| {
            let all = streams["account_details"][0]["stream_detail"].as_array();
            let has_its_name = |stream: &&Value| stream["name"].as_str().is_some_and(|name| name.ends_with(what));
            all.and_then(|all| all.iter().find(has_its_name)).cloned().unwrap_or_default()
        };
        let (runs, images, results) = (stream("-runs"), stream("-images"), stream("-results"));
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let sum = |fields: [&str; 2]| fields.map(|field| number(&traffic[field])).iter().sum();
        Ok(Self {
            runs: number(&runs["state"]["messages"]),
            published: number(&images["state"]["last_seq"]),
            left: number(&images["state"]["messages"]),
            given: number(&images["consumer_detail"][0]["delivered"]["consumer_seq"]),
            results: number(&results["state"]["messages"]),
            result_bytes: number(&results["state"]["bytes"]),
            messages: sum(["in_msgs", "out_msgs"]),
            bytes: sum(["in_bytes", "out_bytes"]),
        })
    }
}

/// The bytes of all files in a folder; of what is taken away meanwhile none.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(it) if it.is_dir() => bytes_in(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
