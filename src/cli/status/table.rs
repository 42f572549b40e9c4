//! A daemon's state for people. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::cli::table::{Align, aligned, without_commands};
use crate::events::RunOutcome;
use crate::telemetry::status::{ClusterState, Condition, Configuration, Reload, Rule, Run, Snapshot};

/// The longest error in the table, in characters; `--output json` has more of it.
const LONGEST_ERROR: usize = 120;

/// One line for the daemon, one for its configuration, and a table of rules.
pub(super) fn text(status: &Snapshot, server: &str, now: Timestamp) -> String {
    let readiness = if status.ready { "ready" } else { "stopping" };
    let up = span(seconds(status.started, now));
    let mut text = format!("regferry {} at {server}: {readiness}, up {up}\n", status.version);
    write_config(&mut text, &status.config, now);
    if let Some(cluster) = &status.cluster {
        write_cluster(&mut text, cluster);
    }
    text.push('\n');
    let heads = ["RULE", "STATE", "LAST SUCCESS", "NEXT", "LAST ERROR"].map(str::to_owned);
    let rows = status.rules.iter().map(|rule| row(rule, now));
    text.push_str(&aligned(&[heads].into_iter().chain(rows).collect::<Vec<_>>(), [Align::Left; 5]));
    without_commands(text)
}

fn write_config(text: &mut String, config: &Configuration, now: Timestamp) {
    if let (Some(file), Some(loaded)) = (&config.file, config.loaded) {
        let _ = writeln!(text, "{file}: read {}", ago(loaded, now));
    }
    if let Some(Reload { at, error: Some(error), .. }) = &config.last_reload {
        let _ = writeln!(text, "  ! not taken over {}, the old one holds: {}", ago(*at, now), one_line(error));
    }
}

fn write_cluster(text: &mut String, cluster: &ClusterState) {
    let ClusterState { connected, replicas, runs, images } = cluster;
    let _ = match connected {
        true => writeln!(text, "cluster: replicas {replicas}; waiting or under way: runs {runs}, images {images}"),
        false => writeln!(text, "  ! cluster: NATS is not reached or does not answer, others do the work meanwhile"),
    };
}

fn row(rule: &Rule, now: Timestamp) -> [String; 5] {
    let state = match rule.condition {
        Condition::New => "new",
        Condition::Running => "running",
        Condition::Waiting => "waiting",
        Condition::Failing => "failing",
        Condition::Fresh => "fresh",
    };
    let last_success = rule.last_success.map_or_else(|| "never".to_owned(), |at| ago(at, now));
    let next = rule.next.map_or_else(|| "-".to_owned(), |at| until(at, now));
    let error = rule.last_run.as_ref().and_then(error).unwrap_or_default();
    [rule.name.clone(), state.to_owned(), last_success, next, error]
}

fn error(run: &Run) -> Option<String> {
    match (run.outcome, &run.error) {
        (RunOutcome::Success | RunOutcome::Cancelled, _) => None,
        (RunOutcome::Failure | RunOutcome::Timeout, Some(error)) => Some(one_line(error)),
        (RunOutcome::Timeout, None) => Some("stopped by its timeout".to_owned()),
        (RunOutcome::Failure, None) => Some("failed".to_owned()),
    }
}

fn one_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(seconds(at, now)))
}

fn until(at: Timestamp, now: Timestamp) -> String {
    match seconds(now, at) {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", span(seconds)),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}

/// `5 s`, `3 min`, `7 h`, `2 d`: nobody needs more of it. Clocks that differ show as no time.
fn span(seconds: i64) -> String {
    match seconds {
        ..=0 => "0 s".to_owned(),
        1..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rule(name: &str) -> Rule {
        Rule { name: name.to_owned(), ..Rule::default() }
    }

    fn failed(error: Option<&str>) -> Run {
        Run {
            id: "1-1".to_owned(),
            outcome: RunOutcome::Failure,
            started: at("2026-01-02T00:00:00Z"),
            seconds: 1.0,
            copied: 0,
            unchanged: 0,
            skipped: 0,
            failed: 1,
            pruned: 0,
            bytes: 0,
            error: error.map(Into::into),
        }
    }

    fn status() -> Snapshot {
        Snapshot {
            version: "1.2.3".to_owned(),
            started: at("2026-01-01T00:00:00Z"),
            ready: true,
            config: Configuration {
                file: Some("/etc/regferry.toml".to_owned()),
                loaded: Some(at("2026-01-01T00:00:00Z")),
                last_reload: None,
            },
            cluster: None,
            rules: vec![
                Rule {
                    condition: Condition::Fresh,
                    next: Some(at("2026-01-02T00:15:00Z")),
                    last_success: Some(at("2026-01-01T23:57:00Z")),
                    ..rule("hello")
                },
                Rule {
                    condition: Condition::Failing,
                    last_run: Some(failed(Some("no\x1b[2J way\nsee"))),
                    ..rule("a-longer-one")
                },
            ],
        }
    }

    #[test]
    fn the_table_is_for_people() {
        let expected = "\
regferry 1.2.3 at http://here: ready, up 24 h
/etc/regferry.toml: read 24 h ago

RULE          STATE    LAST SUCCESS  NEXT       LAST ERROR
hello         fresh    3 min ago     in 15 min
a-longer-one  failing  never         -          no[2J way
";
        assert_eq!(text(&status(), "http://here", at("2026-01-02T00:00:00Z")), expected);
    }

    #[test]
    fn a_replica_says_how_its_cluster_is() {
        let shown = |connected| {
            let cluster = Some(ClusterState { connected, replicas: 3, runs: 1, images: 40 });
            text(&Snapshot { cluster, ..status() }, "http://here", at("2026-01-02T00:00:00Z"))
        };
        assert!(shown(true).contains("\ncluster: replicas 3; waiting or under way: runs 1, images 40\n\nRULE"));
        assert!(shown(false).contains("\n  ! cluster: NATS is not reached"));
    }

    #[test]
    fn a_reload_that_failed_says_so_and_a_daemon_that_stops() {
        let mut status = status();
        let error = Some("line 3: unknown key".to_owned());
        status.config.last_reload = Some(Reload { at: at("2026-01-01T23:59:00Z"), successful: false, error });
        status.ready = false;
        let text = text(&status, "http://here", at("2026-01-02T00:00:00Z"));
        assert!(text.contains(": stopping, up"), "{text}");
        assert!(text.contains("\n  ! not taken over 60 s ago, the old one holds: line 3: unknown key\n"), "{text}");
    }

    #[test]
    fn an_error_has_one_line_that_ends() {
        let long = "ä".repeat(LONGEST_ERROR + 1);
        assert_eq!(error(&failed(Some(&long))), Some("ä".repeat(LONGEST_ERROR) + "…"));
        assert_eq!(error(&failed(None)).as_deref(), Some("failed"));
        let stopped = Run { outcome: RunOutcome::Timeout, ..failed(None) };
        assert_eq!(error(&stopped).as_deref(), Some("stopped by its timeout"));
        assert_eq!(error(&Run { outcome: RunOutcome::Cancelled, ..failed(Some("no")) }), None);
    }

    #[test]
    fn spans_are_rough() {
        for (seconds, text) in
            [(-5, "0 s"), (99, "99 s"), (100, "1 min"), (5_999, "99 min"), (6_000, "1 h"), (172_800, "2 d")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
