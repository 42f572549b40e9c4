//! `regferry index push`: a list on its way from here to its registry.

use super::store::Store;
use super::{list_name, not_composed};
use crate::cli::session::Session;
use crate::cli::{Exit, Failure, Format, output};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Digest, Reference};
use crate::telemetry::Log;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The list, as it was created: HOST/REPO[:TAG]
    #[arg(value_parser = list_name)]
    name: Reference,

    /// Forget it here when it is pushed
    #[arg(short, long)]
    purge: bool,

    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  Push a list and forget it here:
    regferry index push --purge registry.example/app:1.4

  Push it, and keep its digest for whoever signs it:
    regferry index push registry.example/app:1.4 > digest

Images of other repositories are mounted, those of other registries copied, before the list is written. Prints its digest.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let store = Store::of_user()?;
    let draft = store.get(&args.name)?;
    let list = draft.composition.list().map_err(|error| Failure::failed(not_composed(&args.name, &error)))?;
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let composer = app.engine().composer(&session.cancel);
    let pushing = composer.push(&list, &draft.composition.manifests, &args.name);
    let Some(report) = session.within_grace(&app, pushing).await else { return Ok(Exit::Failed) };
    session.progress.finish();
    let exit = print(&report, args.output, |digest| format!("{digest}\n"))?;
    if exit == Exit::Done && args.purge && !store.remove_if_unchanged(&draft)? {
        tracing::warn!("{} was changed here while it was pushed: it is not forgotten", args.name);
    }
    Ok(exit)
}

/// The result of a push on stdout; on stderr why there is none.
pub(super) fn print(report: &ImageReport, format: Format, line: impl Fn(&Digest) -> String) -> Result<Exit, Failure> {
    let is_done = matches!(report.outcome, ImageOutcome::Copied | ImageOutcome::Unchanged);
    match (format, &report.digest) {
        (Format::Json, _) => output::print_json(report)?,
        (Format::Text, Some(digest)) if is_done => output::print(&line(digest))?,
        (Format::Text, _) => {}
    }
    if !is_done && format == Format::Text {
        let reason = report.error.as_deref().unwrap_or("it is not in place");
        output::error(&format!("{}: {reason}", report.target));
    }
    Ok(if is_done { Exit::Done } else { Exit::Failed })
}
