//! The `regferry` binary: arguments → runtime → exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use regferry::cli;

fn main() -> anyhow::Result<ExitCode> {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    // On a worker, where what it waits for is done too: every wake of this thread would be a switch between the two.
    let code = runtime.block_on(runtime.spawn(cli::run(cli)))?;
    // What a stop has dropped does not hold the process.
    runtime.shutdown_background();
    Ok(code)
}
