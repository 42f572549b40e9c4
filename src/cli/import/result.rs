//! What an import prints.

use crate::cli::output::Results;
use crate::cli::{Failure, output, report};
use crate::events::ImageReport;
use crate::transfer::{Extent, Import, Imported, Mode};

pub(super) fn json(to: Results, import: &Import, imported: &Imported) -> Result<(), Failure> {
    to.print(&output::json(&imported.result(import))?)
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
            Some(digest) if image.is_in_place() => {
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
