//! `regferry manifests`: all manifests of a repository, as `az acr repository show-manifests` has them of one registry.

use std::collections::BTreeMap;

use clap::ValueEnum;

use super::session::Session;
use super::table::{Align, aligned, without_commands};
use super::{Exit, Failure, Format, output};
use crate::content::Location;
use crate::oci::{Digest, Platform, Reference, Size};
use crate::telemetry::Log;
use crate::transfer::{Catalogue, Entry, Order};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The repository: HOST/REPO
    repository: String,

    /// Show media types, and when the registry last changed something, too
    #[arg(long)]
    detail: bool,

    /// Only the first so many
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// By time instead of by digest
    #[arg(long, value_name = "ORDER")]
    orderby: Option<OrderBy>,

    /// The form of the result. json is a list of objects with the keys of `az acr manifest list-metadata`: digest, tags,
    /// mediaType, configMediaType, architecture, os, variant, imageSize, createdTime, lastUpdateTime, timestamp, and
    /// remark, which says why a manifest or its config could not be read; what is not known is left out
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// As `az` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderBy {
    #[value(name = "time_asc")]
    TimeAsc,
    #[value(name = "time_desc")]
    TimeDesc,
}

const EXAMPLES: &str = "\
Examples:
  All manifests that the tags of a repository reach, those inside of lists too:
    regferry manifests registry.example/app

  The ten newest, for a script:
    regferry manifests registry.example/app --top 10 --orderby time_desc --output json

Sizes are those of the layers as the registry keeps them; times are those of the images' configs. At Azure's registries
both are the registry's own, and untagged manifests are listed too.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    let reference = Reference::parse_without_default_tag(&args.repository).map_err(Failure::usage)?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err(Failure::usage(format!("{}: name a repository, without tag or digest", args.repository)));
    }
    let location = Location::from(&reference);
    let app = session.app(session.config_or_default()?, Log::BesideResults)?;
    let look = app.engine().inventory(&location, Catalogue::of(&location.host), &session.cancel);
    let Some(listed) = session.until_stopped(look).await else {
        return Ok(Exit::Failed);
    };
    session.progress.finish();
    let mut entries = listed?;
    order(args.orderby).sort(&mut entries);
    entries.truncate(args.top.unwrap_or(usize::MAX));
    match args.output {
        Format::Json => output::print_json(&entries)?,
        Format::Text => {
            output::print(&table(&entries, args.detail))?;
            warn(&entries);
        }
    }
    Ok(Exit::Done)
}

/// Tells what could not be read: once a reason, since there may be thousands.
fn warn(entries: &[Entry]) {
    let mut remarks: BTreeMap<&str, Vec<&Digest>> = BTreeMap::new();
    for entry in entries {
        if let Some(remark) = &entry.remark {
            remarks.entry(remark).or_default().push(&entry.digest);
        }
    }
    for (remark, digests) in remarks {
        match digests.as_slice() {
            [one] => tracing::warn!("{one}: {remark}"),
            [first, others @ ..] => tracing::warn!("{first} and {} more: {remark}", others.len()),
            [] => {}
        }
    }
}

fn order(by: Option<OrderBy>) -> Order {
    match by {
        None => Order::Digest,
        Some(OrderBy::TimeAsc) => Order::OldestFirst,
        Some(OrderBy::TimeDesc) => Order::NewestFirst,
    }
}

fn table(entries: &[Entry], is_detailed: bool) -> String {
    use Align::{Left, Right};
    let rows = entries.iter().map(Row::of);
    let text = if is_detailed {
        let heads = ["DIGEST", "PLATFORM", "SIZE", "CREATED", "UPDATED", "MEDIA TYPE", "TAGS"].map(str::to_owned);
        let rows = rows.map(|r| [r.digest, r.platform, r.size, r.created, r.updated, r.media_type, r.tags]);
        aligned(&[heads].into_iter().chain(rows).collect::<Vec<_>>(), [Left, Left, Right, Left, Left, Left, Left])
    } else {
        let heads = ["DIGEST", "PLATFORM", "SIZE", "CREATED", "TAGS"].map(str::to_owned);
        let rows = rows.map(|r| [r.digest, r.platform, r.size, r.created, r.tags]);
        aligned(&[heads].into_iter().chain(rows).collect::<Vec<_>>(), [Left, Left, Right, Left, Left])
    };
    without_commands(text)
}

/// A manifest as the table shows it; `-` is what is not known.
struct Row {
    digest: String,
    platform: String,
    size: String,
    created: String,
    updated: String,
    media_type: String,
    tags: String,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
        Self {
            digest: entry.digest.to_string(),
            platform: or_dash(platform(entry)),
            size: or_dash(entry.image_size.map(|bytes| Size(bytes).to_string())),
            created: or_dash(entry.created_time.as_deref().map(to_the_second)),
            updated: or_dash(entry.last_update_time.as_deref().map(to_the_second)),
            media_type: or_dash(entry.media_type.clone()),
            tags: entry.tags.join(", "),
        }
    }
}

fn platform(entry: &Entry) -> Option<String> {
    let (os, architecture) = (entry.os.clone()?, entry.architecture.clone()?);
    let (variant, os_version) = (entry.variant.clone(), None);
    Some(Platform { os, architecture, variant, os_version, os_features: Vec::new() }.to_string())
}

/// A time without its fractions; what is none, as it is.
fn to_the_second(text: &str) -> String {
    let time = text.parse::<jiff::Timestamp>().map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    time.unwrap_or_else(|_| text.to_owned())
}
