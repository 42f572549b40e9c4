//! `regferry status`: what a running daemon does. Also how a container asks whether it is well.

mod table;

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::server::{Answer, Entrance, Server};
use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::config::{Config, Service};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where the daemon is; else where REGFERRY_LISTEN or the configuration has it listen, or http://127.0.0.1:9464
    #[arg(long, value_name = "URL", env = "REGFERRY_SERVER", hide_env_values = true)]
    server: Option<Server>,

    /// The form of the status
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// Look again every two seconds, until stopped
    #[arg(long, conflicts_with = "output")]
    watch: bool,

    #[command(flatten)]
    entrance: Entrance,
}

const EXAMPLES: &str = "\
Examples:
  The daemon on this machine:
    regferry status

  Another one, for a program:
    regferry status --server http://mirror.example:9464 --output json

  As a health check, without a word:
    regferry status --quiet

  One that shows its state to those with a token alone, again and again:
    regferry status --server https://mirror.example --token-file token --watch

Exits 0 if the daemon is there and runs rules, 1 if it is not or stops, 2 if it was not asked.";

const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// To the upper left corner, and everything below it cleared.
const CLEARED: &str = "\x1b[H\x1b[J";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let (server, usual) = match args.server {
        Some(server) => (server, None),
        None => {
            let service = configured(session);
            (Server::here(|| service.listen).map_err(Failure::usage)?, service.api_token_file)
        }
    };
    let token = args.entrance.token(usual.as_deref())?;
    if args.watch {
        return watch(session, &server, token.as_ref()).await;
    }
    let Some(answer) = session.until_stopped(server.ask(token.as_ref())).await else {
        return Ok(Exit::Failed);
    };
    let answer = answer.map_err(Failure::failed)?;
    if !session.is_quiet() {
        output::print(&shown(&server, &answer, args.output))?;
    }
    if answer.snapshot.ready {
        Ok(Exit::Done)
    } else {
        Err(Failure::failed(format!("the daemon at {server} is stopping: it starts no more runs")))
    }
}

/// What a configuration that is named says of the daemon. That it is broken is no reason not to ask: a daemon goes on
/// when it refuses one.
fn configured(session: &Session) -> Service {
    let Ok(file) = session.config_file() else { return Service::default() };
    Config::load_service(file).unwrap_or_else(|error| {
        tracing::warn!(%error, "where the configuration has the daemon listen is not known: the usual place is asked");
        Service::default()
    })
}

fn shown(server: &Server, answer: &Answer, format: Format) -> String {
    match format {
        Format::Json => format!("{}\n", answer.text.trim_end()),
        Format::Text => table::text(&answer.snapshot, &server.to_string(), Timestamp::now()),
    }
}

/// A daemon that is away for a while is shown as that.
async fn watch(session: &Session, server: &Server, token: Option<&SecretString>) -> Result<Exit, Failure> {
    if !stdout().is_terminal() {
        return Err(Failure::usage("--watch needs a terminal; elsewhere call `regferry status` again and again"));
    }
    let looking = async {
        loop {
            let text = match server.ask(token).await {
                Ok(answer) => shown(server, &answer, Format::Text),
                Err(error) => format!("{error}\n"),
            };
            output::print(&format!("{CLEARED}{text}"))?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    session.until_stopped(looking).await.unwrap_or(Ok(Exit::Failed))
}
