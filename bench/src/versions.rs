//! How long it takes to begin: a program that only says its version.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::measure::Usage;
use crate::round::Arena;
use crate::spread::Spread;
use crate::table::Table;

const RUNS: usize = 20;

/// Of each program, `--version` twenty times.
pub(crate) fn table(arena: &Arena, programs: &[(&str, &str)]) -> Result<String> {
    let mut table = Table::new(&["--version", "wall ms", "CPU ms", "peak MiB"]);
    for (name, program) in programs {
        let runs: Result<Vec<Usage>> = (0..RUNS).map(|_| run(arena, program)).collect();
        let runs = runs?;
        let milliseconds = |of: fn(&Usage) -> f64| Spread::of(runs.iter().map(|usage| of(usage) * 1000.0));
        let peak = Spread::of(runs.iter().map(|usage| usage.peak_kib as f64 / 1024.0));
        table.row(&[
            (*name).to_owned(),
            format!("{:.1}", milliseconds(|usage| usage.wall.as_secs_f64())),
            format!("{:.1}", milliseconds(|usage| usage.cpu.as_secs_f64())),
            format!("{peak:.0}"),
        ]);
    }
    Ok(table.0)
}

fn run(arena: &Arena, program: &str) -> Result<Usage> {
    let home = TempDir::with_prefix_in("round-", &arena.folder)?;
    let out = home.path().join("usage");
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.arg("measure").arg(&out).args([program, "--version"]).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{program} --version: {status}");
    Ok(serde_json::from_slice(&fs::read(out)?)?)
}
