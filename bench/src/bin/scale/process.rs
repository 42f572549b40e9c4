//! What a process takes, looked at while it runs.

use std::fs;
use std::time::Duration;

/// The kernel's unit of time in `stat`: on Linux a hundredth of a second to whoever asks.
const TICK: Duration = Duration::from_millis(10);

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) cpu: Duration,
    /// The peak of its resident memory, in KiB.
    pub(crate) peak: u64,
}

impl Taken {
    /// As the kernel tells; nothing of a process that has ended.
    pub(crate) fn by(process: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        // After the name, which may hold anything: the state, ten more fields, user and system time.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u32>().ok();
        Some(Self { cpu: TICK * (ticks(11)? + ticks(12)?), peak })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_taken_something_and_one_that_is_not_there_nothing() {
        assert!(Taken::by(std::process::id()).is_some_and(|taken| taken.peak > 100));
        assert!(Taken::by(u32::MAX).is_none());
    }
}
