//! regferry beside skopeo on the same faults: a source that cuts every answer, a target that restarts in the middle of
//! an upload, and a registry that takes few requests a second.
//!
//! ```console
//! $ cargo build --release && cargo run --release -p regferry-bench --bin faults
//! ```

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::server::Nginx;
use testkit::{DistributionServer, Effect, Endpoint, FakeRegistry, Fault, Image, Method, client};
use tokio::process::{Child, Command};

const MIB: usize = 1 << 20;

/// Who is compared: the release build beside this program, and Debian's skopeo.
const PEERS: [Peer; 2] = [Peer::Regferry, Peer::Skopeo];

#[tokio::main]
async fn main() -> Result<()> {
    row(&["fault", "program", "exit", "seconds", "requests", "refused", "read twice"]);
    for peer in PEERS {
        cut(peer).await?;
    }
    for peer in PEERS {
        cut_both(peer).await?;
    }
    for peer in PEERS {
        restart(peer).await?;
    }
    for peer in PEERS {
        throttle(peer).await?;
    }
    Ok(())
}

/// Every answer with a part of the 256 MiB layer ends after 32 MiB of it.
async fn cut(peer: Peer) -> Result<()> {
    let layer = 256 * MIB;
    let image = Image::oci("linux/amd64").layer(1, layer).build();
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().discard_large_uploads(MIB as u64).start().await;
    source.seed("app", "v1", &image);
    source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::CutBody { after_bytes: 32 * MIB as u64 });

    let ended = peer.copy(source.host(), target.host())?.ended().await?;

    let requests = source.requests().len();
    ended.tell("cut every 32 of 256 MiB", requests, 0, read_twice(&source, &image));
    Ok(())
}

/// A 4 GiB layer over links that break every 500 MiB: the source's answers, and what the target takes at once. Both can
/// go on.
async fn cut_both(peer: Peer) -> Result<()> {
    let image = Image::oci("linux/amd64").layer(1, 4096 * MIB).build();
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().discard_large_uploads(MIB as u64).start().await;
    source.seed("app", "v1", &image);
    let part = 500 * MIB as u64;
    source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::CutBody { after_bytes: part });
    for method in [Method::PUT, Method::PATCH] {
        target.fault(Fault::on(method, Endpoint::Upload).larger_than(part), Effect::CutRequest { after_bytes: part });
    }

    let ended = peer.copy(source.host(), target.host())?.ended().await?;

    let requests = source.requests().len();
    ended.tell("both break, 500 of 4096", requests, 0, read_twice(&source, &image));
    Ok(())
}

/// The target stops when 64 MiB of 256 have left the source, and is back after 20 seconds.
async fn restart(peer: Peer) -> Result<()> {
    let image = Image::oci("linux/amd64").layer(1, 256 * MIB).build();
    let source = FakeRegistry::start().await;
    source.seed("app", "v1", &image);
    let mut target = DistributionServer::start();

    let copying = peer.copy(source.host(), target.host())?;
    while sent(&source) < 64 * MIB as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    target.stop();
    tokio::time::sleep(Duration::from_secs(20)).await;
    target.restart();
    let ended = copying.ended().await?;

    ended.tell("target away for 20 s", source.requests().len(), 0, read_twice(&source, &image));
    Ok(())
}

/// A source behind a proxy that takes 20 requests a second, five at once, and answers 429 to the others.
async fn throttle(peer: Peer) -> Result<()> {
    let platform = |name: &str, seed: u64| {
        (0..10).fold(Image::oci(name), |image, layer| image.layer(seed * 100 + layer, 10_000)).build()
    };
    let image = Image::oci_index([platform("linux/amd64", 1), platform("linux/arm64", 2), platform("linux/s390x", 3)]);
    let (registry, target) = (DistributionServer::start(), FakeRegistry::start().await);
    client::push(registry.host(), "app", "v1", &image).await;
    let source = Nginx::before(registry.host()).with_rate(20, 5).start();

    let ended = peer.copy(source.host(), target.host())?.ended().await?;

    let requests = source.requests();
    let refused = requests.iter().filter(|request| request.ends_with(" 429")).count();
    ended.tell("20 requests/s, 429", requests.len(), refused, None);
    Ok(())
}

#[derive(Clone, Copy)]
enum Peer {
    Regferry,
    Skopeo,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Regferry => "regferry",
            Self::Skopeo => "skopeo --retry-times 5",
        }
    }

    /// Starts to copy `app:v1`, with all its platforms.
    fn copy(self, source: &str, target: &str) -> Result<Copying> {
        let (from, to) = (format!("{source}/app:v1"), format!("{target}/app:v1"));
        let mut command = match self {
            Self::Regferry => {
                let beside = std::env::current_exe()?.with_file_name("regferry");
                let mut command = Command::new(&beside);
                command.args(["--tls", &format!("{source}=http"), "copy", &from, &to]);
                command
            }
            Self::Skopeo => {
                let mut command = Command::new("skopeo");
                command.args([
                    "copy",
                    "--all",
                    "--retry-times",
                    "5",
                    "--src-tls-verify=false",
                    "--dest-tls-verify=false",
                ]);
                command.args([format!("docker://{from}"), format!("docker://{to}")]);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{} cannot be run", self.name()))?;
        Ok(Copying { peer: self, child, started: Instant::now() })
    }
}

struct Copying {
    peer: Peer,
    child: Child,
    started: Instant,
}

impl Copying {
    async fn ended(mut self) -> Result<Ended> {
        let status = self.child.wait().await?;
        let code = status.code();
        ensure!(code.is_some(), "{} was ended by a signal", self.peer.name());
        Ok(Ended { peer: self.peer, code: code.unwrap_or_default(), took: self.started.elapsed() })
    }
}

struct Ended {
    peer: Peer,
    code: i32,
    took: Duration,
}

impl Ended {
    fn tell(&self, fault: &str, requests: usize, refused: usize, twice: Option<u64>) {
        let seconds = format!("{:.1}", self.took.as_secs_f64());
        let twice = twice.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / MIB as f64));
        let cells = [fault, self.peer.name(), &self.code.to_string(), &seconds, &requests.to_string()];
        row(&[&cells[..], &[&refused.to_string(), &twice]].concat());
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn row(cells: &[&str]) {
    let widths = [26, 24, 6, 9, 10, 9, 12];
    let line: String = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("{}", line.trim_end());
}

/// Bytes of blobs that have left a registry.
fn sent(registry: &FakeRegistry) -> u64 {
    registry
        .requests()
        .iter()
        .filter(|request| request.endpoint == Endpoint::Blob)
        .map(|request| request.bytes_out)
        .sum()
}

/// Bytes that left a registry beyond those of the image.
fn read_twice(registry: &FakeRegistry, image: &Image) -> Option<u64> {
    let once: u64 = image.blobs().map(|blob| blob.bytes.len() as u64).sum();
    sent(registry).checked_sub(once)
}
