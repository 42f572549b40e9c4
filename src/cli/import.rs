//! `regferry import`: the `az acr import` of any registry.

use serde::Serialize;

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Host, LAYOUT_PREFIX, Reference, Repository, Tag};
use crate::telemetry::Log;
use crate::transfer::{Import, ImportError};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The image to import: HOST/REPO[:TAG][@DIGEST], resolved once to a digest
    #[arg(long, value_name = "REF")]
    source: Reference,

    /// The target's host; without it every target names its own
    #[arg(long, value_name = "HOST")]
    registry: Option<Host>,

    /// A target with its tag. Repeatable; without --image and --repository, the source's own repository and tag
    #[arg(long = "image", value_name = "REPO[:TAG]")]
    images: Vec<String>,

    /// A target repository that gets the manifest without a tag. Repeatable
    #[arg(long = "repository", value_name = "REPO")]
    repositories: Vec<String>,

    /// Move target tags that point at something else
    #[arg(long)]
    force: bool,

    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  Import a manifest list with all its platforms, under its own name:
    regferry import --source mcr.microsoft.com/mcr/hello-world:latest --registry registry.example

  Under two tags, and without a tag in a second repository:
    regferry import --source alpine:3.20 --registry registry.example \\
      --image base/alpine:3.20 --image base/alpine:latest --repository audit/alpine

A target tag that exists with another digest fails before anything is written, unless --force is given.
Prints one line for each target: its reference and its digest.";

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    source: &'a Reference,
    images: &'a [ImageReport],
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let import = Import { targets: targets(&args)?, source: args.source, force: args.force };
    execute(session, &import, args.output).await
}

/// Runs an import and prints its reports; `copy` is one too.
pub(super) async fn execute(session: &Session, import: &Import, format: Format) -> Result<Exit, Failure> {
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let Some(result) = session.within_grace(&app, app.engine().import(import, &session.cancel)).await else {
        return Ok(Exit::Failed);
    };
    let images = match result {
        Ok(images) => images,
        Err(ImportError::Content(error)) => return Err(error.into()),
        Err(conflict @ ImportError::Conflict(_)) => return Err(Failure::failed(conflict)),
    };
    session.progress.finish();
    match format {
        Format::Json => output::print_json(&Report { source: &import.source, images: &images })?,
        Format::Text => print(&images)?,
    }
    let in_place = |image: &ImageReport| matches!(image.outcome, ImageOutcome::Copied | ImageOutcome::Unchanged);
    Ok(if images.iter().all(in_place) { Exit::Done } else { Exit::Failed })
}

/// What is in place goes to stdout; what is not, with its reason, to stderr.
fn print(images: &[ImageReport]) -> Result<(), Failure> {
    for image in images {
        match (&image.outcome, &image.digest) {
            (ImageOutcome::Copied | ImageOutcome::Unchanged, Some(digest)) => {
                output::print(&format!("{} {digest}\n", image.target))?;
            }
            _ => {
                output::error(&format!("{}: {}", image.target, image.error.as_deref().unwrap_or("it is not in place")));
            }
        }
    }
    Ok(())
}

fn targets(args: &Args) -> Result<Vec<Reference>, Failure> {
    let registry = args.registry.as_ref();
    let tagged = args.images.iter().map(|image| tagged(registry, image));
    let untagged = args.repositories.iter().map(|repository| untagged(registry, repository));
    let named: Vec<Reference> = tagged.chain(untagged).collect::<Result<_, _>>()?;
    match registry {
        _ if !named.is_empty() => Ok(named),
        None => Err(Failure::usage("no target: name its host with --registry, or a full reference with --image")),
        Some(_) if args.source.host.is_layout() => Err(Failure::usage(
            "an image layout has no repository's name: name the target with --image or --repository",
        )),
        Some(host) => Ok(vec![Reference { host: host.clone(), digest: None, ..args.source.clone() }]),
    }
}

fn tagged(registry: Option<&Host>, image: &str) -> Result<Reference, Failure> {
    let mut target: Reference = in_registry(registry, "--image", image)?.parse().map_err(Failure::usage)?;
    if target.digest.take().is_some() {
        return Err(Failure::usage(format!(
            "--image {image}: a target's digest is the source's: name a tag, or use --repository"
        )));
    }
    target.tag.get_or_insert_with(Tag::latest);
    Ok(target)
}

fn untagged(registry: Option<&Host>, repository: &str) -> Result<Reference, Failure> {
    let target = Reference::parse_without_default_tag(&in_registry(registry, "--repository", repository)?)
        .map_err(Failure::usage)?;
    if target.tag.is_some() || target.digest.is_some() {
        return Err(Failure::usage(format!(
            "--repository {repository}: it takes no tag or digest: use --image for a tag"
        )));
    }
    Ok(target)
}

/// The target's full name. With `--registry` it is a path in that registry; without, it has to name its own host.
fn in_registry(registry: Option<&Host>, option: &str, target: &str) -> Result<String, Failure> {
    let looks_like_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let names_host =
        target.starts_with(LAYOUT_PREFIX) || target.split_once('/').is_some_and(|(first, _)| looks_like_host(first));
    match registry {
        Some(_) if names_host => {
            Err(Failure::usage(format!("{option} {target}: the host is named twice, here and by --registry")))
        }
        Some(host) => {
            let name = target.split([':', '@']).next().unwrap_or_default();
            // A host is not put before what only looks like a repository: the error should quote what was written.
            name.parse::<Repository>().map_err(|error| Failure::usage(format!("{option} {target}: {error}")))?;
            Ok(format!("{host}/{target}"))
        }
        None if names_host => Ok(target.to_owned()),
        None => Err(Failure::usage(format!("{option} {target}: it names no host: add one, or give --registry HOST"))),
    }
}
