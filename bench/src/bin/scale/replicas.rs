//! The processes that are measured: started together, looked at until they end, and killed where this program ends first.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::process::Taken;

/// Processes of the release build beside this program, with one configuration.
pub(crate) struct Replicas {
    folder: TempDir,
    program: PathBuf,
    programs: Vec<Running>,
}

/// One that has ended.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) taken: Taken,
    pub(crate) ran: Duration,
    status: ExitStatus,
    report: Option<Report>,
}

struct Running {
    name: String,
    child: Child,
    started: Instant,
    taken: Taken,
    ended: Option<(ExitStatus, Duration)>,
}

/// What `sync` prints, as far as it is counted here.
#[derive(Deserialize)]
struct Report {
    totals: Totals,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Totals {
    unchanged: u64,
}

#[derive(Deserialize)]
struct Rule {
    images: Vec<IgnoredAny>,
}

impl Replicas {
    pub(crate) fn new(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("regferry.toml"), config)?;
        let program = std::env::current_exe()?.with_file_name("regferry");
        Ok(Self { folder, program, programs: Vec::new() })
    }

    pub(crate) fn start(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        let output = |what: &str| File::create(self.folder.path().join(format!("{name}.{what}")));
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(self.folder.path().join("regferry.toml"));
        command.stdin(Stdio::null()).stdout(output("out")?).stderr(output("err")?);
        let child = command.spawn().with_context(|| format!("{} cannot be run", self.program.display()))?;
        let (name, started) = (name.to_owned(), Instant::now());
        self.programs.push(Running { name, child, started, taken: Taken::default(), ended: None });
        Ok(())
    }

    /// Whether any of them has not ended.
    pub(crate) fn are_at_work(&mut self) -> Result<bool> {
        for program in self.programs.iter_mut().filter(|program| program.ended.is_none()) {
            program.ended = program.child.try_wait()?.map(|status| (status, program.started.elapsed()));
        }
        Ok(self.programs.iter().any(|program| program.ended.is_none()))
    }

    /// Looks what each has taken so far. Of its last moments nothing is seen.
    pub(crate) fn look(&mut self) {
        for program in self.programs.iter_mut().filter(|program| program.ended.is_none()) {
            program.taken = Taken::by(program.child.id()).unwrap_or(program.taken);
        }
    }

    /// What became of them.
    pub(crate) fn ended(mut self) -> Result<Vec<Program>> {
        let mut ended = Vec::new();
        for program in std::mem::take(&mut self.programs) {
            let Running { name, taken, ended: Some((status, ran)), .. } = program else { continue };
            let report = if name == "sync" { Some(self.report(&name)?) } else { None };
            ended.push(Program { name, taken, ran, status, report });
        }
        Ok(ended)
    }

    fn report(&self, name: &str) -> Result<Report> {
        let report = File::open(self.folder.path().join(format!("{name}.out")))?;
        serde_json::from_reader(BufReader::new(report)).with_context(|| {
            let errors = std::fs::read_to_string(self.folder.path().join(format!("{name}.err")));
            format!("the report of {name} cannot be read; it said {:?}", errors.unwrap_or_default())
        })
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // One that has ended cannot be killed, which is as good.
            let _ = program.child.kill();
            let _ = program.child.wait();
        }
    }
}

impl Program {
    /// Whether it ended well, and reports each image, unchanged, where it reports.
    pub(crate) fn check(&self, count: u64) -> Result<()> {
        ensure!(self.status.success(), "{}: {}", self.name, self.status);
        let Some(report) = &self.report else { return Ok(()) };
        let images: usize = report.rules.iter().map(|rule| rule.images.len()).sum();
        let (unchanged, images) = (report.totals.unchanged, images as u64);
        ensure!(unchanged == count && images == count, "reported: {images} images, {unchanged} of them unchanged");
        Ok(())
    }
}
