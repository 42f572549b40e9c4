//! A program run to its end, and what it took: the part of this program that stands between it and the harness.
//!
//! What the kernel tells of ended children it tells of all of them together, and a child begins with the memory of whom
//! it was forked from. So each program runs under a small process of its own, which then tells of its only child.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::memory::Tree;

/// How often the memory of all processes is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a program took, with all its children.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The most memory (RSS, in KiB) that all its processes had at the same time: as seen every 10 ms, and not less than
    /// the largest of them had.
    pub(crate) peak_kib: u64,
}

/// Runs a program, writes its [`Usage`] into a file, and returns its exit code.
pub(crate) fn under(out: &Path, program: &str, arguments: &[String]) -> Result<i32> {
    let started = Instant::now();
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(Stdio::null()).spawn().with_context(|| program.to_owned())?;
    let (id, ended) = (child.id(), AtomicBool::new(false));
    let (status, wall, seen) = thread::scope(|scope| {
        let looking = scope.spawn(|| highest(id, &ended));
        let status = child.wait();
        let wall = started.elapsed();
        ended.store(true, Relaxed);
        (status, wall, looking.join().unwrap_or_default())
    });
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let largest = u64::try_from(children.max_rss())?;
    let cpu = duration(children.user_time()) + duration(children.system_time());
    let usage = Usage { wall, cpu, peak_kib: seen.max(largest) };
    fs::write(out, serde_json::to_vec(&usage)?)?;
    Ok(status?.code().unwrap_or(1))
}

/// The CPU time of this process so far.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu_of(UsageWho::RUSAGE_SELF)
}

/// The CPU time of all children that have ended and were waited for.
pub(crate) fn childrens_cpu() -> Result<Duration> {
    cpu_of(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_of(who: UsageWho) -> Result<Duration> {
    let usage = getrusage(who)?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let (seconds, micros) = (time.tv_sec().unsigned_abs(), time.tv_usec().unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// The most memory of a process and its children together, until it has ended.
fn highest(process: u32, ended: &AtomicBool) -> u64 {
    let (mut tree, mut highest) = (Tree::of(process), 0);
    while !ended.load(Relaxed) {
        highest = highest.max(tree.memory());
        thread::sleep(LOOK);
    }
    highest
}
