//! What it was measured on.

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use ring::digest::{Context, SHA256};

use crate::measure::own_cpu;

/// One line: cores, CPU, memory, kernel, registry, date.
pub(crate) fn described() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown CPU".to_owned());
    let kib: u64 =
        field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (registry, today) = (registry(), jiff::Zoned::now().date());
    format!("{cores} cores of {cpu}, {} GiB, Linux {}; {registry}; {today}", kib >> 20, kernel.trim())
}

/// What the SHA-256 of a GiB takes of the CPU just now. One machine of several on a host is fast in one hour and slow in
/// the next, and so is whatever is measured on it.
pub(crate) fn hash_of_a_gib() -> Result<Duration> {
    let block = vec![0; 1 << 20];
    let before = own_cpu()?;
    let mut hash = Context::new(&SHA256);
    for _ in 0..1 << 10 {
        hash.update(&block);
    }
    black_box(hash.finish());
    Ok(own_cpu()?.saturating_sub(before))
}

/// What follows a name and a colon in one of the kernel's files.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `docker-registry 2.8.2+ds1`
fn registry() -> String {
    let output = Command::new("docker-registry").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    format!("docker-registry {}", text.split_whitespace().last().unwrap_or_default())
}
