//! `regferry sync`: one pass over the rules, for CronJobs and CI.

use super::session::Session;
use super::{Exit, Failure, Format, chosen, output, report};
use crate::telemetry::Log;
use crate::transfer::Mode;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    rules: chosen::Rules,

    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Look below unchanged tags too, and mend what is missing or damaged there
    #[arg(long, conflicts_with = "dry_run")]
    repair: bool,

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

  Also mend what was deleted or damaged at the targets since:
    regferry sync --config regferry.toml --repair

Exits 0 if every image is in place, 1 if one failed, 2 if nothing was attempted.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    args.rules.check(&config)?;
    let app = session.app(config, Log::BesideResults)?;
    let mode = match (args.dry_run, args.repair) {
        (true, _) => Mode::Plan,
        (false, true) => Mode::Repair,
        (false, false) => Mode::Execute,
    };
    let sync = app.sync(|name| args.rules.has(name), mode, &session.cancel);
    let Some(report) = session.within_grace(&app, sync).await else {
        return Ok(Exit::Failed);
    };
    session.progress.finish();
    match args.output {
        Format::Json => output::print_json(&report::json(&report, mode))?,
        Format::Text => output::print(&report::text(&report, mode))?,
    }
    Ok(if report.is_success() { Exit::Done } else { Exit::Failed })
}
