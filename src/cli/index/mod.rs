//! `regferry index`: Docker's `docker manifest`, for any registry.

mod annotate;
mod create;
mod inspect;
mod push;
mod rm;
mod store;

use super::session::Session;
use super::{Exit, Failure};
use crate::oci::Reference;
use crate::transfer::NotComposed;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a list of images; it is kept here until it is pushed
    Create(create::Args),
    /// Say what an image of a list runs on, or annotate it
    Annotate(annotate::Args),
    /// Show a list that is kept here, else the registry's
    Inspect(inspect::Args),
    /// Push a list, with the images that its repository lacks
    Push(push::Args),
    /// Forget lists that are kept here
    Rm(rm::Args),
}

const EXAMPLES: &str = "\
Examples:
  As with `docker manifest`:
    regferry index create registry.example/app:1.4 registry.example/app:1.4-amd64 registry.example/app:1.4-arm64
    regferry index push --purge registry.example/app:1.4

  In one step, as with `docker buildx imagetools create`:
    regferry index create registry.example/app:1.4 registry.example/app:1.4-amd64 registry.example/app:1.4-arm64 --push

Lists are kept in $XDG_STATE_HOME/regferry/index, by default in ~/.local/state.";

impl Args {
    pub(super) fn pushes(&self) -> bool {
        match &self.command {
            Command::Push(_) => true,
            Command::Create(args) => args.pushes(),
            Command::Annotate(_) | Command::Inspect(_) | Command::Rm(_) => false,
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(args) => create::run(session, args).await,
        Command::Annotate(args) => annotate::run(args),
        Command::Inspect(args) => inspect::run(session, &args).await,
        Command::Push(args) => push::run(session, args).await,
        Command::Rm(args) => rm::run(&args),
    }
}

/// A list's name: a tag, by default `latest`.
fn list_name(text: &str) -> Result<Reference, String> {
    let name: Reference = text.parse().map_err(|error: crate::oci::InvalidReference| error.to_string())?;
    if name.digest.is_some() {
        return Err(format!("{text}: the digest of a list comes of what it lists: name a tag"));
    }
    Ok(name)
}

/// `KEY=VALUE`
fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("--annotation {text}: write KEY=VALUE, as org.opencontainers.image.version=1.4")),
    }
}

/// Why a list cannot be pushed, and the way out for a list that is kept here.
fn not_composed(name: &Reference, error: &NotComposed) -> String {
    let annotate = |part: &Reference| format!("regferry index annotate {name} {part}");
    let advice = match error {
        NotComposed::Empty => format!("name some with `regferry index create --amend {name} MANIFEST`"),
        NotComposed::NoPlatform(part) => format!("name it with `{} --os OS --arch ARCH`", annotate(&part.reference())),
        NotComposed::SamePlatform(parts) => {
            format!(
                "say what one of them really runs on with `{} --arch ARCH`, or create the list without it",
                annotate(&parts.1.reference())
            )
        }
        NotComposed::Annotated | NotComposed::NoMachine(_) => "create it without --media-type".to_owned(),
        NotComposed::Document(_) => return error.to_string(),
    };
    format!("{error}; {advice}")
}
