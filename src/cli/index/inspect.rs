//! `regferry index inspect`: what a list has in it.

use super::list_name;
use super::store::Store;
use crate::cli::inspect::docker;
use crate::cli::session::Session;
use crate::cli::{Exit, Failure, Format, output};
use crate::content::{Cause, Error, Location, Pull as _};
use crate::oci::Reference;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The list: HOST/REPO[:TAG]
    #[arg(value_parser = list_name)]
    name: Reference,

    /// The form of the result. Both are JSON: text is the list itself, or what `docker manifest inspect` prints of the
    /// registry's; json also says of a list that is kept here what each image was named by
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  What would be pushed:
    regferry index inspect registry.example/app:1.4

  The images of a list that is kept here, as they were named:
    regferry index inspect registry.example/app:1.4 --output json | jq -r '.manifests[].ref'

A list that is not kept here, as one that was pushed with --purge, is read from its registry.";

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    if let Some(draft) = Store::of_user()?.find(&args.name)? {
        match args.output {
            Format::Json => output::print_json(&draft)?,
            Format::Text => {
                output::print_bytes(&draft.composition.json().map_err(Failure::failed)?)?;
                output::print("\n")?;
            }
        }
        return Ok(Exit::Done);
    }
    let store = session.store(&Location::from(&args.name))?;
    let at = args.name.selector();
    let Some(found) = session.until_stopped(store.manifest(&at)).await else { return Ok(Exit::Failed) };
    let missing = || {
        let what = format!("no list {} is kept here; fetching manifest {at} of {}", args.name, store.location());
        Error::new(what, Cause::NotFound).at(&store.location().host)
    };
    output::print(&docker::manifest(&found?.ok_or_else(missing)?)?)?;
    Ok(Exit::Done)
}
