//! What the daemon takes of the machine, as its metrics tell, and whether that grows.

use std::fmt;
use std::time::Duration;

const MIB: f64 = (1 << 20) as f64;

/// One look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vitals {
    at: Duration,
    resident: f64,
    files: f64,
    threads: f64,
    cpu_seconds: f64,
    requests: f64,
    runs: f64,
    copied: f64,
}

/// All looks, from the first success of all rules on.
#[derive(Default)]
pub(super) struct Series(Vec<Vitals>);

/// What may come between the typical look of the first third and that of the last. Buffers of transfers come and go, and
/// the allocator keeps pages: a few MiB. A leak of 200 bytes a request is as much in a minute, and a hundred MiB in half
/// an hour.
const GROWTH: [(&str, Measure, f64); 3] = [
    ("resident bytes", |vitals| vitals.resident, 6.0 * MIB),
    // Connections to two registries, 32 to each.
    ("open files", |vitals| vitals.files, 16.0),
    ("threads", |vitals| vitals.threads, 2.0),
];

type Measure = fn(&Vitals) -> f64;

impl Vitals {
    /// By the text of `/metrics`.
    pub(super) fn of(at: Duration, metrics: &str) -> Self {
        Self {
            at,
            resident: sum(metrics, "process_resident_memory_bytes", ""),
            files: sum(metrics, "process_open_fds", ""),
            threads: sum(metrics, "process_threads", ""),
            cpu_seconds: sum(metrics, "process_cpu_seconds_total", ""),
            requests: sum(metrics, "regferry_http_requests_total", ""),
            runs: sum(metrics, "regferry_rule_runs_total", ""),
            copied: sum(metrics, "regferry_images_total", r#"outcome="copied""#),
        }
    }
}

impl Series {
    pub(super) fn push(&mut self, vitals: Vitals) {
        self.0.push(vitals);
    }

    /// Whether this is the first look of a minute.
    pub(super) fn is_at_a_minute(&self, vitals: &Vitals) -> bool {
        self.0.last().is_none_or(|last| last.at.as_secs() / 60 < vitals.at.as_secs() / 60)
    }

    /// Nothing grows.
    pub(super) fn assert_flat(&self, story: &str) {
        for (name, measure, growth) in GROWTH {
            let (before, after) = self.thirds(measure);
            assert!(after <= before + growth, "{name}: {before} at first, {after} in the end\n{story}");
        }
    }

    /// The medians of the first third and of the last one.
    fn thirds(&self, measure: Measure) -> (f64, f64) {
        let third = self.0.len() / 3;
        (median(&self.0[..third], measure), median(&self.0[self.0.len() - third..], measure))
    }
}

fn median(looks: &[Vitals], measure: Measure) -> f64 {
    let mut values: Vec<f64> = looks.iter().map(measure).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The sum of a metric over all series whose labels have this.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let is_it = (labels.is_empty() || labels.starts_with('{')) && labels.contains(label);
        is_it.then(|| value.parse::<f64>().ok())?
    });
    values.fold(0.0, |sum, value| sum + value)
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, resident, files, threads, cpu_seconds, requests, runs, copied } = self;
        write!(
            f,
            "{:4} s: {:5.1} MiB, {files} files, {threads} threads, {cpu_seconds} CPU seconds, {requests} requests, \
             {runs} runs, {copied} copied",
            at.as_secs(),
            resident / MIB,
        )
    }
}

/// A few of the looks, and how the last third differs from the first.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for vitals in self.0.iter().step_by((self.0.len() / 12).max(1)) {
            writeln!(f, "{vitals}")?;
        }
        for (name, measure, growth) in GROWTH {
            let (before, after) = self.thirds(measure);
            writeln!(f, "{name}: {before} at first, {after} in the end; {growth} more are allowed")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(resident: impl Fn(u64) -> f64) -> Series {
        let look = |second| {
            let metrics = format!("process_resident_memory_bytes {}\nprocess_threads 3\n", resident(second));
            Vitals::of(Duration::from_secs(second), &metrics)
        };
        Series((0..60).map(look).collect())
    }

    #[test]
    fn what_swings_is_flat() {
        series(|second| MIB * (40 + 8 * (second % 2)) as f64).assert_flat("");
    }

    #[test]
    #[should_panic(expected = "resident bytes")]
    fn what_grows_is_not() {
        series(|second| MIB * (40.0 + second as f64 / 5.0)).assert_flat("");
    }

    #[test]
    fn series_of_a_metric_are_summed() {
        let metrics = "a{b=\"1\",c=\"x\"} 2\na{b=\"2\",c=\"x\"} 3\na{b=\"2\",c=\"y\"} 7\na_total 5\n";
        assert_eq!(sum(metrics, "a", r#"c="x""#), 5.0);
        assert_eq!(sum(metrics, "a", ""), 12.0);
        assert_eq!(sum(metrics, "a_total", ""), 5.0);
    }
}
