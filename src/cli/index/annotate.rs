//! `regferry index annotate`: what an image's config does not say, or says wrongly.

use super::store::{Draft, Store};
use super::{annotation, list_name};
use crate::cli::{Exit, Failure};
use crate::content::Location;
use crate::oci::{Platform, Reference};
use crate::transfer::Part;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The list, as it was created: HOST/REPO[:TAG]
    #[arg(value_parser = list_name)]
    name: Reference,

    /// The image, as it was named; one of a list that was named, by its digest
    manifest: Reference,

    #[command(flatten)]
    said: Said,
}

/// At least one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Said {
    /// The operating system
    #[arg(long)]
    os: Option<String>,

    /// The architecture
    #[arg(long)]
    arch: Option<String>,

    /// The architecture's variant, as v7
    #[arg(long)]
    variant: Option<String>,

    /// The version of the operating system, as 10.0.17763.1697
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,

    /// Features that the operating system must have, added to those that are named; commas between them. Repeatable
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    os_features: Vec<String>,

    /// An annotation of the image's entry, which makes the list an OCI index. Repeatable
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,
}

const EXAMPLES: &str = "\
Examples:
  An image that was built for arm64 on the base of another architecture:
    regferry index annotate registry.example/app:1.4 registry.example/app:1.4-arm64 --os linux --arch arm64 --variant v8

  An annotation of one entry:
    regferry index annotate registry.example/app:1.4 registry.example/app:1.4-amd64 \\
      --annotation org.opencontainers.image.revision=0b1a6f2c

What is not named stays as the image's config says.";

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    let Args { name, manifest, said } = args;
    Store::of_user()?.edit(&name, |before| {
        // Docker's words for a list that is not there, too.
        let mut draft = before.ok_or_else(|| does_not_exist(&manifest, &name))?;
        said.write_to(find(&mut draft, &manifest)?)?;
        Ok(draft)
    })?;
    Ok(Exit::Done)
}

fn does_not_exist(manifest: &Reference, name: &Reference) -> Failure {
    Failure::failed(format!("manifest for image {manifest} does not exist in {name}"))
}

/// The one entry that was named so, or has the digest.
fn find<'d>(draft: &'d mut Draft, manifest: &Reference) -> Result<&'d mut Part, Failure> {
    let is_meant = |part: &Part| {
        part.named == *manifest
            || manifest.digest.as_ref() == Some(&part.descriptor.digest) && part.location() == Location::from(manifest)
    };
    let meant: Vec<usize> = (0..draft.composition.manifests.len())
        .filter(|number| is_meant(&draft.composition.manifests[*number]))
        .collect();
    match meant.as_slice() {
        [] => Err(does_not_exist(manifest, &draft.name)),
        [one] => Ok(&mut draft.composition.manifests[*one]),
        several => {
            let names: Vec<String> =
                several.iter().map(|number| draft.composition.manifests[*number].to_string()).collect();
            Err(Failure::failed(format!("{manifest} has several images: name one of {}", names.join(", "))))
        }
    }
}

impl Said {
    fn write_to(self, part: &mut Part) -> Result<(), Failure> {
        let descriptor = &mut part.descriptor;
        if !self.annotations.is_empty() {
            descriptor.annotations.get_or_insert_default().extend(self.annotations.iter().cloned());
        }
        if self.names_platform() {
            let platform = self.over(descriptor.platform.clone().unwrap_or_default())?;
            descriptor.platform = Some(platform);
        }
        Ok(())
    }

    fn names_platform(&self) -> bool {
        let texts = [&self.os, &self.arch, &self.variant, &self.os_version];
        texts.iter().any(|text| text.is_some()) || !self.os_features.is_empty()
    }

    /// # Errors
    /// If it makes no platform.
    fn over(self, mut platform: Platform) -> Result<Platform, Failure> {
        platform.os = self.os.unwrap_or(platform.os);
        platform.architecture = self.arch.unwrap_or(platform.architecture);
        platform.variant = self.variant.or(platform.variant);
        platform.os_version = self.os_version.or(platform.os_version);
        for feature in self.os_features {
            if !platform.os_features.contains(&feature) {
                platform.os_features.push(feature);
            }
        }
        // What is missing is asked for when the list is pushed: it may be named one by one.
        let is_begun = !platform.os.is_empty() && !platform.architecture.is_empty();
        match platform.to_string().parse::<Platform>() {
            Err(error) if is_begun => Err(Failure::usage(error)),
            _ => Ok(platform),
        }
    }
}
