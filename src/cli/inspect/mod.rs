//! `regferry inspect`: what a reference points at.

pub(super) mod docker;
mod indent;
mod referrers;
mod text;

use super::session::Session;
use super::{Exit, Failure, Format, output};
use crate::content::{Cause, Error, Location, Pull};
use crate::oci::{Content, Descriptor, Manifest, Platform, Reference};
use crate::transfer::{ChoiceError, Store, image_for, only_image, read_config};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The image: HOST/REPO[:TAG][@DIGEST]
    reference: Reference,

    /// Print the registry's bytes, unchanged
    #[arg(long, conflicts_with_all = ["referrers", "detail", "output"])]
    raw: bool,

    /// Look at a list's image for this platform, as linux/arm64 or linux/arm/v7
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Print the image's config (environment, entrypoint, labels, history) instead; with --raw its very bytes
    #[arg(long, conflicts_with_all = ["referrers", "detail", "output"])]
    image_config: bool,

    /// Show what refers to the image and to what it lists: signatures, SBOMs, attestations. As JSON it is this tree alone
    #[arg(long, conflicts_with = "detail")]
    referrers: bool,

    /// Print what `docker manifest inspect --verbose` prints, which is JSON
    #[arg(long)]
    detail: bool,

    /// The form of the result. json is what `docker manifest inspect` prints
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  The platforms of an image, with their sizes and digests, and what is signed and attested of them:
    regferry inspect alpine:3.20 --referrers

  One platform's layers, and what it runs with:
    regferry inspect alpine:3.20 --platform linux/arm64
    regferry inspect alpine:3.20 --platform linux/arm64 --image-config

  The very document, to hash it or to keep it:
    regferry inspect --raw alpine:3.20 | sha256sum

  For scripts that read `docker manifest inspect`:
    regferry inspect alpine:3.20 --output json
    regferry inspect alpine:3.20 --detail

The table of a list reads each manifest in it, since sizes stand there alone; --raw and --output json read none.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let store = session.store(&Location::from(&args.reference))?;
    match session.until_stopped(show(&store, &args)).await {
        Some(shown) => shown.map(|()| Exit::Done),
        None => Ok(Exit::Failed),
    }
}

async fn show(store: &Store, args: &Args) -> Result<(), Failure> {
    let manifest = find(store, args).await?;
    if args.image_config {
        let config = only_image(store, manifest).await?;
        return print_config(store, &config, args.raw).await;
    }
    if args.raw {
        return output::print_bytes(manifest.bytes());
    }
    if args.detail {
        return output::print(&docker::detail(store, &args.reference, manifest).await?);
    }
    match (args.output, args.referrers) {
        (Format::Json, true) => output::print_json(&referrers::tree(store, &args.reference, &manifest).await?),
        (Format::Json, false) => output::print(&docker::manifest(&manifest)?),
        (Format::Text, is_wanted) => {
            let referrers = if is_wanted { referrers::text(store, &manifest).await? } else { String::new() };
            output::print(&text::text(store, &args.reference, manifest, &referrers).await?)
        }
    }
}

/// The document that is named, or what a list has of it for the platform.
async fn find(store: &Store, args: &Args) -> Result<Manifest, Failure> {
    let at = store.meant(&args.reference).await?;
    let what = || format!("fetching manifest {at} of {}", store.location());
    let found = store.manifest(&at).await?;
    let found = found.ok_or_else(|| Error::new(what(), Cause::NotFound).at(&store.location().host))?;
    match &args.platform {
        Some(platform) => Ok(image_for(store, found, platform).await?),
        None => Ok(found),
    }
}

async fn print_config(store: &Store, image: &Manifest, is_raw: bool) -> Result<(), Failure> {
    let named = || format!("fetching the config of {} in {}", image.digest(), store.location());
    let protocol = |reason: &str| Error::new(named(), Cause::Protocol(reason.to_owned()));
    let config = config_of(image).ok_or_else(|| protocol("it has none"))?;
    let bytes = read_config(store, config).await?;
    let bytes = bytes.ok_or_else(|| protocol("it is too large for the config of an image: nothing was read"))?;
    if is_raw {
        return output::print_bytes(&bytes);
    }
    let text = String::from_utf8(bytes).map_err(|_| protocol("it is no text; --raw prints its bytes"))?;
    // What is no JSON may command the terminal; JSON has no such characters.
    let text: String = text.chars().filter(|c| *c >= ' ' || c.is_ascii_whitespace()).collect();
    output::print(&indent::indented(&text, "  "))
}

/// An image's config; an artifact's too.
fn config_of(manifest: &Manifest) -> Option<&Descriptor> {
    match manifest.content() {
        Content::Image(image) => image.config.as_deref(),
        Content::Index(_) => None,
    }
}

impl From<ChoiceError> for Failure {
    fn from(error: ChoiceError) -> Self {
        Self::failed(error)
    }
}
