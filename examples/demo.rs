//! `make demo`: the daemon's own code mirrors between two registries inside this process, and shows what it did.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};
use regferry::app::{App, Source};
use regferry::config::Config;
use regferry::events::{ImageOutcome, ImageReport, Observer, RuleReport};
use regferry::oci::Size;
use regferry::registry::{CertificateFolders, DockerConfigFiles};
use testkit::{FakeRegistry, Image, content};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let mut screen = Screen::new();
    let (upstream, mirror) = (FakeRegistry::start().await, FakeRegistry::start().await);
    fill(&upstream);

    let text = config(&upstream, &mirror);
    screen.heading("A configuration: mirror three repositories of an upstream registry")?;
    screen.dim(&text)?;
    let load = move || Config::parse(&text, Path::new("demo.toml"), &|_| None).map_err(|error| error.to_string());
    let source = Source { file: "demo.toml".into(), load: Box::new(load), again: Arc::default() };
    let (config, made_of) = source.load();
    let config = config.map_err(Error::msg)?;

    let (listener, mut runs) = Runs::listen();
    let app = App::build(config, DockerConfigFiles::default(), CertificateFolders::default(), vec![listener])?;
    let socket = TcpListener::bind("127.0.0.1:0").await.context("opening a port for the metrics")?;
    let address = socket.local_addr()?;
    let stop = CancellationToken::new();
    let daemon = async {
        app.serve(Some(socket), (source, made_of), None, &stop).await;
        Ok(())
    };
    let story = async {
        screen.heading("First run: everything is new")?;
        screen.runs(&runs.next(RULES).await?)?;
        screen.heading("The same bytes under the same digests on both sides")?;
        screen.digests(&upstream, &mirror)?;

        screen
            .heading("Second run: nothing changed, so an image costs one HEAD at the source and one at the target")?;
        let second = runs.next(RULES).await?;
        screen.runs(&second)?;
        let images = || second.values().flat_map(|run| &run.images);
        let requests: u64 = images().map(|image| image.requests).sum();
        screen.line(&format!("  {} images, {requests} requests, no manifest fetched", images().count()))?;

        screen.heading("What Prometheus sees, at http://127.0.0.1:9464/metrics of a daemon")?;
        screen.dim(&excerpt(&metrics(&address.to_string()).await?))?;
        stop.cancel();
        Ok::<_, Error>(())
    };
    tokio::try_join!(daemon, story)?;

    screen.heading("Where to go from here")?;
    screen.line("  make build && target/release/regferry --help")?;
    screen.line("  target/release/regferry copy alpine:3.20 localhost:5000/alpine")?;
    screen.line("  config.example.toml explains every key, README.md the rest")?;
    Ok(())
}

const RULES: usize = 3;

/// `hello-world` for three platforms, and two larger repositories that share their base layers.
fn fill(upstream: &FakeRegistry) {
    upstream.seed("mcr/hello-world", "latest", &content::hello_world());
    let app = |seed: u64| {
        let platform = |name: &str, base: u64| {
            Image::oci(name).layer(base, 12 << 20).layer(base + 10, 3 << 20).layer(seed + base, 500_000).build()
        };
        Image::oci_index([platform("linux/amd64", 1), platform("linux/arm64", 2)])
    };
    let newest = upstream.seed("library/web", "1.1", &app(200));
    upstream.retag("library/web", "latest", &newest);
    upstream.seed("library/web", "1.0", &app(100));
    upstream.seed("library/worker", "2.0", &app(300));
}

fn config(upstream: &FakeRegistry, mirror: &FakeRegistry) -> String {
    let (upstream, mirror) = (upstream.host(), mirror.host());
    format!(
        r#"[defaults]
schedule = "3s"

[[rules]]
name = "hello-world"
source = "{upstream}/mcr/hello-world:latest"
target = "{mirror}/multi-arch/hello-world"

[[rules]]
name = "web"
source = "{upstream}/library/web"
target = "{mirror}/library/web"
tags.include = ["1.*", "latest"]

[[rules]]
name = "worker"
source = "{upstream}/library/worker"
target = "{mirror}/library/worker"
"#
    )
}

/// Hears of every run that ends.
struct Listener(Mutex<mpsc::UnboundedSender<RuleReport>>);

impl Observer for Listener {
    fn run_ended(&self, run: &RuleReport) {
        if let Ok(sender) = self.0.lock() {
            // The story may be over.
            let _ = sender.send(run.clone());
        }
    }
}

struct Runs(mpsc::UnboundedReceiver<RuleReport>);

impl Runs {
    fn listen() -> (Arc<dyn Observer>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Listener(Mutex::new(sender))), Self(receiver))
    }

    /// The next run of each rule, by name.
    async fn next(&mut self, rules: usize) -> Result<BTreeMap<Arc<str>, RuleReport>> {
        let mut ended = BTreeMap::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while ended.len() < rules {
            let left = deadline.saturating_duration_since(Instant::now());
            let run = tokio::time::timeout(left, self.0.recv()).await.context("a rule did not run")?;
            let run = run.ok_or_else(|| anyhow!("the daemon stopped"))?;
            ended.entry(Arc::clone(&run.name)).or_insert(run);
        }
        Ok(ended)
    }
}

async fn metrics(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn excerpt(metrics: &str) -> String {
    let wanted = ["regferry_images_total", "regferry_blobs_total", "regferry_rule_last_success"];
    metrics
        .lines()
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The terminal: headings in bold, what is quoted in grey, where there are colours.
struct Screen {
    out: io::Stdout,
    colors: bool,
}

impl Screen {
    fn new() -> Self {
        let out = io::stdout();
        let colors = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { out, colors }
    }

    fn heading(&mut self, text: &str) -> Result<()> {
        let (bold, end) = if self.colors { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        Ok(writeln!(self.out, "\n{bold}▌{text}{end}")?)
    }

    fn line(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.out, "{text}")?)
    }

    fn dim(&mut self, text: &str) -> Result<()> {
        let (grey, end) = if self.colors { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        text.trim_end().lines().try_for_each(|line| Ok(writeln!(self.out, "  {grey}{line}{end}")?))
    }

    fn runs(&mut self, runs: &BTreeMap<Arc<str>, RuleReport>) -> Result<()> {
        for run in runs.values() {
            for image in &run.images {
                self.image(image)?;
            }
            if let Some(error) = &run.error {
                return Err(anyhow!("{error}"));
            }
        }
        Ok(())
    }

    fn image(&mut self, image: &ImageReport) -> Result<()> {
        let name = image.target.to_string();
        let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
        let blobs = image.blobs;
        match image.outcome {
            ImageOutcome::Copied => self.line(&format!(
                "  ✓ {name:<32} {:>10}  {:>2} blobs copied, {:>2} mounted, {:>2} present; {:>3} requests",
                Size(image.bytes).to_string(),
                blobs.copied,
                blobs.mounted,
                blobs.present,
                image.requests
            )),
            ImageOutcome::Unchanged => self.line(&format!("  = {name:<32}  unchanged; {} requests", image.requests)),
            ImageOutcome::Skipped | ImageOutcome::Failed => {
                Err(anyhow!("{name}: {}", image.error.as_deref().unwrap_or("it was not copied")))
            }
        }
    }

    fn digests(&mut self, upstream: &FakeRegistry, mirror: &FakeRegistry) -> Result<()> {
        let pairs = [
            ("mcr/hello-world", "multi-arch/hello-world", "latest"),
            ("library/web", "library/web", "latest"),
            ("library/worker", "library/worker", "2.0"),
        ];
        for (from, to, tag) in pairs {
            let there = upstream.manifest(from, tag).context("the upstream lost an image")?;
            let here = mirror.manifest(to, tag).context("the mirror lacks an image")?;
            anyhow::ensure!(there == here, "{to}:{tag} differs from {from}:{tag}");
            mirror.check_whole(to, tag).map_err(|missing| anyhow!("{to}:{tag}: {missing}"))?;
            let children = here.parts()?.manifests;
            let platforms: Vec<String> =
                children.iter().filter_map(|child| child.platform.as_ref()).map(platform).collect();
            self.line(&format!("  {to}:{tag}  {}", here.digest()))?;
            self.dim(&format!("  {}", platforms.join(", ")))?;
        }
        Ok(())
    }
}

fn platform(platform: &content::Platform) -> String {
    let version = platform.os_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("{}/{}{version}", platform.os, platform.architecture)
}
