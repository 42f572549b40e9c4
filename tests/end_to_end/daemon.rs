//! `regferry serve` while it runs, and what it shows over HTTP.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Ferry, Finished, Running, until};

/// A daemon on a port of its own choice. Killed when dropped.
pub(crate) struct Daemon {
    running: Running,
    address: String,
}

impl Daemon {
    /// Starts it and waits until it listens. The configuration has the rules, and may have more.
    pub(crate) async fn start(config: &str) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        Self::of(Ferry::new(&arguments).config(config)).await
    }

    /// Starts a call of `serve` that logs JSON, and waits until it listens.
    pub(crate) async fn of(ferry: Ferry) -> Self {
        let mut running = ferry.spawn();
        let address = until("the daemon's address in its log", async || {
            assert!(!running.has_ended(), "it ended: {}", running.stderr());
            address(&running.stderr())
        })
        .await;
        Self { running, address }
    }

    /// Where it can be asked.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One that listens at this address already.
    pub(crate) fn at(address: String, running: Running) -> Self {
        Self { running, address }
    }

    /// `127.0.0.1:<port>`, where it shows its metrics.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The status and the body of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address());
        let mut socket = TcpStream::connect(self.address()).await.expect("the daemon listens");
        socket.write_all(request.as_bytes()).await.expect("the daemon reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("the daemon answers in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("an answer has a status"), body.to_owned())
    }

    /// The value of a metric, named with its labels; 0 while it is not shown.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }

    /// What it has logged so far, in whole lines.
    pub(crate) fn log(&self) -> String {
        let log = self.running.stderr();
        log[..log.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }

    /// Writes a file in its home anew, as an editor does: all at once.
    pub(crate) fn rewrite(&self, name: &str, text: &str) {
        let (file, draft) = (self.home().join(name), self.home().join("draft"));
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &file)).expect("the home is writable");
    }

    /// Its home and working directory.
    pub(crate) fn home(&self) -> &Path {
        self.running.home()
    }

    /// What it says of itself.
    pub(crate) async fn status(&self) -> Value {
        let (status, text) = self.get("/api/v1/status").await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("the status is JSON")
    }

    pub(crate) fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    pub(crate) async fn ended(self) -> Finished {
        self.running.ended().await
    }
}

fn address(log: &str) -> Option<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find_map(|line| Some(line.get("listen")?.as_str()?.to_owned()))
}
