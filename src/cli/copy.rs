//! `regferry copy`: one image from one place to another.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use super::import::{Options, Targets, Way, execute};
use super::session::Session;
use super::{Exit, Failure};
use crate::layout::archive::{PIPE, pipe};
use crate::oci::{InvalidReference, Reference, Repository, Tag};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is copied: HOST/REPO[:TAG][@DIGEST], or oci:DIR[:TAG|@DIGEST], an image layout; - for one as a tar on
    /// stdin
    source: End,

    /// Where it goes: HOST/REPO[:TAG] or oci:DIR[:TAG]; without a tag, the source's; - for a layout as a tar on
    /// stdout
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

  Through a pipe, as a tar of an image layout:
    regferry copy ghcr.io/acme/app:v1 - | ssh inside regferry copy - registry.internal/acme/app

  One platform by itself, and two of them as a smaller list, with their signatures:
    regferry copy alpine:3.20 registry.example/alpine:3.20-arm64 --platform linux/arm64
    regferry copy alpine:3.20 registry.example/alpine \\
      --platform linux/amd64 --platform linux/arm64 --referrers

The target's tag is overwritten. Prints the target's reference and its digest, on stderr where stdout is the image.";

/// One end of a copy.
#[derive(Debug, Clone)]
enum End {
    /// An image layout as a tar.
    Pipe,
    At(Reference),
}

impl FromStr for End {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text == PIPE { Ok(Self::Pipe) } else { text.parse().map(Self::At) }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let way = way(&args)?;
    let pipe = Reference { host: pipe()?.host, repository: Repository::of_layout(), tag: None, digest: None };
    let source = match &args.source {
        End::Pipe => pipe.clone(),
        End::At(source) => source.clone(),
    };
    let target = match way {
        Way::IntoPipe => Reference { tag: source.tag.clone(), ..pipe },
        Way::OutOfPipe => written(&args.target)?,
        Way::Between => target(&source, &args)?,
    };
    let targets = Targets::new(vec![target], args.options.wants_all_tags());
    let import = args.options.import(source, targets, true)?;
    execute(session, &import, &args.options, way).await
}

fn way(args: &Args) -> Result<Way, Failure> {
    let is_terminal = "is a terminal, and an image would come as a tar: pipe it";
    match (&args.source, &*args.target) {
        (End::Pipe, PIPE) => Err(Failure::usage("- -: one of the two has to be an image's name")),
        (End::Pipe, _) if args.options.reads_stdin() => {
            Err(Failure::usage("--password-stdin: stdin is the image already, and needs no login"))
        }
        (End::Pipe, _) if io::stdin().is_terminal() => Err(Failure::usage(format!("-: stdin {is_terminal} in"))),
        (End::Pipe, _) => Ok(Way::OutOfPipe),
        (End::At(_), PIPE) if io::stdout().is_terminal() => {
            Err(Failure::usage(format!("-: stdout {is_terminal} on, or name a directory, oci:DIR")))
        }
        (End::At(_), PIPE) => Ok(Way::IntoPipe),
        (End::At(_), _) => Ok(Way::Between),
    }
}

/// What is written, without the tag that it takes from the source.
fn written(text: &str) -> Result<Reference, Failure> {
    let target = Reference::parse_without_default_tag(text).map_err(Failure::usage)?;
    if target.digest.is_some() {
        return Err(Failure::usage(format!("{text}: a target's digest is the source's: name a tag or nothing")));
    }
    Ok(target)
}

fn target(source: &Reference, args: &Args) -> Result<Reference, Failure> {
    let mut target = written(&args.target)?;
    if target.tag.is_none() {
        target.tag.clone_from(&source.tag);
    }
    // The only image of a layout may have any tag, or none.
    if target.tag.is_none() && source.digest.is_none() && !args.options.wants_all_tags() {
        target.tag = Some(Tag::latest());
    }
    if target.host == source.host
        && target.repository == source.repository
        && target.tag == source.tag
        && source.digest.is_none()
        && !args.options.chooses()
    {
        return Err(Failure::usage(format!("{target}: source and target are the same")));
    }
    Ok(target)
}
