//! `regferry verify`: whether the targets have what the rules would write. Copies nothing.

use std::fmt::Write as _;

use super::session::Session;
use super::{Exit, Failure, Format, chosen, output, report};
use crate::events::{ImageOutcome, ImageReport, RuleReport, SyncReport};
use crate::telemetry::Log;
use crate::transfer::{Depth, Mode};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    rules: chosen::Rules,

    /// Read every blob at the target again, and hash it
    #[arg(long)]
    deep: bool,

    /// The form of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  See whether every tag, manifest and blob is where the rules want it:
    regferry verify --config regferry.toml

  One rule, down to the last byte, the report for a program:
    regferry verify --config regferry.toml --rule hello-world --deep --output json

  Mend what was found:
    regferry sync --config regferry.toml --repair

Nothing is written. Exits 0 if all holds, 1 if something differs or could not be looked at, 2 if nothing was attempted.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    args.rules.check(&config)?;
    let app = session.app(config, Log::BesideResults)?;
    let depth = if args.deep { Depth::Deep } else { Depth::Shallow };
    let mode = Mode::Verify(depth);
    let sync = app.sync(|name| args.rules.has(name), mode, &session.cancel);
    let Some(report) = session.within_grace(&app, sync).await else {
        return Ok(Exit::Failed);
    };
    match args.output {
        Format::Json => output::print_json(&report::json(&report, mode))?,
        Format::Text => output::print(&text(&report))?,
    }
    Ok(if report.is_success() { Exit::Done } else { Exit::Failed })
}

/// A line for each rule, for each image of it that does not hold and each difference, and one for all.
fn text(report: &SyncReport) -> String {
    let mut text = String::new();
    for rule in &report.rules {
        rule_text(&mut text, rule);
    }
    let totals = &report.totals;
    let counts = counts([totals.unchanged, totals.skipped, totals.failed]);
    let _ = writeln!(text, "{counts}; verified in {:.1} s", totals.elapsed.as_secs_f64());
    // What a registry or a document says is not the terminal's commands.
    text.retain(|c| c == '\n' || !c.is_control());
    text
}

fn rule_text(text: &mut String, rule: &RuleReport) {
    use ImageOutcome::{Failed, Skipped, Unchanged};
    let counts = counts([Unchanged, Skipped, Failed].map(|outcome| rule.count(outcome) as u64));
    let _ = writeln!(text, "{}: {counts}", rule.name);
    for image in &rule.images {
        image_text(text, image);
    }
    for warning in &rule.warnings {
        let _ = writeln!(text, "  ~ {warning}");
    }
    if let Some(error) = &rule.error {
        let _ = writeln!(text, "  ! {error}");
    }
}

fn image_text(text: &mut String, image: &ImageReport) {
    let reason = image.error.as_deref().unwrap_or_default();
    let _ = match image.outcome {
        ImageOutcome::Unchanged | ImageOutcome::Copied => Ok(()),
        ImageOutcome::Skipped => writeln!(text, "  - {}  skipped: {reason}", image.target),
        ImageOutcome::Failed if image.differences.is_empty() => writeln!(text, "  ! {}  {reason}", image.target),
        ImageOutcome::Failed => {
            image.differences.iter().try_for_each(|difference| writeln!(text, "  ! {}  {difference}", image.target))
        }
    };
}

/// `14 intact, 1 failed`; skipped ones only where there are any.
fn counts([intact, skipped, failed]: [u64; 3]) -> String {
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    format!("{intact} intact{skipped}, {failed} failed")
}
