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
    let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let rules = counted(config.rules.len(), "rule", "rules");
    let registries = counted(config.registries.len(), "registry", "registries");
    output::print(&format!("ok: {rules}, {registries} configured\n"))?;
    Ok(Exit::Done)
}
