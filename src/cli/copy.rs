//! `regferry copy`: one image from one place to another.

use super::import::{Options, Targets, execute};
use super::session::Session;
use super::{Exit, Failure};
use crate::oci::{Reference, Tag};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is copied: HOST/REPO[:TAG][@DIGEST], or oci:DIR[:TAG|@DIGEST], an image layout
    source: Reference,

    /// Where it goes: HOST/REPO[:TAG] or oci:DIR[:TAG]; without a tag, the source's
    target: String,

    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  Copy a manifest list, every platform of it, with its digest kept:
    regferry copy mcr.microsoft.com/mcr/hello-world:latest registry.example/hello-world:latest

  Between two registries on this machine:
    regferry copy localhost:5000/app:v1 localhost:5001/app

  Into a directory on this side of an air gap, and out of it on the other:
    regferry copy ghcr.io/acme/app:v1 oci:/media/stick/images:app-v1
    regferry copy oci:/media/stick/images:app-v1 registry.internal/acme/app:v1

  One platform by itself, and two of them as a smaller list, with their signatures:
    regferry copy alpine:3.20 registry.example/alpine:3.20-arm64 --platform linux/arm64
    regferry copy alpine:3.20 registry.example/alpine --platform linux/amd64 --platform linux/arm64 --referrers

The target's tag is overwritten. Prints the target's reference and its digest.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let targets = Targets::new(vec![target(&args)?], args.options.wants_all_tags());
    let import = args.options.import(args.source, targets, true)?;
    execute(session, &import, &args.options).await
}

fn target(args: &Args) -> Result<Reference, Failure> {
    let mut target = Reference::parse_without_default_tag(&args.target).map_err(Failure::usage)?;
    if target.digest.is_some() {
        return Err(Failure::usage(format!(
            "{}: a target's digest is the source's: name a tag or nothing",
            args.target
        )));
    }
    if target.tag.is_none() {
        target.tag.clone_from(&args.source.tag);
    }
    // The only image of a layout may have any tag, or none.
    if target.tag.is_none() && args.source.digest.is_none() && !args.options.wants_all_tags() {
        target.tag = Some(Tag::latest());
    }
    if target.host == args.source.host
        && target.repository == args.source.repository
        && target.tag == args.source.tag
        && args.source.digest.is_none()
        && !args.options.chooses()
    {
        return Err(Failure::usage(format!("{target}: source and target are the same")));
    }
    Ok(target)
}
