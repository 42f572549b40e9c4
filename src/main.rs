//! The `regferry` binary: arguments → exit code.

use std::process::ExitCode;

use regferry::cli;

fn main() -> ExitCode {
    cli::parse(std::env::args_os()).map_or_else(|code| code, cli::start)
}
