//! `regferry index create`: a list of images, kept here, or pushed in one step.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::push;
use super::store::{Draft, Store};
use super::{annotation, list_name, not_composed};
use crate::cli::session::Session;
use crate::cli::{Exit, Failure, Format, output};
use crate::oci::{ListType, Reference};
use crate::telemetry::Log;
use crate::transfer::{Composer, Composition, NotComposed, Part, is_own_annotation};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where the list is to be pushed: HOST/REPO[:TAG]
    #[arg(value_parser = list_name)]
    name: Reference,

    /// What it lists: HOST/REPO[:TAG][@DIGEST], in any repository of any registry. Of one that is a list itself, what that
    /// lists
    #[arg(value_name = "MANIFEST", required = true)]
    manifests: Vec<Reference>,

    /// Add to a list of this name that is kept here already; what is named again is read anew
    #[arg(short, long, conflicts_with_all = ["push", "append", "dry_run"])]
    amend: bool,

    /// Push it, and keep nothing here
    #[arg(long)]
    push: bool,

    /// Begin with what the registry has under NAME; images for the same platform take the place of those
    #[arg(long)]
    append: bool,

    /// Print the list that would be kept or pushed, and do nothing
    #[arg(long, conflicts_with = "push")]
    dry_run: bool,

    /// Annotate the list, which makes it an OCI index. Repeatable
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,

    /// The list's type: docker, oci, or a media type. Without it it is Docker's where all images are Docker's, else OCI's
    #[arg(long, value_name = "TYPE")]
    media_type: Option<ListType>,

    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  Make a list of two architectures, to be annotated and pushed:
    regferry index create registry.example/app:1.4 registry.example/app:1.4-amd64 registry.example/app:1.4-arm64

  Push it in one step, from another registry, and say of which version it is:
    regferry index create registry.example/app:1.4 ghcr.io/acme/app:1.4-amd64 ghcr.io/acme/app:1.4-arm64 --push \\
      --annotation org.opencontainers.image.version=1.4

  See what adding an architecture to a list would make of it, and add it:
    regferry index create registry.example/app:1.4 registry.example/app:1.4-riscv64 --append --dry-run
    regferry index create registry.example/app:1.4 registry.example/app:1.4-riscv64 --append --push

Platforms are read from the images' configs. Entries stand in the order in which they are named.";

impl Args {
    pub(super) fn pushes(&self) -> bool {
        self.push
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    if args.append && !args.push && !args.dry_run {
        return Err(Failure::usage("--append adds to a list of the registry: give --push or --dry-run with it"));
    }
    if args.push || args.dry_run {
        return in_one_step(session, &args).await;
    }
    let store = Store::of_user()?;
    // Before anybody is asked; and again when all is read.
    refuse_to_amend(store.find(&args.name)?.as_ref(), &args)?;
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let composer = app.engine().composer(&session.cancel);
    let Some(parts) = session.until_stopped(read_all(&composer, &args.manifests)).await else {
        return Ok(Exit::Failed);
    };
    let parts = parts?;
    let draft = store.edit(&args.name, |before| {
        refuse_to_amend(before.as_ref(), &args)?;
        Ok(amended(before, parts, &args))
    })?;
    if let Some(error) = draft.composition.same_platform() {
        tracing::warn!("{}", not_composed(&args.name, &error));
    }
    match args.output {
        Format::Text => output::print(&format!("Created manifest list {}\n", args.name))?,
        Format::Json => output::print_json(&draft)?,
    }
    Ok(Exit::Done)
}

fn refuse_to_amend(before: Option<&Draft>, args: &Args) -> Result<(), Failure> {
    match before {
        Some(_) if !args.amend => {
            Err(Failure::failed("refusing to amend an existing manifest list with no --amend flag"))
        }
        _ => Ok(()),
    }
}

/// What is named again is what it is now.
fn amended(before: Option<Draft>, parts: Vec<Part>, args: &Args) -> Draft {
    let mut draft = before.unwrap_or_else(|| Draft { name: args.name.clone(), composition: Composition::default() });
    let is_named_again = |old: &Part| args.manifests.contains(&old.named);
    draft.composition.manifests.retain(|old| !is_named_again(old));
    draft.composition.add(parts);
    said_over(&mut draft.composition, args);
    draft
}

fn said_over(composition: &mut Composition, args: &Args) {
    composition.annotations.extend(args.annotations.iter().cloned());
    composition.media_type = args.media_type.or(composition.media_type);
}

async fn in_one_step(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let composer = app.engine().composer(&session.cancel);
    let Some(composition) = session.until_stopped(composed(&composer, args)).await else {
        return Ok(Exit::Failed);
    };
    let composition = composition?;
    let list = composition.list().map_err(|error| match error {
        NotComposed::SamePlatform(_) | NotComposed::NoPlatform(_) => Failure::failed(format!(
            "{error}; name one of them only, or let `regferry index create` keep the list here, where `regferry index \
             annotate` says what an image runs on"
        )),
        _ => Failure::failed(error),
    })?;
    if args.dry_run {
        output::print_bytes(list.bytes())?;
        output::print("\n")?;
        return Ok(Exit::Done);
    }
    let pushing = composer.push(&list, &composition.manifests, &args.name);
    let Some(report) = session.within_grace(&app, pushing).await else { return Ok(Exit::Failed) };
    session.progress.finish();
    push::print(&report, args.output, |digest| format!("{} {digest}\n", args.name))
}

async fn composed(composer: &Composer<'_>, args: &Args) -> Result<Composition, Failure> {
    let mut composition = Composition::default();
    if args.append {
        let there = composer.read(&args.name).await.map_err(|error| match error.is_not_found() {
            true => Failure::failed(format!("{error}; for a new list leave --append out")),
            false => error.into(),
        })?;
        composition.manifests = there.parts;
        // What says of a list what it was made from is no longer true of this one.
        composition.annotations =
            there.annotations.into_iter().filter(|(key, _)| !is_own_annotation(key)).collect::<BTreeMap<_, _>>();
        composition.replace(read_all(composer, &args.manifests).await?);
    } else {
        composition.add(read_all(composer, &args.manifests).await?);
    }
    said_over(&mut composition, args);
    Ok(composition)
}

/// All that the references contribute, in their order.
async fn read_all(composer: &Composer<'_>, named: &[Reference]) -> Result<Vec<Part>, Failure> {
    let read = try_join_all(named.iter().map(|named| composer.read(named))).await?;
    Ok(read.into_iter().flat_map(|contents| contents.parts).collect())
}
