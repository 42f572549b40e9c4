//! `regferry work`: a cluster's replica that leaves the schedule to others.

use super::serve::{self, Args as Serve};
use super::session::Session;
use super::{Exit, Failure};
use crate::app::Duty;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
pub(super) struct Args {
    /// Exit when nothing is left to do: no run and no image waits or is under way on any replica
    #[arg(long)]
    until_empty: bool,

    #[command(flatten)]
    serve: Serve,
}

const EXAMPLES: &str = "\
Examples:
  Help a cluster that others schedule:
    regferry work --config regferry.toml

  As a Kubernetes Job with parallelism: order all rules, then drain what is to do, together:
    regferry sync --cluster --config regferry.toml &
    regferry work --until-empty --config regferry.toml

SIGTERM and SIGINT give all work under way back to the other replicas.
Exits 0 once nothing is left to do, also where images failed: `sync --cluster` tells of those.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let duty = if args.until_empty { Duty::Drain } else { Duty::Work };
    let exit = serve::run_as(session, args.serve, duty).await?;
    Ok(if session.cancel.is_cancelled() { exit } else { Exit::Done })
}
