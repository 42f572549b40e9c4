//! A cluster at scale: many unchanged images, by several replicas over a real NATS server, of registries that cost little.
//!
//! `sync --cluster` orders the runs of all rules, and the replicas (`work --until-empty`) cut them into image jobs and do
//! those. Each rule mirrors a registry of its own into one that all have in common, as a company's mirror of the world is.
//!
//! ```console
//! $ cargo build --release && cargo run --release -p regferry-bench --bin scale -- --count 10000
//! ```

mod broker;
mod process;
mod registry;
mod replicas;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use testkit::NatsServer;

use broker::{Broker, bytes_in};
use process::Taken;
use registry::{Asked, Registry};
use replicas::{Program, Replicas};

/// How often it is looked how it stands.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Parser)]
struct Options {
    /// Image jobs, in all
    #[arg(long, default_value_t = 10_000)]
    count: usize,

    /// Rules, each of a registry of its own
    #[arg(long, default_value_t = 50)]
    rules: usize,

    /// Replicas
    #[arg(long, default_value_t = 3)]
    replicas: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let tags = options.count / options.rules;
    ensure!(tags * options.rules == options.count, "--count is to be a multiple of --rules");
    let scene = Scene::new(&options, tags).await?;
    let run = scene.run(options.replicas).await?;
    run.tell(&scene, &options)
}

/// The registries, the broker, and what the replicas are told.
struct Scene {
    sources: Vec<Registry>,
    target: Registry,
    nats: NatsServer,
    config: String,
}

impl Scene {
    async fn new(options: &Options, tags: usize) -> Result<Self> {
        let nats = NatsServer::builder().monitored().start();
        let target = Registry::start(0, options.rules, tags).await?;
        let mut sources = Vec::new();
        let mut config = format!("[cluster]\nnats = '{}'\nname = 'scale'\n", nats.url());
        for rule in 0..options.rules {
            let source = Registry::start(rule, 1, tags).await?;
            let (from, to) = (source.host(), target.host());
            let _ = write!(
                config,
                "[[rules]]\nname = 'app-{rule}'\nsource = '{from}/app-{rule}'\ntarget = '{to}/app-{rule}'\n"
            );
            sources.push(source);
        }
        Ok(Self { sources, target, nats, config })
    }

    async fn run(&self, count: usize) -> Result<Run> {
        let mut programs = Replicas::new(&self.config)?;
        programs.start("sync", &["sync", "--cluster", "--output", "json"])?;
        while Broker::of(&self.nats).await?.runs < self.sources.len() as u64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for number in 1..=count {
            programs.start(&format!("replica {number}"), &["work", "--until-empty", "--listen", ""])?;
        }
        let mut run = Run { began: Instant::now(), ..Run::default() };
        while programs.are_at_work()? {
            tokio::time::sleep(LOOK).await;
            programs.look();
            run.look(self).await?;
        }
        run.programs = programs.ended()?;
        Ok(run)
    }

    /// What all sources were asked, and what the target was.
    fn asked(&self) -> Result<[Asked; 2]> {
        let mut all = Asked::default();
        for source in &self.sources {
            let asked = source.asked()?;
            all = Asked {
                looks: all.looks + asked.looks,
                listings: all.listings + asked.listings,
                tags: all.tags + asked.tags,
                most: all.most.max(asked.most),
            };
        }
        Ok([all, self.target.asked()?])
    }
}

/// What was seen while it went on, and what came of it.
struct Run {
    began: Instant,
    /// When each number of jobs was published and done.
    course: Vec<(Duration, Broker)>,
    broker: Taken,
    most_on_disk: u64,
    programs: Vec<Program>,
}

impl Default for Run {
    fn default() -> Self {
        let (course, programs) = (Vec::new(), Vec::new());
        Self { began: Instant::now(), course, broker: Taken::default(), most_on_disk: 0, programs }
    }
}

impl Run {
    async fn look(&mut self, scene: &Scene) -> Result<()> {
        let at = self.began.elapsed();
        self.course.push((at, Broker::of(&scene.nats).await?));
        self.broker = Taken::by(scene.nats.pid()).unwrap_or(self.broker);
        // A walk through many files would take the time that is measured.
        if self.course.len() % 10 == 1 {
            self.most_on_disk = self.most_on_disk.max(bytes_in(&scene.nats.streams()));
        }
        if self.course.len().is_multiple_of(60) {
            progress(&self.course[self.course.len() - 1]);
        }
        Ok(())
    }

    fn tell(&self, scene: &Scene, options: &Options) -> Result<()> {
        let count = options.count as u64;
        let (_, last) = self.course.last().copied().unwrap_or_default();
        let [sources, target] = scene.asked()?;
        let own = Taken::by(std::process::id()).unwrap_or_default();
        let cpu: Duration = self.programs.iter().map(|program| program.taken.cpu).sum();
        let share = self.broker.cpu.as_secs_f64() / (cpu + self.broker.cpu).as_secs_f64() * 100.0;

        row("image jobs, rules, replicas", &format!("{count}, {}, {}", options.rules, options.replicas));
        row("jobs published", &last.published.to_string());
        row("jobs given to somebody", &last.given.to_string());
        row("redeliveries", &last.given.saturating_sub(last.published).to_string());
        row("messages with results", &format!("{}, {}", last.results, mib(last.result_bytes)));
        row("most bytes of streams on disk", &mib(self.most_on_disk));
        row("looks at sources, at the target", &format!("{}, {}", sources.looks, target.looks));
        row("listings of sources, of the target", &format!("{}, {}", sources.listings, target.listings));
        row("enqueued at first, a second", &rate(self.first_burst()));
        row("enqueued, a second", &rate(self.pace(|broker| broker.published)));
        row("drained, a second", &rate(self.pace(|broker| broker.published - broker.left)));
        row("broker's messages, bytes in and out", &format!("{}, {}", last.messages, mib(last.bytes)));
        row("broker", &format!("{}, {share:.0} % of all CPU but the registries'", took(&self.broker)));
        for program in &self.programs {
            row(&program.name, &format!("{}, {:.1} s", took(&program.taken), program.ran.as_secs_f64()));
        }
        row("registries (this program)", &took(&own));
        for (what, asked) in [("sources", sources), ("the target", target)] {
            let is_once = (asked.looks, asked.tags, asked.most) == (count, count, 1);
            ensure!(is_once, "not every image of {what} was looked at once: {asked:?}");
        }
        for program in &self.programs {
            program.check(count)?;
        }
        Ok(())
    }

    /// Jobs a second between the first look at which there were some and the one after which none came.
    fn pace(&self, of: fn(&Broker) -> u64) -> f64 {
        let last = self.course.last().map_or(0, |(_, broker)| of(broker));
        let begin = self.course.iter().rev().find(|(_, broker)| of(broker) == 0).map_or(Duration::ZERO, |(at, _)| *at);
        let end = self.course.iter().find(|(_, broker)| of(broker) == last).map_or(begin, |(at, _)| *at);
        last as f64 / end.saturating_sub(begin).as_secs_f64()
    }

    /// The quickest three seconds of publishing.
    fn first_burst(&self) -> f64 {
        let published = |(at, broker): &(Duration, Broker)| (at.as_secs_f64(), broker.published as f64);
        let points: Vec<(f64, f64)> = self.course.iter().map(published).collect();
        let pairs = points.iter().zip(points.iter().skip(6));
        pairs.map(|(one, other)| (other.1 - one.1) / (other.0 - one.0)).fold(0.0, f64::max)
    }
}

fn took(taken: &Taken) -> String {
    format!("{:.1} CPU s, {} at most", taken.cpu.as_secs_f64(), mib(taken.peak << 10))
}

fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

fn rate(of: f64) -> String {
    format!("{of:.0}")
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn row(what: &str, value: &str) {
    println!("{what:<38}{value}");
}

#[expect(clippy::print_stderr, reason = "it goes on for minutes, and tells how far it is")]
fn progress((at, broker): &(Duration, Broker)) {
    let done = broker.published - broker.left;
    eprintln!("{:>5.0} s: {} published, {done} done, {} runs left", at.as_secs_f64(), broker.published, broker.runs);
}
