//! A document for people: what it is, and a table of what it has.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::cli::table::{Align, aligned, on_one_line, without_commands};
use crate::content::Error;
use crate::oci::{Content, Descriptor, Image, Index, Manifest, Platform, Reference, Size};
use crate::transfer::{Reached, Store, read_image_config};

/// What is kept of what a list names: its sizes are kept beside, and the documents may be megabytes each.
struct Nothing;

impl From<Manifest> for Nothing {
    fn from(_: Manifest) -> Self {
        Self
    }
}

/// What an annotation of a descriptor says of a manifest that attests an image. Source: BuildKit, "Attestation Storage".
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

pub(super) async fn text(
    store: &Store,
    reference: &Reference,
    manifest: Manifest,
    referrers: &str,
) -> Result<String, Error> {
    let mut text = String::new();
    let _ = writeln!(text, "Name:       {reference}");
    let _ = writeln!(text, "Digest:     {}", manifest.digest());
    let _ = writeln!(text, "Media type: {}", manifest.media_type());
    let annotations = annotations(&manifest);
    match manifest.content().clone() {
        Content::Index(index) => {
            let _ = writeln!(text, "Lists:      {}", index.manifests.len());
            text.push_str(&annotations);
            text.push_str(&platforms(&index, &Reached::below(store, manifest).await?));
        }
        Content::Image(image) => {
            let config = read_image_config(store, &manifest).await?;
            write_image(&mut text, &manifest, config.as_deref());
            text.push_str(&annotations);
            text.push_str(&blobs(&image));
        }
    }
    text.push_str(referrers);
    Ok(without_commands(text))
}

fn write_image(text: &mut String, manifest: &Manifest, config: Option<&[u8]>) {
    #[derive(Default, Deserialize)]
    struct Config {
        created: Option<String>,
    }
    let said: Config = config.and_then(|config| serde_json::from_slice(config).ok()).unwrap_or_default();
    let platform = config.and_then(Platform::of_config).map(|platform| platform.to_string());
    let artifact = manifest.artifact_type().filter(|_| config.is_none()).map(str::to_owned);
    for (name, value) in [("Platform:", platform), ("Created:", said.created), ("Artifact:", artifact)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:11} {}", on_one_line(&value));
        }
    }
    if let Some(subject) = manifest.subject() {
        let _ = writeln!(text, "Refers to:  {}", subject.digest);
    }
    let size = manifest.layers().map(|layer| layer.size).fold(0, u64::saturating_add);
    let _ = writeln!(text, "Size:       {}", Size(size));
}

fn annotations(manifest: &Manifest) -> String {
    let mut text = String::new();
    for (number, (key, value)) in manifest.annotations().into_iter().flatten().enumerate() {
        let head = if number == 0 { "Annotations:\n" } else { "" };
        let value = value.replace('\n', "\n    ");
        let _ = writeln!(text, "{head}  {}: {value}", on_one_line(key));
    }
    text
}

/// A row for each part of a list, and what could not be read of it. `-` is the size of what was not read.
fn platforms(index: &Index, reached: &Reached<Nothing>) -> String {
    let heads = ["PLATFORM", "SIZE", "DIGEST"].map(str::to_owned);
    let rows = index.manifests.iter().map(|child| {
        let size = match reached.get(&child.digest) {
            Some(_) => Size(reached.size(&child.digest)).to_string(),
            None if child.is_manifest() => "-".to_owned(),
            None => Size(child.size).to_string(),
        };
        [kind(child), size, child.digest.to_string()]
    });
    let mut text = table(heads, rows);
    for (number, (digest, refused)) in reached.refused().enumerate() {
        let head = if number == 0 { "\nNot read:\n" } else { "" };
        let _ = writeln!(text, "{head}  {digest}: {refused}");
    }
    text
}

fn kind(child: &Descriptor) -> String {
    let attests = child.annotations.as_ref().and_then(|annotations| annotations.get(REFERENCE_TYPE));
    let platform = || child.platform.as_ref().map_or_else(|| child.media_type.clone(), ToString::to_string);
    attests.cloned().unwrap_or_else(platform)
}

/// A row for each blob of an image. Foreign layers are not in the registry.
fn blobs(image: &Image) -> String {
    let heads = ["BLOB", "SIZE", "DIGEST"].map(str::to_owned);
    let config = image.config.iter().map(|config| ("config", &**config));
    let layers = image.layers.iter().map(|layer| (if layer.is_foreign_layer() { "foreign" } else { "layer" }, layer));
    let rows = config.chain(layers);
    table(heads, rows.map(|(kind, d)| [kind.to_owned(), Size(d.size).to_string(), d.digest.to_string()]))
}

fn table(heads: [String; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    format!("\n{}", aligned(&rows, [Align::Left, Align::Right, Align::Left]))
}
