//! What an import prints.

use serde::Serialize;

use crate::cli::output::Results;
use crate::cli::{Failure, output, report};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Digest, Reference};
use crate::transfer::{Extent, Import, Imported, Mode};

/// The result as JSON. Fields are added, never renamed.
#[derive(Serialize)]
struct Json<'a> {
    source: &'a Reference,
    source_digest: &'a Digest,
    /// As they were named; none where all of them were wanted.
    platforms: Vec<String>,
    digest_kept: bool,
    images: &'a [ImageReport],
    dry_run: bool,
}

pub(super) fn json(to: Results, import: &Import, imported: &Imported) -> Result<(), Failure> {
    to.print(&output::json(&Json {
        source: &import.source,
        source_digest: &imported.source_digest,
        platforms: names(&import.extent),
        digest_kept: imported.digest == imported.source_digest,
        images: &imported.images,
        dry_run: import.dry_run,
    })?)
}

/// What is in place goes to where results go, a line each; what is not, with its reason, to stderr. Of a dry run the lines are those
/// of `sync --dry-run`.
pub(super) fn text(to: Results, import: &Import, imported: &Imported) -> Result<(), Failure> {
    let chosen = chosen(&import.extent, imported);
    if import.dry_run {
        let chosen = chosen.map(|chosen| format!("{chosen}\n")).unwrap_or_default();
        return to.print(&format!("{chosen}{}", report::images(&imported.images, Mode::Plan)));
    }
    for image in &imported.images {
        match &image.digest {
            Some(digest) if is_in_place(image) => {
                let chosen = chosen.as_ref().map(|chosen| format!(" ({chosen})")).unwrap_or_default();
                let referrers = referrers(image);
                to.print(&format!("{} {digest}{chosen}{referrers}\n", image.target))?;
            }
            _ => {
                output::error(&format!("{}: {}", image.target, image.error.as_deref().unwrap_or("it is not in place")));
            }
        }
    }
    Ok(())
}

/// Whether the target has what it is to have; of a dry run, whether it would.
pub(super) fn is_in_place(image: &ImageReport) -> bool {
    matches!(image.outcome, ImageOutcome::Copied | ImageOutcome::Unchanged)
}

/// `linux/arm64 alone, of the list sha256:…: not the source's digest`, where platforms were chosen.
fn chosen(extent: &Extent, Imported { source_digest, digest, .. }: &Imported) -> Option<String> {
    let names = names(extent).join(", ");
    Some(match extent {
        Extent::Whole => return None,
        _ if digest == source_digest => format!("all of it is {names}: the source's digest"),
        Extent::One(_) => format!("{names} alone, of the list {source_digest}: not the source's digest"),
        Extent::Several(_) => format!("a list of {names} alone, made from {source_digest}: not the source's digest"),
    })
}

fn names(extent: &Extent) -> Vec<String> {
    extent.platforms().iter().map(ToString::to_string).collect()
}

fn referrers(image: &ImageReport) -> String {
    match image.referrers {
        0 => String::new(),
        count => format!(" (referrers: {count})"),
    }
}
