//! One contender, once, on registries of its own.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::DistributionServer;
use tokio::runtime::Runtime;

use crate::case::{Between, Case, There};
use crate::contender::{self, Contender};
use crate::corpus::{Repository, Storage};
use crate::measure::{Usage, childrens_cpu, own_cpu};
use crate::proxy::{Proxy, Traffic};

/// Where rounds take place.
pub(crate) struct Arena {
    /// Corpora and the registries' disks lie here.
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    /// The proxies' own.
    pub(crate) runtime: Runtime,
}

/// What a contender took, and what the others took meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) usage: Usage,
    pub(crate) source: Traffic,
    pub(crate) target: Traffic,
    /// CPU of both registries, their start included.
    pub(crate) servers: Duration,
    /// CPU of this program while the contender ran: the proxies'.
    pub(crate) proxies: Duration,
}

impl Arena {
    /// Lets a contender do a case, and sees that all of it is done.
    pub(crate) fn round(&self, case: &Case, contender: &Contender) -> Result<Round> {
        let corpus = case.corpus.seeded(self.seed, &self.folder)?;
        let repositories = case.corpus.repositories(self.seed);
        let home = TempDir::with_prefix_in("round-", &self.folder)?;
        let target = Storage::at(&home.path().join("target"));
        fs::create_dir(target.root())?;
        corpus.share(&names(&repositories[..case.there.of(repositories.len())]), &target)?;
        settle()?;

        let others_before = childrens_cpu()?;
        let servers = [serve(&corpus)?, serve(&target)?];
        let (usage, [source_traffic, target_traffic], proxies) =
            self.run(case, contender, &servers, home.path(), &repositories)?;
        drop(servers);
        let servers = childrens_cpu()?.saturating_sub(others_before + usage.cpu);

        check(&corpus, &target, &repositories)
            .with_context(|| format!("{} has ended well, and not done all of {}", contender.name, case.name))?;
        Ok(Round { usage, source: source_traffic, target: target_traffic, servers, proxies })
    }

    fn run(
        &self,
        case: &Case,
        contender: &Contender,
        servers: &[DistributionServer; 2],
        home: &Path,
        repositories: &[Repository],
    ) -> Result<(Usage, [Traffic; 2], Duration)> {
        let [source, target] = servers.each_ref().map(DistributionServer::host);
        let Between::Proxy(delay) = case.between else {
            contender::write(home, source, target, repositories)?;
            let usage = measured(home, contender, source, target)?;
            return Ok((usage, [Traffic::default(), Traffic::default()], Duration::ZERO));
        };
        let before = |registry| self.runtime.block_on(Proxy::before(registry, delay));
        let (source, target) = (before(source)?, before(target)?);
        contender::write(home, source.host(), target.host(), repositories)?;
        let cpu = own_cpu()?;
        let usage = measured(home, contender, source.host(), target.host())?;
        let cpu = own_cpu()?.saturating_sub(cpu);
        Ok((usage, [source.traffic(), target.traffic()], cpu))
    }
}

impl There {
    fn of(self, repositories: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Half => repositories / 2,
            Self::Everything => repositories,
        }
    }
}

fn names(repositories: &[Repository]) -> Vec<String> {
    repositories.iter().map(|repository| repository.name.clone()).collect()
}

/// Lets the disk come to rest, so that nobody pays for what others wrote.
fn settle() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync: what was written does not get to the disk");
    Ok(())
}

/// A registry over a storage that is there already.
fn serve(storage: &Storage) -> Result<DistributionServer> {
    let server = DistributionServer::start();
    symlink(storage.root().canonicalize()?, server.storage()).context("a registry that starts with a storage")?;
    Ok(server)
}

fn measured(home: &Path, contender: &Contender, source: &str, target: &str) -> Result<Usage> {
    let (out, log) = (home.join("usage"), home.join("log"));
    let file = File::create(&log)?;
    let status = Command::new(std::env::current_exe()?)
        .arg("measure")
        .arg(&out)
        .args(["sh", "-c", &contender.script(source, target, home)])
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()?;
    let told = fs::read_to_string(&log).unwrap_or_default();
    let end = told.len().saturating_sub(4000);
    ensure!(status.success(), "{}: {status}\n{}", contender.name, told.get(end..).unwrap_or(&told));
    Ok(serde_json::from_slice(&fs::read(out)?)?)
}

/// A registry takes no manifest whose parts it lacks, so the tags are proof of all.
fn check(corpus: &Storage, target: &Storage, repositories: &[Repository]) -> Result<()> {
    for Repository { name, tags } in repositories {
        for tag in tags {
            ensure!(
                target.tagged(name, tag) == corpus.tagged(name, tag),
                "{name}:{tag} is not what it is at the source"
            );
        }
    }
    Ok(())
}
