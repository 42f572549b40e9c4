//! Rounds as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use crate::proxy::{Kind, Traffic};
use crate::round::Round;
use crate::spread::Spread;

/// A contender's name, and its rounds.
pub(crate) type Rounds = (String, Vec<Round>);

/// A name, and what passed its proxy.
type Side = (&'static str, fn(&Round) -> &Traffic);

const SIDES: [Side; 2] = [("source", |round| &round.source), ("target", |round| &round.target)];

/// Medians of all contenders beside each other; what was counted only where it was.
pub(crate) fn of(all: &[Rounds]) -> String {
    let counted = all.iter().flat_map(|(_, rounds)| rounds).any(|round| round.source.total() > 0);
    let mut text = taken(all);
    if counted {
        let _ = write!(text, "\n{}\n{}", passed(all), requests(all));
    }
    text
}

/// Time and memory.
fn taken(all: &[Rounds]) -> String {
    let mut table = Table::new(&["", "wall s", "CPU s", "peak MiB", "registries' CPU s", "proxies' CPU s"]);
    for (name, rounds) in all {
        let seconds = |of: fn(&Round) -> Duration| Spread::of(rounds.iter().map(|round| of(round).as_secs_f64()));
        let peak = Spread::of(rounds.iter().map(|round| round.usage.peak_kib as f64 / 1024.0));
        table.row(&[
            name.clone(),
            format!("{:.2}", seconds(|round| round.usage.wall)),
            format!("{:.3}", seconds(|round| round.usage.cpu)),
            format!("{peak:.0}"),
            format!("{:.1}", seconds(|round| round.servers)),
            format!("{:.1}", seconds(|round| round.proxies)),
        ]);
    }
    table.0
}

/// What the proxies saw, in sums.
fn passed(all: &[Rounds]) -> String {
    let head =
        ["", "requests, source", "target", "mounts done / tried", "MB from source", "MB to target", "connections"];
    let mut table = Table::new(&head);
    for (name, rounds) in all {
        let spread = |of: fn(&Round) -> u64| Spread::of(rounds.iter().map(|round| of(round) as f64));
        let megabytes = |of: fn(&Round) -> u64| Spread::of(rounds.iter().map(|round| of(round) as f64 / 1e6));
        let mounted = spread(|round| round.target.count(Kind::Mount, 201));
        let tried = spread(|round| round.target.of_kind(Kind::Mount));
        let connections = [spread(|round| round.source.connections), spread(|round| round.target.connections)];
        table.row(&[
            name.clone(),
            format!("{:.0}", spread(|round| round.source.total())),
            format!("{:.0}", spread(|round| round.target.total())),
            format!("{mounted:.0} / {tried:.0}"),
            format!("{:.1}", megabytes(|round| round.source.received)),
            format!("{:.1}", megabytes(|round| round.target.sent)),
            format!("{:.0} + {:.0}", connections[0], connections[1]),
        ]);
    }
    table.0
}

/// Each kind of request with each answer.
fn requests(all: &[Rounds]) -> String {
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = Table::new(&[&["request", "answer"], &names[..]].concat());
    for (side, of) in SIDES {
        let rounds = all.iter().flat_map(|(_, rounds)| rounds);
        let seen: BTreeSet<(Kind, u16)> = rounds.flat_map(|round| of(round).requests.keys().copied()).collect();
        for (kind, status) in seen {
            let count = |rounds: &Vec<Round>| {
                let spread = Spread::of(rounds.iter().map(|round| of(round).count(kind, status) as f64));
                format!("{spread:.0}")
            };
            let mut cells = vec![format!("{side}: {kind}"), status.to_string()];
            cells.extend(all.iter().map(|(_, rounds)| count(rounds)));
            table.row(&cells);
        }
    }
    table.0
}

/// Markdown, as it grows.
pub(crate) struct Table(pub(crate) String);

impl Table {
    /// The first column holds names, the others numbers.
    pub(crate) fn new(head: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(head);
        let rule: Vec<&str> = (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" }).collect();
        table.row(&rule);
        table
    }

    pub(crate) fn row(&mut self, cells: &[impl AsRef<str>]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }
}
