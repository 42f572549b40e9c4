//! `regferry check`: whether the configuration holds.

use super::session::Session;
use super::{Exit, Failure, output};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {}

const EXAMPLES: &str = "\
Examples:
  Before a deployment:
    regferry check --config regferry.toml

  Without a registry in reach, in CI:
    REGFERRY_CONFIG=regferry.toml regferry check";

pub(super) fn run(session: &Session, _args: &Args) -> Result<Exit, Failure> {
    let config = session.config()?;
    output::print(&format!("ok: {} rules, {} registries configured\n", config.rules.len(), config.registries.len()))?;
    Ok(Exit::Done)
}
