//! `regferry index rm`: lists that are not wanted any more.

use serde::Serialize;

use super::list_name;
use super::store::Store;
use crate::cli::{Exit, Failure, Format, output};
use crate::oci::Reference;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The lists, as they were created: HOST/REPO[:TAG]
    #[arg(value_name = "NAME", value_parser = list_name, required = true)]
    names: Vec<Reference>,

    /// The form of the result: text prints nothing, as Docker does
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  Forget a list that is kept here:
    regferry index rm registry.example/app:1.4

  Several of them:
    regferry index rm registry.example/app:1.4 registry.example/app:latest

Nothing is deleted at a registry: that is what `regferry delete` does.";

/// The shape of `--output json`. Fields are added, never renamed.
#[derive(Serialize)]
struct Removed<'a> {
    removed: Vec<&'a Reference>,
}

/// Those that are there go, whatever becomes of the others.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let store = Store::of_user()?;
    let (mut removed, mut errors) = (Vec::new(), Vec::new());
    for name in &args.names {
        match store.remove(name) {
            Ok(()) => removed.push(name),
            Err(Failure::Failed(text) | Failure::Usage(text)) => errors.push(text),
        }
    }
    if args.output == Format::Json {
        output::print_json(&Removed { removed })?;
    }
    if errors.is_empty() { Ok(Exit::Done) } else { Err(Failure::failed(errors.join("\n"))) }
}
