//! `regferry sync`: one pass over the rules, for CronJobs and CI.

use std::path::PathBuf;

use super::metrics_file::MetricsFile;
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

    /// Have the replicas of the configuration's [cluster] do it, and wait until they have
    #[arg(long, conflicts_with = "dry_run")]
    cluster: bool,

    /// Write metrics to a file, as Prometheus' node exporter reads them from its textfile folder
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    metrics_file: Option<PathBuf>,

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

  As a cron job whose failures alert:
    regferry sync --config regferry.toml --metrics-file /var/lib/prometheus/node-exporter/regferry.prom

  By all replicas of a cluster:
    regferry sync --config regferry.toml --cluster

Exits 0 if every image is in place, 1 if one failed, 2 if nothing was attempted.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    args.rules.check(&config)?;
    if args.cluster {
        session.check_cluster(&config)?;
    }
    let metrics_file = args.metrics_file.map(MetricsFile::at).transpose()?;
    let mut app = session.app(config, Log::BesideResults)?;
    if !args.cluster && !args.dry_run {
        app.remember().await;
    }
    if let Some(file) = &metrics_file {
        app.metrics().show_only(|rule| args.rules.has(rule));
        file.take_over(app.metrics());
    }
    let mode = match (args.dry_run, args.repair) {
        (true, _) => Mode::Plan,
        (false, true) => Mode::Repair,
        (false, false) => Mode::Execute,
    };
    let has = |name: &str| args.rules.has(name);
    let report = if args.cluster {
        let cluster = app.cluster().await.map_err(Failure::failed)?;
        match cluster {
            Some(cluster) => app.order(&cluster, has, mode, &session.cancel).await.map_err(Failure::failed)?,
            None => None,
        }
    } else {
        session.within_grace(&app, app.sync(has, mode, &session.cancel)).await
    };
    app.write_down().await;
    session.progress.finish();
    let metrics = metrics_file.map_or(Ok(()), |file| file.write(app.metrics()));
    let Some(report) = report else {
        if args.cluster {
            tracing::warn!("nobody waits for the pass any more: the cluster's replicas go on with it");
        }
        return metrics.map(|()| Exit::Failed);
    };
    match args.output {
        Format::Json => output::print_json(&report::json(&report, mode))?,
        Format::Text => output::print(&report::text(&report, mode))?,
    }
    metrics?;
    Ok(if report.is_success() { Exit::Done } else { Exit::Failed })
}
