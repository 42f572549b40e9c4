//! What a plan costs: 200 rules over 40 repositories and 2,000 tags, by `sync --dry-run`.
//!
//! ```console
//! $ cargo build --release && cargo run --release -p regferry-bench --bin plan
//! ```

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::{Endpoint, FakeRegistry, Image, Method};
use tokio::process::Command;

const REPOSITORIES: u64 = 40;
/// Of each of the kinds in [`kinds`].
const TAGS_OF_A_KIND: u64 = 10;
/// Of each case: the one in the middle is told.
const RUNS: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let source = FakeRegistry::start().await;
    let (full, empty) = (FakeRegistry::start().await, FakeRegistry::start().await);
    fill(&source, &full);
    row(&["all tags are", "CPU seconds", "user", "system", "seconds", "requests", "listings"]);
    for (case, target) in [("in place", &full), ("missing", &empty)] {
        plan(case, &source, target).await?;
    }
    Ok(())
}

/// Plans a few times and tells what the run in the middle took.
async fn plan(case: &str, source: &FakeRegistry, target: &FakeRegistry) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("regferry.toml");
    std::fs::write(&config, rules(source.host(), target.host()))?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        source.clear_requests();
        target.clear_requests();
        runs.push(Run::of(&config).await?);
    }
    runs.sort_by_key(|run| run.user + run.system);
    let run = &runs[RUNS / 2];
    let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
    let both = |count: &dyn Fn(&FakeRegistry) -> usize| format!("{} + {}", count(source), count(target));
    let requests = both(&|registry| registry.requests().len());
    let listings = both(&|registry| registry.count(&Method::GET, Endpoint::Tags));
    let times = [run.user + run.system, run.user, run.system, run.took].map(seconds);
    row(&[case, &times[0], &times[1], &times[2], &times[3], &requests, &listings]);
    Ok(())
}

/// Lists of two platforms, no two alike, in both registries.
fn fill(source: &FakeRegistry, target: &FakeRegistry) {
    let mut seed = 0;
    for repository in 0..REPOSITORIES {
        for tag in kinds().iter().flat_map(|kind| (0..TAGS_OF_A_KIND).map(kind.tag)) {
            let platform = |name: &str, own: u64| Image::oci(name).layer(1, 100).layer(own, 100).build();
            seed += 2;
            let image = Image::oci_index([platform("linux/amd64", seed), platform("linux/arm64", seed + 1)]);
            source.seed(&format!("up/app-{repository}"), &tag, &image);
            target.seed(&format!("down/app-{repository}"), &tag, &image);
        }
    }
}

/// Tags of one kind, and how a rule takes them and no others.
struct Kind {
    name: &'static str,
    tag: fn(u64) -> String,
    filter: String,
}

fn kinds() -> [Kind; 5] {
    let named: Vec<String> = (0..TAGS_OF_A_KIND).map(|n| format!("\"stable-{n}\"")).collect();
    [
        Kind { name: "versions", tag: |n| format!("1.{n}"), filter: r#"include = ["1.*"], exclude = ["*-*"]"#.into() },
        Kind {
            name: "variants",
            tag: |n| format!("1.{n}-alpine"),
            filter: r#"include = ['/\d+\.\d+-(alpine|slim)/']"#.into(),
        },
        Kind {
            name: "nightlies",
            tag: |n| format!("nightly-2026-01-{n:02}"),
            filter: r#"include = ["nightly-*"]"#.into(),
        },
        Kind { name: "commits", tag: |n| format!("sha-{n:07x}"), filter: r"include = ['/sha-[0-9a-f]{7}/']".into() },
        Kind { name: "named", tag: |n| format!("stable-{n}"), filter: format!("include = [{}]", named.join(", ")) },
    ]
}

/// A rule for each kind of each repository.
fn rules(source: &str, target: &str) -> String {
    let mut config = String::new();
    for repository in 0..REPOSITORIES {
        for Kind { name, filter, .. } in kinds() {
            let _ = write!(
                config,
                "[[rules]]\nname = \"{name}-{repository}\"\nsource = \"{source}/up/app-{repository}\"\n\
                 target = \"{target}/down/app-{repository}\"\ntags = {{ {filter} }}\n\n"
            );
        }
    }
    config
}

/// One run of the release build beside this program.
struct Run {
    user: Duration,
    system: Duration,
    took: Duration,
}

impl Run {
    async fn of(config: &std::path::Path) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("regferry");
        // The shell tells what its children took: a line for itself, and one for them.
        let script = r#""$@" >/dev/null; code=$?; times; exit $code"#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program).args(["sync", "--dry-run", "--config"]).arg(config);
        let started = Instant::now();
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await?;
        let took = started.elapsed();
        ensure!(output.status.success(), "regferry sync --dry-run: {}", output.status);
        let times = String::from_utf8(output.stdout)?;
        let children = times.lines().nth(1).and_then(|line| line.split_once(' '));
        let (user, system) = children.with_context(|| format!("times of another form: {times:?}"))?;
        Ok(Self { user: minutes(user)?, system: minutes(system)?, took })
    }
}

/// Reads `0m0.520000s`.
fn minutes(text: &str) -> Result<Duration> {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').context("a time has minutes")?;
    Ok(Duration::from_secs(60 * minutes.parse::<u64>()?) + Duration::try_from_secs_f64(seconds.parse()?)?)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn row(cells: &[&str]) {
    let widths = [14, 13, 7, 8, 9, 15, 10];
    let line: String = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("{}", line.trim_end());
}
