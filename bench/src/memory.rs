//! The memory of a process and of all below it.

use std::collections::HashMap;
use std::fs;

/// A process and those that come from it, as they are found from look to look.
pub(crate) struct Tree {
    /// Whether a process that was seen belongs to it.
    known: HashMap<u32, bool>,
    root: u32,
}

impl Tree {
    pub(crate) fn of(root: u32) -> Self {
        Self { known: HashMap::from([(root, true)]), root }
    }

    /// Their RSS in KiB, all processes summed; what they share counts for each of them.
    pub(crate) fn memory(&mut self) -> u64 {
        self.find();
        self.known.iter().filter(|(_, belongs)| **belongs).map(|(process, _)| memory_of(*process)).sum()
    }

    /// Only what is new costs more than its name: a look must not take the time that it measures.
    fn find(&mut self) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut new: Vec<u32> = processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|process| *process > self.root && !self.known.contains_key(process))
            .collect();
        // Parents have the smaller numbers.
        new.sort_unstable();
        for process in new {
            let belongs = parent_of(process).is_some_and(|parent| self.known.get(&parent) == Some(&true));
            self.known.insert(process, belongs);
        }
    }
}

/// Nothing, of one that has ended.
fn memory_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The fields of `stat` follow the name, which may hold anything, in parentheses: first the state, then the parent.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_parent() {
        assert!(Tree::of(std::process::id()).memory() > 100);
        assert!(parent_of(std::process::id()).is_some());
        assert_eq!(memory_of(u32::MAX), 0);
    }
}
