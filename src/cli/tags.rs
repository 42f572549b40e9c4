//! `regferry tags`: a repository's tags, through a rule's filters.

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::Reference;
use crate::transfer::TagFilter;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The repository: HOST/REPO
    repository: String,

    /// Only tags that match: a name, a glob, or /a regular expression/. Repeatable
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,

    /// No tags that match. Repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  All tags:
    regferry tags alpine

  What a rule with these filters would mirror:
    regferry tags alpine --include '3.*' --exclude '*-rc*' --include latest";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let filter = TagFilter::new(&args.include, &args.exclude).map_err(Failure::usage)?;
    let reference = Reference::parse_without_default_tag(&args.repository).map_err(Failure::usage)?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err(Failure::usage(format!("{}: name a repository, without tag or digest", args.repository)));
    }
    let location = Location::from(&reference);
    let remote = session.remote(&location)?;
    let Some(listed) = session.until_stopped(remote.tags()).await else {
        return Ok(Exit::Failed);
    };
    let listed = listed?.ok_or_else(|| Error::new(format!("listing the tags of {location}"), Cause::NotFound))?;

    let selection = filter.select(listed);
    for pattern in &selection.unmatched {
        tracing::warn!("the pattern {pattern:?} matches no tag");
    }
    match args.output {
        Format::Json => output::print_json(&selection.tags)?,
        Format::Text => output::print(&selection.tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())?,
    }
    for tag in &selection.missing {
        output::error(&format!("{location} has no tag {tag}; list them with `regferry tags {location}`"));
    }
    Ok(if selection.missing.is_empty() { Exit::Done } else { Exit::Failed })
}
