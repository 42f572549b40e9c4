//! `regferry copy`: one image from one place to another.

use super::session::Session;
use super::{Exit, Failure, Format, import};
use crate::oci::{Reference, Tag};
use crate::transfer::Import;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is copied: HOST/REPO[:TAG][@DIGEST], or oci:DIR[:TAG|@DIGEST], an image layout
    source: Reference,

    /// Where it goes: HOST/REPO[:TAG] or oci:DIR[:TAG]; without a tag, the source's
    target: String,

    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
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

The target's tag is overwritten. Prints the target's reference and its digest.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let import = Import { targets: vec![target(&args)?], source: args.source, force: true };
    import::execute(session, &import, args.output).await
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
    if target.tag.is_none() && args.source.digest.is_none() {
        target.tag = Some(Tag::latest());
    }
    if target.host == args.source.host
        && target.repository == args.source.repository
        && target.tag == args.source.tag
        && args.source.digest.is_none()
    {
        return Err(Failure::usage(format!("{target}: source and target are the same")));
    }
    Ok(target)
}
