//! `regferry import`: the `az acr import` of any registry.

mod handover;
mod login;
mod options;
mod result;

use super::output::Results;
use super::session::Session;
use super::{Exit, Failure, Format};
use crate::oci::{Host, Reference};
use crate::telemetry::Log;
use crate::transfer::{Import, NoTarget, tagged_target, target_or_latest, untagged_target};

use handover::Handover;
pub(super) use options::{Options, Targets};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The image to import: HOST/REPO[:TAG][@DIGEST] or oci:DIR[:TAG|@DIGEST], resolved once to a digest
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

    #[command(flatten)]
    handover: Handover,

    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  Import a manifest list with all its platforms, under its own name:
    regferry import --source mcr.microsoft.com/mcr/hello-world:latest --registry registry.example

  Under two tags, and without a tag in a second repository:
    regferry import --source alpine:3.20 --registry registry.example \\
      --image base/alpine:3.20 --image base/alpine:latest --repository audit/alpine

  One platform by itself, with its signatures; first see what would be done:
    regferry import --source alpine:3.20 --registry registry.example \\
      --platform linux/arm64 --referrers --dry-run

  From a registry that wants a login of its own:
    regferry import --source private.example/app:v1 --registry registry.example \\
      --username bot --password-stdin < password

  Under every tag that the image has there:
    regferry import --source alpine:latest --registry registry.example \\
      --image base/alpine --all-tags-of

  By the daemon, whose logins and limits hold; printed is the id of its job:
    regferry import --source alpine:3.20 --registry registry.example \\
      --no-wait --server https://mirror.example:9464 --token-file token

A target tag that exists with another digest fails before anything is written, unless --force is given.
One --platform writes that image of a list, several a smaller list; both have digests of their own, and the lines say so.
Prints one line for each target: its reference and its digest.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    if args.handover.is_wanted() {
        return args.handover.run(session, &args.source, &targets(&args)?, args.force, &args.options).await;
    }
    let import = args.options.import(args.source.clone(), targets(&args)?, args.force)?;
    execute(session, &import, &args.options, Way::Between).await
}

/// What an import goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Between registries and layouts.
    Between,
    /// Into stdout, as a tar.
    IntoPipe,
    /// Out of stdin, as a tar.
    OutOfPipe,
}

/// Runs an import and prints its reports; `copy` is one too.
pub(super) async fn execute(session: &Session, import: &Import, options: &Options, way: Way) -> Result<Exit, Failure> {
    let mut config = session.config_or_default()?;
    let login = options.login.set(&mut config, &import.source.host);
    let Some(set) = session.until_stopped(login).await else { return Ok(Exit::Failed) };
    set?;
    let app = session.app(config, Log::BesideResults)?;
    let importing = async {
        let (engine, cancel) = (app.engine(), &session.cancel);
        match way {
            Way::Between => engine.import(import, cancel).await,
            Way::IntoPipe => engine.export(import, tokio::io::stdout(), cancel).await,
            Way::OutOfPipe => engine.unpack(import, tokio::io::stdin(), cancel).await,
        }
    };
    let Some(imported) = session.within_grace(&app, importing).await else {
        return Ok(Exit::Failed);
    };
    let imported = imported.map_err(Failure::failed)?;
    session.progress.finish();
    let results = if way == Way::IntoPipe { Results::Stderr } else { Results::Stdout };
    match options.output {
        Format::Json => result::json(results, import, &imported)?,
        Format::Text => result::text(results, import, &imported)?,
    }
    Ok(if imported.is_in_place() { Exit::Done } else { Exit::Failed })
}

/// Where it goes. All tags of the image go to every target's repository; a target of which only the repository is named
/// then gets those, and not `latest`, or no tag at all.
fn targets(args: &Args) -> Result<Targets, Failure> {
    let registry = args.registry.as_ref();
    let all_tags = args.options.wants_all_tags();
    let tagged = args.images.iter().map(|image| tagged(registry, image, all_tags));
    let untagged = args.repositories.iter().map(|repository| untagged(registry, repository));
    let mut named: Vec<Reference> = tagged.chain(untagged).collect::<Result<_, _>>()?;
    if named.is_empty() {
        let host = registry.cloned().ok_or_else(|| {
            Failure::usage("no target: name its host with --registry, or a full reference with --image")
        })?;
        if args.source.host.is_layout() {
            return Err(Failure::usage(
                "an image layout has no repository's name: name the target with --image or --repository",
            ));
        }
        named.push(Reference { host, digest: None, ..args.source.clone() });
    }
    Ok(Targets::new(named, all_tags))
}

fn tagged(registry: Option<&Host>, image: &str, all_tags: bool) -> Result<Reference, Failure> {
    let target = if all_tags { tagged_target(registry, image) } else { target_or_latest(registry, image) };
    target.map_err(|reason| no_target("--image", image, &reason))
}

fn untagged(registry: Option<&Host>, repository: &str) -> Result<Reference, Failure> {
    untagged_target(registry, repository).map_err(|reason| no_target("--repository", repository, &reason))
}

fn no_target(option: &str, text: &str, reason: &NoTarget) -> Failure {
    Failure::usage(match reason {
        NoTarget::NoHost => format!("{option} {text}: {reason}: add one, or give --registry HOST"),
        NoTarget::HostTwice => format!("{option} {text}: {reason}, here and by --registry"),
        NoTarget::Digest => format!("{option} {text}: {reason}: name a tag, or use --repository"),
        NoTarget::TagOrDigest => format!("{option} {text}: {reason}: use --image for a tag"),
        NoTarget::Path(_) => format!("{option} {text}: {reason}"),
        NoTarget::Reference(_) => reason.to_string(),
    })
}
