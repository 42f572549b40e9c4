//! `--no-wait`: a running daemon does it, beside its rules.

use serde::Deserialize;

use super::options::{Options, Targets};
use crate::cli::output::print;
use crate::cli::server::{Entrance, Server};
use crate::cli::session::Session;
use crate::cli::{Exit, Failure, Format};
use crate::oci::Reference;

#[derive(Debug, clap::Args)]
pub(super) struct Handover {
    /// Hand the import to the daemon at --server, and print the id of its job there; the daemon's logins and limits hold
    #[arg(long)]
    no_wait: bool,

    /// The daemon for --no-wait, as https://mirror.example:9464; else REGFERRY_SERVER names it
    // Not read from the environment by itself: there it does not ask for anything to be handed over.
    #[arg(long, value_name = "URL", requires = "no_wait")]
    server: Option<Server>,

    #[command(flatten)]
    entrance: Entrance,
}

/// What a daemon says of an import that it has taken.
#[derive(Deserialize)]
struct Job {
    id: String,
}

impl Handover {
    pub(super) fn is_wanted(&self) -> bool {
        self.no_wait
    }

    pub(super) async fn run(
        &self,
        session: &Session,
        source: &Reference,
        targets: &Targets,
        force: bool,
        options: &Options,
    ) -> Result<Exit, Failure> {
        let server = match (&self.server, std::env::var("REGFERRY_SERVER")) {
            (Some(server), _) => server.clone(),
            (None, Ok(text)) => text.parse().map_err(Failure::usage)?,
            (None, Err(_)) => return Err(Failure::usage("--no-wait needs a daemon: name it with --server URL")),
        };
        let is_layout = targets.names_layout() || source.host.is_layout();
        if let Some(only_here) = options.only_here().or(is_layout.then_some("an image layout")) {
            return Err(Failure::usage(format!(
                "--no-wait hands the import to a daemon, and {only_here} cannot go along: leave one of them out"
            )));
        }
        let token = self.entrance.token(None)?;
        let order = options.order(source, targets, force);
        let Some(answer) = session.until_stopped(server.send("imports", &order, token.as_ref())).await else {
            return Ok(Exit::Failed);
        };
        let answer = answer.map_err(Failure::failed)?;
        let job: Job = serde_json::from_str(&answer).map_err(|error| {
            Failure::failed(format!("asking {server}: the answer is no import of a regferry's ({error})"))
        })?;
        print(&match options.output {
            Format::Json => format!("{}\n", answer.trim_end()),
            Format::Text => format!("{}\n", job.id),
        })?;
        Ok(Exit::Done)
    }
}
