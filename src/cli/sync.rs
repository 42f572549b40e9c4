//! `regferry sync`: one pass over the rules, for CronJobs and CI.

use std::fmt::Write as _;

use serde::Serialize;

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::config::Config;
use crate::events::{ImageOutcome, RuleReport, SyncReport};
use crate::oci::Size;
use crate::telemetry::Log;
use crate::transfer::Mode;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only the rule of this name. Repeatable
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,

    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  See what a pass would do, then do it:
    regferry sync --config regferry.toml --dry-run
    regferry sync --config regferry.toml

  One rule, its report for a program:
    regferry sync --config regferry.toml --rule hello-world --output json

Exits 0 if every image is in place, 1 if one failed, 2 if nothing was attempted.";

/// The report as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    report: &'a SyncReport,
    dry_run: bool,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    all_known(&config, &args.rules)?;
    let app = session.app(config, Log::BesideResults)?;
    let chosen = |name: &str| args.rules.is_empty() || args.rules.iter().any(|rule| rule == name);
    let mode = if args.dry_run { Mode::Plan } else { Mode::Execute };
    let Some(report) = session.within_grace(&app, app.sync(chosen, mode, &session.cancel)).await else {
        return Ok(Exit::Failed);
    };
    session.progress.finish();
    match args.output {
        Format::Json => output::print_json(&Report { report: &report, dry_run: args.dry_run })?,
        Format::Text => output::print(&text(&report, mode))?,
    }
    Ok(if report.is_success() { Exit::Done } else { Exit::Failed })
}

fn all_known(config: &Config, names: &[String]) -> Result<(), Failure> {
    let known: Vec<&str> = config.rules.iter().map(|scheduled| &*scheduled.rule.name).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err(Failure::usage(format!("--rule {name}: there is no such rule; there are: {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

/// A line for each rule, for each image of it that changed or failed, and one for all.
fn text(report: &SyncReport, mode: Mode) -> String {
    let mut text = String::new();
    for rule in &report.rules {
        rule_text(&mut text, rule, mode);
    }
    let totals = &report.totals;
    let counts = counts(mode, [totals.copied, totals.unchanged, totals.skipped, totals.failed]);
    let _ = writeln!(text, "{counts}; {} in {:.1} s", Size(totals.bytes), totals.elapsed.as_secs_f64());
    text
}

fn rule_text(text: &mut String, rule: &RuleReport, mode: Mode) {
    use ImageOutcome::{Copied, Failed, Skipped, Unchanged};
    let counts = counts(mode, [Copied, Unchanged, Skipped, Failed].map(|outcome| rule.count(outcome) as u64));
    let _ = writeln!(text, "{}: {counts}", rule.name);
    for image in rule.images.iter().filter(|image| image.outcome != Unchanged) {
        let mark = match (image.outcome, mode) {
            (Failed, _) => '!',
            (Skipped, _) => '-',
            (_, Mode::Plan) => '?',
            (_, Mode::Execute | Mode::Repair) => '+',
        };
        let digest = image.digest.as_ref().map(|digest| format!(" {}", digest.short())).unwrap_or_default();
        let _ = writeln!(text, "  {mark} {}{digest}  {}", image.target, output::outcome(image, mode));
    }
    for warning in &rule.warnings {
        let _ = writeln!(text, "  ~ {warning}");
    }
    if let Some(error) = &rule.error {
        let _ = writeln!(text, "  ! {error}");
    }
}

/// `1 copied, 14 unchanged, 0 failed`; skipped ones only where there are any.
fn counts(mode: Mode, [copied, unchanged, skipped, failed]: [u64; 4]) -> String {
    let verb = if mode == Mode::Plan { "to copy" } else { "copied" };
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    format!("{copied} {verb}, {unchanged} unchanged{skipped}, {failed} failed")
}
