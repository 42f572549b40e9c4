//! `regferry inspect`: what a reference points at.

use std::fmt::Write as _;

use super::session::Session;
use super::{Exit, Failure, output};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::{Content, Descriptor, Manifest, Reference, Size};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The image: HOST/REPO[:TAG][@DIGEST]
    reference: Reference,

    /// Print the registry's bytes, unchanged
    #[arg(long)]
    raw: bool,
}

const EXAMPLES: &str = "\
Examples:
  The platforms of an image, with their digests:
    regferry inspect alpine:3.20

  The very document, to hash it or to keep it:
    regferry inspect --raw alpine:3.20 | sha256sum";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let location = Location::from(&args.reference);
    let remote = session.remote(&location)?;
    let at = args.reference.selector();
    let Some(found) = session.until_stopped(remote.manifest(&at)).await else {
        return Ok(Exit::Failed);
    };
    let manifest =
        found?.ok_or_else(|| Error::new(format!("fetching manifest {at} of {location}"), Cause::NotFound))?;
    if args.raw {
        output::print_bytes(manifest.bytes())?;
    } else {
        output::print(&table(&args.reference, &manifest))?;
    }
    Ok(Exit::Done)
}

fn table(reference: &Reference, manifest: &Manifest) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "Name:       {reference}");
    let _ = writeln!(text, "Digest:     {}", manifest.digest());
    let _ = writeln!(text, "Media type: {}", manifest.media_type());
    let rows: Vec<[String; 3]> = match manifest.content() {
        Content::Index(index) => {
            let _ = writeln!(text, "Lists:      {}\n", index.manifests.len());
            let platform =
                |d: &Descriptor| d.platform.as_ref().map_or_else(|| d.media_type.clone(), ToString::to_string);
            std::iter::once(["PLATFORM".to_owned(), "SIZE".to_owned(), "DIGEST".to_owned()])
                .chain(index.manifests.iter().map(|d| [platform(d), Size(d.size).to_string(), d.digest.to_string()]))
                .collect()
        }
        Content::Image(image) => {
            let total = manifest.blobs().map(|blob| blob.size).fold(0, u64::saturating_add);
            let _ = writeln!(text, "Size:       {}\n", Size(total));
            let config = image.config.iter().map(|d| ("config", &**d));
            let layers = image.layers.iter().map(|d| ("layer", d));
            std::iter::once(["BLOB".to_owned(), "SIZE".to_owned(), "DIGEST".to_owned()])
                .chain(
                    config
                        .chain(layers)
                        .map(|(kind, d)| [kind.to_owned(), Size(d.size).to_string(), d.digest.to_string()]),
                )
                .collect()
        }
    };
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    for [a, b, c] in &rows {
        let _ = writeln!(text, "{a:first$}  {b:>second$}  {c}");
    }
    // A document's words are not the terminal's commands.
    text.retain(|c| c == '\n' || !c.is_control());
    text
}
