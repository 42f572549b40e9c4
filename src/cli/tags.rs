//! `regferry tags`: a repository's tags, through a rule's filters.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use serde::Serialize;

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::{Reference, Tag};
use crate::transfer::{Pattern, Selection, Stage, TagFilter, VersionRange};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The repository: HOST/REPO
    repository: String,

    /// Only tags that match: a name, a glob, or /a regular expression/. Repeatable
    #[arg(long, value_name = "PATTERN")]
    include: Vec<Pattern>,

    /// No tags that match. Repeatable
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<Pattern>,

    /// Only versions of this range, beside the tags that --include names exactly
    #[arg(long, value_name = "RANGE")]
    semver: Option<VersionRange>,

    /// Only the newest so many of the rest, tags that --include names exactly not counted
    #[arg(long, value_name = "N", value_parser = count)]
    latest: Option<NonZeroUsize>,

    /// The form of the result. json is one object: repository, listed (how many tags there are), stages (what each
    /// filter dropped: what, dropped, examples), tags and missing
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  All tags:
    regferry tags alpine

  What a rule with these filters would mirror, and on stderr how many tags each of them drops:
    regferry tags alpine --include latest --include '3.*' --exclude '*-rc*' --semver '>=3.18, <4' --latest 10";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let Args { repository, include, exclude, semver, latest, output } = args;
    let filter = TagFilter { include, exclude, semver, latest };
    let reference = Reference::parse_without_default_tag(&repository).map_err(Failure::usage)?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err(Failure::usage(format!("{repository}: name a repository, without tag or digest")));
    }
    let location = Location::from(&reference);
    let store = session.store(&location)?;
    let Some(listed) = session.until_stopped(store.tags()).await else {
        return Ok(Exit::Failed);
    };
    let listed = listed?.ok_or_else(|| Error::new(format!("listing the tags of {location}"), Cause::NotFound))?;

    let selection = filter.select(listed);
    for part in &selection.unmatched {
        tracing::warn!("{part} matches no tag");
    }
    match output {
        Format::Json => output::print_json(&Report::of(&location, &selection))?,
        Format::Text => {
            output::print(&selection.tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())?;
            if !session.is_quiet() && !filter.takes_all() {
                output::note(&summary(&selection));
            }
        }
    }
    for tag in &selection.missing {
        output::error(&format!("{location} has no tag {tag}; list them with `regferry tags {location}`"));
    }
    Ok(if selection.missing.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The shape of `--output json`. Fields are added, never renamed.
#[derive(Serialize)]
struct Report<'s> {
    repository: String,
    listed: usize,
    stages: &'s [Stage],
    tags: &'s [Tag],
    missing: &'s [Tag],
}

impl<'s> Report<'s> {
    fn of(location: &Location, selection: &'s Selection) -> Self {
        let Selection { tags, missing, listed, stages, .. } = selection;
        Self { repository: location.to_string(), listed: *listed, stages, tags, missing }
    }
}

/// How many tags were chosen, and what the filters dropped, a line each.
fn summary(selection: &Selection) -> String {
    let mut text = format!("{} of {} tags\n", selection.tags.len(), selection.listed);
    for stage in &selection.stages {
        let _ = writeln!(text, "  {stage}");
    }
    text
}

fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("--latest {text}: write how many tags, 1 or more"))
}
