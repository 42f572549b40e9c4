//! Which image of a list is meant.

use std::collections::HashSet;

use super::config::read_image_config;
use super::platforms::{Available, Names};
use crate::content::{Cause, Error, Pull};
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, TagOrDigest};

/// Why no image was chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// Not all that was needed to choose could be read.
    #[error("{}", .0.with_advice())]
    Content(#[from] Error),
    /// No image is for the platform.
    #[error("{} has no image for {wanted}; {}", .of.short(), Available(.there))]
    NoneFor {
        /// What was looked for.
        wanted: Platform,
        /// Where it was looked for.
        of: Digest,
        /// The platforms that there are.
        there: Vec<Platform>,
    },
    /// The platform means more than one image.
    #[error("{wanted} means {images} images of {}: name one of {}", .of.short(), Names(.there))]
    Several {
        /// What was looked for.
        wanted: Platform,
        /// Where it was looked for.
        of: Digest,
        /// How many there are.
        images: usize,
        /// Their platforms.
        there: Vec<Platform>,
    },
    /// No platform was named, and there is not just one image.
    #[error("{}", not_one(.of, *.images, .there))]
    NotOne {
        /// Where it was looked for.
        of: Digest,
        /// How many there are.
        images: usize,
        /// Their platforms.
        there: Vec<Platform>,
    },
    /// More lists than anybody means.
    #[error("{} has more than {MOST_LISTS} lists in it", .of.short())]
    TooManyLists {
        /// What they are in.
        of: Digest,
    },
}

/// A list's image for this platform, also of a list inside of it; an image itself, if it is for it.
///
/// # Errors
/// If there is none, or more than one; with the platforms that there are.
pub async fn image_for<S: Pull>(source: &S, root: Manifest, wanted: &Platform) -> Result<Manifest, ChoiceError> {
    let of = root.digest().clone();
    let none = |there| ChoiceError::NoneFor { wanted: wanted.clone(), of: of.clone(), there };
    if matches!(root.content(), Content::Image(_)) {
        let config = read_image_config(source, &root).await?.unwrap_or_default();
        return match Platform::of_config(&config) {
            Some(own) if wanted.means(&own) => Ok(root),
            own => Err(none(own.into_iter().collect())),
        };
    }
    let listed = images(source, &root).await?;
    let named = |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|found| wanted.means(found));
    let meant: Vec<&Descriptor> = listed.iter().filter(named).collect();
    match each_once(&meant).as_slice() {
        [one] => Ok(fetch(source, one).await?),
        [] => Err(none(platforms(&listed))),
        several => Err(ChoiceError::Several {
            wanted: wanted.clone(),
            of: of.clone(),
            images: several.len(),
            there: platforms(meant),
        }),
    }
}

/// The image itself, or the one image of a list.
///
/// # Errors
/// If a list has none, or more than one; with their platforms.
pub async fn only_image<S: Pull>(source: &S, root: Manifest) -> Result<Manifest, ChoiceError> {
    if matches!(root.content(), Content::Image(_)) {
        return Ok(root);
    }
    let listed = images(source, &root).await?;
    match each_once(&listed.iter().collect::<Vec<_>>()).as_slice() {
        [one] => Ok(fetch(source, one).await?),
        others => {
            let of = root.digest().clone();
            Err(ChoiceError::NotOne { of, images: others.len(), there: platforms(&listed) })
        }
    }
}

/// So many lists inside of a list are looked into; real ones have a few.
const MOST_LISTS: usize = 100;

/// The images of a list that name their platform, those of lists inside of it too. One that is listed for several
/// platforms comes once for each.
async fn images<S: Pull>(source: &S, root: &Manifest) -> Result<Vec<Descriptor>, ChoiceError> {
    let (mut images, mut lists, mut seen, mut looked_into) = (Vec::new(), vec![root.clone()], HashSet::new(), 0);
    while let Some(list) = lists.pop() {
        looked_into += 1;
        if looked_into > MOST_LISTS {
            return Err(ChoiceError::TooManyLists { of: root.digest().clone() });
        }
        for child in list.children() {
            let platform = child.platform.as_ref().filter(|platform| !platform.is_unknown());
            if !seen.insert((child.digest.clone(), platform.cloned())) {
                continue;
            }
            if child.is_index() {
                lists.push(fetch(source, child).await?);
            } else if platform.is_some() {
                images.push(child.clone());
            }
        }
    }
    Ok(images)
}

async fn fetch<S: Pull>(source: &S, child: &Descriptor) -> Result<Manifest, Error> {
    let at = TagOrDigest::Digest(child.digest.clone());
    let what = || format!("fetching manifest {at} of {}, which the list names", source.location());
    source.manifest(&at).await?.ok_or_else(|| Error::new(what(), Cause::NotFound))
}

fn each_once<'d>(images: &[&'d Descriptor]) -> Vec<&'d Descriptor> {
    let mut seen = HashSet::new();
    images.iter().copied().filter(|image| seen.insert(&image.digest)).collect()
}

fn platforms<'d>(images: impl IntoIterator<Item = &'d Descriptor>) -> Vec<Platform> {
    images.into_iter().filter_map(|image| image.platform.clone()).collect()
}

fn not_one(of: &Digest, images: usize, there: &[Platform]) -> String {
    match images {
        0 => format!("{} lists no image that names its platform", of.short()),
        _ => format!("{} lists {images} images: name one with --platform: {}", of.short(), Names(there)),
    }
}
