//! The command line: one file a command. Results go to stdout; logs and progress to stderr.

mod check;
mod chosen;
mod completions;
mod copy;
mod delete;
mod import;
mod index;
mod inspect;
mod logging;
mod manifests;
mod metrics_file;
mod output;
mod progress;
mod replace;
mod report;
mod serve;
mod server;
mod session;
mod signals;
mod status;
mod sync;
mod table;
mod tags;
mod verify;
mod work;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::oci::Host;
use crate::registry::Tls;

use logging::{Color, LogFormat};
use progress::Unit;
use session::Session;

/// Mirrors container images from registry to registry, every digest kept intact.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Copy an image with all its platforms into your own registry:
    regferry copy alpine:3.20 registry.example/mirror/alpine:3.20

  Import it as `az acr import` does, never overwriting a tag:
    regferry import --source mcr.microsoft.com/mcr/hello-world --registry registry.example --image hello:v1

  Mirror what a configuration says, once (for cron) or for good:
    regferry sync --config regferry.toml
    regferry serve --config regferry.toml";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
struct Global {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", env = "REGFERRY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// How to speak to a registry, over what the configuration says: https, insecure or http. Repeatable
    #[arg(long, global = true, value_name = "HOST=MODE")]
    tls: Vec<TlsOverride>,

    /// The form of log lines on stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Log more: -v what is done, -vv every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    /// Log errors only, and show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// When to colour the log: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy one image with everything it names to another place
    Copy(copy::Args),
    /// Import an image into a registry, as `az acr import` does for one of them
    Import(import::Args),
    /// Run the configuration's rules once, then exit
    Sync(sync::Args),
    /// Run the configuration's rules on their schedule until stopped
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Args),
    /// Work for a cluster whose schedule others keep
    Work(work::Args),
    /// Ask a running daemon what it does
    Status(status::Args),
    /// Show an image's manifest or list
    Inspect(inspect::Args),
    /// List a repository's manifests, with their tags
    Manifests(manifests::Args),
    /// List a repository's tags, and try out a rule's filters
    Tags(tags::Args),
    /// Compose images into a list, as `docker manifest` does, and push it
    Index(index::Args),
    /// Delete a tag, or a manifest with its tags
    Delete(delete::Args),
    /// Compare what the targets have with what the rules would write
    Verify(verify::Args),
    /// Check the configuration, and with --online the registries
    Check(check::Args),
    /// Print what a shell needs to complete the command line
    Completions(completions::Args),
}

impl Command {
    /// What its progress is shown in, if it takes long enough to show any.
    fn progress(&self) -> Option<Unit> {
        match self {
            Self::Copy(_) | Self::Import(_) | Self::Sync(_) => Some(Unit::Bytes),
            Self::Index(args) if args.pushes() => Some(Unit::Bytes),
            Self::Manifests(_) => Some(Unit::Requests),
            _ => None,
        }
    }
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// `--tls HOST=MODE`
#[derive(Debug, Clone)]
struct TlsOverride {
    host: Host,
    tls: Tls,
}

impl FromStr for TlsOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("--tls {text}: {reason}");
        let (host, mode) = text.split_once('=').ok_or_else(|| wrong("write HOST=MODE, as localhost:5000=https"))?;
        let tls = match mode {
            "https" => Tls::Https,
            "insecure" => Tls::Insecure,
            "http" => Tls::Http,
            other => return Err(wrong(&format!("{other:?} is no mode: https, insecure or http"))),
        };
        let host = host.parse().map_err(|error: crate::oci::InvalidName| wrong(&error.to_string()))?;
        Ok(Self { host, tls })
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// All done.
    Done,
    /// At least one image failed, or was not reached.
    Failed,
    /// A daemon that was told to stop, and did.
    Stopped,
}

/// Why a command did nothing: wrong usage or configuration (exit code 2), or a failure (1).
#[derive(Debug)]
enum Failure {
    Usage(String),
    Failed(String),
}

impl Failure {
    fn usage(text: impl ToString) -> Self {
        Self::Usage(text.to_string())
    }

    fn failed(text: impl ToString) -> Self {
        Self::Failed(text.to_string())
    }
}

/// An error of a registry, with its advice.
impl From<crate::content::Error> for Failure {
    fn from(error: crate::content::Error) -> Self {
        Self::Failed(error.with_advice())
    }
}

/// The command line as it is defined: for the manual, and for completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line.
///
/// # Errors
/// With the code to exit with, when there is nothing to run: help was asked for and printed, or the usage is wrong and
/// was explained.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments).map_err(|error| {
        match (error.kind(), std::error::Error::source(&error)) {
            // A value that its own parser refused says all that there is to say.
            (ErrorKind::ValueValidation, Some(reason)) => output::error(&reason.to_string()),
            _ => drop(error.print()),
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// Runs the command line to its end and says how the process is to exit.
///
/// 0 all done; 1 at least one image failed; 2 wrong usage or configuration, nothing was attempted; 130 or 143 stopped by
/// SIGINT or SIGTERM.
///
/// The runtime is begun here and not by the binary, in which all generic code below would then be compiled once more.
pub fn start(cli: Cli) -> ExitCode {
    let workers = match workers(std::env::var("TOKIO_WORKER_THREADS").ok().as_deref()) {
        Ok(workers) => workers.get(),
        Err(error) => {
            output::error(&error);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("starting threads: {error}; see how many this user may have (ulimit -u)"));
            return ExitCode::FAILURE;
        }
    };
    // On a worker, where what it waits for is done too: every wake of this thread would be a switch between the two.
    let code = runtime.block_on(runtime.spawn(run(cli)));
    // What a stop has dropped does not hold the process.
    runtime.shutdown_background();
    // A panic has been told by now.
    code.unwrap_or(ExitCode::FAILURE)
}

/// As many as are asked for, else one fewer than there are cores: the kernel, which moves what they send and receive, needs
/// one too, and workers that have little to do wake each other for it.
fn workers(asked: Option<&str>) -> Result<NonZeroUsize, String> {
    if let Some(asked) = asked {
        let wrong = |_| format!("TOKIO_WORKER_THREADS: {asked:?} is no number of threads; set 1 or more, or unset it");
        return asked.parse().map_err(wrong);
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Ok(NonZeroUsize::new(cores - 1).unwrap_or(NonZeroUsize::MIN))
}

async fn run(cli: Cli) -> ExitCode {
    let progress = progress::Progress::new(cli.command.progress().filter(|_| !cli.global.quiet));
    logging::init(&cli.global, matches!(cli.command, Command::Serve(_) | Command::Work(_)), &progress);
    let signals = signals::listen();
    let session = Session::new(cli.global, progress, signals.cancel.clone());

    let result = match cli.command {
        Command::Copy(args) => copy::run(&session, args).await,
        Command::Import(args) => import::run(&session, args).await,
        Command::Sync(args) => sync::run(&session, args).await,
        Command::Serve(args) => serve::run(&session, args).await,
        Command::Work(args) => work::run(&session, args).await,
        Command::Status(args) => status::run(&session, args).await,
        Command::Inspect(args) => inspect::run(&session, args).await,
        Command::Manifests(args) => manifests::run(&session, args).await,
        Command::Tags(args) => tags::run(&session, args).await,
        Command::Index(args) => index::run(&session, args).await,
        Command::Delete(args) => delete::run(&session, args).await,
        Command::Verify(args) => verify::run(&session, args).await,
        Command::Check(args) => check::run(&session, args).await,
        Command::Completions(args) => completions::run(&args),
    };

    session.progress.finish();
    let code = match result {
        Ok(Exit::Done) => return ExitCode::SUCCESS,
        Ok(Exit::Failed) => 1,
        Ok(Exit::Stopped) => 0,
        Err(failure) => {
            let (code, text) = match failure {
                Failure::Failed(text) => (1, text),
                Failure::Usage(text) => (2, text),
            };
            output::error(&text);
            code
        }
    };
    ExitCode::from(signals.code().unwrap_or(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_worker_whatever_the_machine_and_as_many_as_are_asked_for() {
        assert!(workers(None).is_ok());
        assert_eq!(workers(Some("3")).map(NonZeroUsize::get), Ok(3));
        for asked in ["0", "", "two", "-1"] {
            assert!(workers(Some(asked)).unwrap_err().contains("set 1 or more"), "{asked}");
        }
    }
}
