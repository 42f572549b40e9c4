//! `regferry completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use super::{Exit, Failure, command, output};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  For bash, from the next shell on:
    regferry completions bash > ~/.local/share/bash-completion/completions/regferry

  For zsh, in a folder of $fpath, and for fish:
    regferry completions zsh > ~/.zfunc/_regferry
    regferry completions fish > ~/.config/fish/completions/regferry.fish";

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "regferry", &mut script);
    output::print_bytes(&script)?;
    Ok(Exit::Done)
}
