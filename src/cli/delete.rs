//! `regferry delete`: a tag, or a manifest with its tags.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::content::Location;
use crate::oci::{Reference, Tag, TagOrDigest};
use crate::telemetry::Log;
use crate::transfer::{Removal, RemovalError, Removed};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is deleted: HOST/REPO:TAG, or HOST/REPO@DIGEST for the manifest and all of its tags
    reference: String,

    /// Do not ask. Needed where there is no terminal to ask at
    #[arg(short, long)]
    yes: bool,

    /// The form of the result. json is one object: reference, digest, tags (those that went), listed_by (tags of lists
    /// that name the manifest and lack it now) and unlisted_from (tags of lists of referrers that it was taken out of)
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  One tag; other tags of the same manifest stay:
    regferry delete registry.example/app:1.0-rc1

  A manifest with all of its tags, from a script:
    regferry delete --yes registry.example/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A tag goes alone also where the registry deletes manifests only (docker-registry): it is moved onto an empty manifest of
its own, and that is deleted. A manifest that refers to another one, a signature say, is taken out of the list of those,
where that is kept under a tag. If what would go has changed since it was told, nothing is deleted. Layers stay until the
registry collects its garbage.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let (location, at) = named(&args.reference)?;
    if !args.yes && !is_terminal() {
        return Err(Failure::usage(format!(
            "{}: nobody is there to be asked whether it may go: give --yes to delete it",
            args.reference
        )));
    }
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let reference = location.reference(&at);
    let Some(removal) = session.until_stopped(app.engine().removal(&location, at, &session.cancel)).await else {
        return Ok(Exit::Failed);
    };
    let removal = removal?;
    let does_more =
        !(removal.tags().is_empty() && removal.listed_by().is_empty() && removal.unlisted_from().is_empty());
    if !args.yes || does_more {
        tell(session, &reference, &removal, args.yes);
    }
    if !args.yes && !session.until_stopped(agreed()).await.unwrap_or(false) {
        return Err(Failure::failed("nothing was deleted"));
    }
    let left = left_half_way(&reference, &removal);
    let Some(removed) = session.within_grace(&app, removal.execute()).await else {
        left.iter().for_each(|left| output::error(left));
        return Ok(Exit::Failed);
    };
    print(&removed?, args.output)?;
    Ok(Exit::Done)
}

/// What there may be if it is dropped before it is done.
fn left_half_way(reference: &Reference, removal: &Removal) -> Option<String> {
    let original = Location::from(reference).reference(&TagOrDigest::Digest(removal.digest().clone()));
    if reference.digest.is_none() {
        return Some(format!(
            "{reference} may point at an empty manifest now: look at it; `regferry copy {original} {reference}` lets it \
             point where it did"
        ));
    }
    let lists = removal.unlisted_from();
    (!lists.is_empty()).then(|| {
        format!(
            "{reference} may still be there, and no longer be in the list of what refers to an image ({}): delete it \
             again, or attach it again",
            names(lists)
        )
    })
}

impl From<RemovalError> for Failure {
    fn from(error: RemovalError) -> Self {
        Self::failed(error)
    }
}

/// One of both: a default would delete what nobody named.
fn named(text: &str) -> Result<(Location, TagOrDigest), Failure> {
    let reference = Reference::parse_without_default_tag(text).map_err(Failure::usage)?;
    let location = Location::from(&reference);
    match (reference.tag, reference.digest) {
        (Some(tag), None) => Ok((location, TagOrDigest::Tag(tag))),
        (None, Some(digest)) => Ok((location, TagOrDigest::Digest(digest))),
        (None, None) => {
            Err(Failure::usage(format!("{text}: name what is to be deleted: {location}:TAG, or {location}@DIGEST")))
        }
        (Some(tag), Some(digest)) => Err(Failure::usage(format!(
            "{text}: name one of both: {location}:{tag} for the tag alone, {location}@{digest} for the manifest with \
             all of its tags"
        ))),
    }
}

fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What is about to go, on stderr.
fn tell(session: &Session, reference: &Reference, removal: &Removal, is_agreed: bool) {
    if is_agreed && session.is_quiet() {
        return;
    }
    let mut text = format!("{reference}\n");
    if reference.digest.is_none() {
        let _ = writeln!(text, "  the tag goes; what it points at stays: {}", removal.digest());
    }
    let mut list = |what: &str, tags: &[Tag]| {
        if !tags.is_empty() {
            let _ = writeln!(text, "  {what}: {}", names(tags));
        }
    };
    list("tags that go with it", removal.tags());
    list("tags of lists that will lack it", removal.listed_by());
    list("lists of referrers that it is taken out of", removal.unlisted_from());
    output::note(&text);
}

fn names(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
}

/// Asks, and waits for a line.
async fn agreed() -> bool {
    output::note("Delete? [y/N] ");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn print(removed: &Removed, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::print_json(removed);
    }
    let tags = removed.tags.iter().map(|tag| format!("deleted {tag}\n"));
    let document = removed.reference.digest.iter().map(|_| format!("deleted {}\n", removed.reference));
    output::print(&tags.chain(document).collect::<String>())
}
