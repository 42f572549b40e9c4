//! The report of `sync`: a calm table for people and CI logs, JSON for programs (`docs/report.schema.json`).

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use std::fmt::{Display, Write as _};

use serde::Serialize;

use crate::events::{ImageOutcome, ImageReport, RuleReport, RunOutcome, Selected, StageReport, SyncReport};
use crate::oci::{Digest, Size};
use crate::transfer::Mode;

/// The report as JSON.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    #[serde(flatten)]
    report: &'a SyncReport,
    dry_run: bool,
}

/// The form for programs.
pub(super) fn json(report: &SyncReport, mode: Mode) -> Json<'_> {
    Json { report, dry_run: mode == Mode::Plan }
}

/// The form for people: a line for each rule and, below it, for each image that changed, was left alone or failed; one
/// for all at the end. A dry run has the same lines, and how tags were chosen.
pub(super) fn text(report: &SyncReport, mode: Mode) -> String {
    let mut text = String::new();
    for rule in &report.rules {
        rule_text(&mut text, rule, mode);
    }
    let _ = writeln!(text, "{}", summary(report, mode));
    text.retain(is_shown);
    text
}

/// What a registry or a document says is not the terminal's commands.
fn is_shown(c: char) -> bool {
    c == '\n' || !c.is_control()
}

/// The lines of some images, unchanged ones too.
pub(super) fn images(images: &[ImageReport], mode: Mode) -> String {
    let mut text = String::new();
    write_aligned(&mut text, &images.iter().map(|image| Row::of(image, mode)).collect::<Vec<_>>());
    text.retain(is_shown);
    text
}

fn rule_text(text: &mut String, rule: &RuleReport, mode: Mode) {
    use ImageOutcome::{Copied, Failed, Skipped, Unchanged};
    let counts = counts(mode, [Copied, Unchanged, Skipped, Failed].map(|outcome| rule.count(outcome) as u64));
    let _ = writeln!(text, "{}: {counts}{}", rule.name, ending(rule.outcome));
    if mode == Mode::Plan {
        for selected in &rule.selections {
            let _ = writeln!(text, "    {}", selection(selected));
        }
    }
    let images = rule.images.iter().filter(|image| image.outcome != Unchanged).map(|image| Row::of(image, mode));
    let pruned = rule.pruned.iter().map(|tag| Row::of_pruned(tag, mode));
    write_aligned(text, &images.chain(pruned).collect::<Vec<_>>());
    for warning in &rule.warnings {
        let _ = writeln!(text, "  ~ {warning}");
    }
    if let Some(error) = &rule.error {
        let _ = writeln!(text, "  ! {error}");
    }
}

/// A run that did not end by itself says so.
fn ending(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Success | RunOutcome::Failure => "",
        RunOutcome::Timeout => "; stopped by its timeout",
        RunOutcome::Cancelled => "; stopped",
    }
}

/// `tags of docker.io/library/nginx: 912 listed; include dropped 610 (1.0, 1.1, …); 10 chosen`.
fn selection(selected: &Selected) -> String {
    let mut text = format!("{}: {} listed", selected.source, selected.listed);
    for StageReport { stage, dropped, examples } in selected.stages.iter().filter(|stage| stage.dropped > 0) {
        let more = if *dropped > examples.len() { ", …" } else { "" };
        let examples = if examples.is_empty() { String::new() } else { format!(" ({}{more})", examples.join(", ")) };
        let _ = write!(text, "; {stage} dropped {dropped}{examples}");
    }
    let _ = write!(text, "; {} chosen", selected.chosen);
    text
}

/// One line below a rule: what happened to which tag.
struct Row {
    mark: char,
    target: String,
    happened: Happened,
}

enum Happened {
    Words(String),
    /// Digest, blobs, bytes, and where it has been done the time.
    Copied([String; 4]),
}

impl Row {
    fn of(image: &ImageReport, mode: Mode) -> Self {
        let words = |word: &str| match &image.error {
            Some(reason) => Happened::Words(format!("{word}: {reason}")),
            None => Happened::Words(word.to_owned()),
        };
        let (mark, happened) = match (image.outcome, mode) {
            (ImageOutcome::Copied, Mode::Plan) => ('?', Happened::Copied(copied(image, mode))),
            (ImageOutcome::Copied, _) => ('+', Happened::Copied(copied(image, mode))),
            (ImageOutcome::Unchanged, _) => ('=', words("unchanged")),
            (ImageOutcome::Skipped, _) => ('-', words("skipped")),
            (ImageOutcome::Failed, _) => ('!', words("failed")),
        };
        Self { mark, target: image.target.to_string(), happened }
    }

    fn of_pruned(tag: &impl Display, mode: Mode) -> Self {
        let word = if mode == Mode::Plan { "to delete" } else { "deleted" };
        Self { mark: 'x', target: tag.to_string(), happened: Happened::Words(word.to_owned()) }
    }
}

/// The columns of an image that was brought over, or would be.
fn copied(image: &ImageReport, mode: Mode) -> [String; 4] {
    let words = if mode == Mode::Plan { ["to copy", "to mount"] } else { ["copied", "mounted"] };
    let counts = [(image.blobs.copied, words[0]), (image.blobs.mounted, words[1]), (image.blobs.present, "present")];
    let parts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let mut blobs = format!("blobs: {}", if parts.is_empty() { "none".to_owned() } else { parts.join(", ") });
    if image.referrers > 0 {
        let _ = write!(blobs, "; referrers: {}", image.referrers);
    }
    let digest = image.digest.as_ref().map(Digest::short).unwrap_or_default();
    let seconds = match mode {
        Mode::Plan => String::new(),
        _ => format!("{:.1} s", image.elapsed.as_secs_f64()),
    };
    [digest, blobs, Size(image.bytes).to_string(), seconds]
}

/// Columns are as wide as they need to be in this rule; numbers end at one place.
fn write_aligned(text: &mut String, rows: &[Row]) {
    let target = rows.iter().map(|row| row.target.chars().count()).max().unwrap_or_default();
    let mut widths = [0; 4];
    for row in rows {
        if let Happened::Copied(columns) = &row.happened {
            for (width, column) in widths.iter_mut().zip(columns) {
                *width = column.chars().count().max(*width);
            }
        }
    }
    let [digest, blobs, bytes, seconds] = widths;
    for Row { mark, target: name, happened } in rows {
        let line = match happened {
            Happened::Words(words) => format!("  {mark} {name:target$}  {words}"),
            Happened::Copied([a, b, c, d]) => {
                format!("  {mark} {name:target$}  {a:digest$}  {b:blobs$}  {c:>bytes$}  {d:>seconds$}")
            }
        };
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// `3 rules: 2 copied, 14 unchanged, 1 failed; 21.3 MiB in 3.2 s; not done: alpine`.
fn summary(report: &SyncReport, mode: Mode) -> String {
    let totals = &report.totals;
    let counts = counts(mode, [totals.copied, totals.unchanged, totals.skipped, totals.failed]);
    let rules = match report.rules.len() {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    };
    let undone: Vec<&str> =
        report.rules.iter().filter(|rule| rule.outcome != RunOutcome::Success).map(|rule| &*rule.name).collect();
    let undone = if undone.is_empty() { String::new() } else { format!("; not done: {}", undone.join(", ")) };
    format!("{rules}: {counts}; {} in {:.1} s{undone}", Size(totals.bytes), totals.elapsed.as_secs_f64())
}

/// `1 copied, 14 unchanged, 0 failed`; skipped ones only where there are any.
fn counts(mode: Mode, [copied, unchanged, skipped, failed]: [u64; 4]) -> String {
    let verb = if mode == Mode::Plan { "to copy" } else { "copied" };
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    format!("{copied} {verb}, {unchanged} unchanged{skipped}, {failed} failed")
}
