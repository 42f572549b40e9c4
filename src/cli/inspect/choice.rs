//! `--platform`: which image of a list is meant.

use std::collections::HashSet;

use super::said_by_config;
use crate::cli::Failure;
use crate::content::{Cause, Error, Pull};
use crate::oci::{Content, Descriptor, Manifest, Platform, TagOrDigest};
use crate::transfer::Store;

/// A list's image for this platform, also of a list inside of it; an image itself, if it is for it.
pub(super) async fn image_for(store: &Store, root: Manifest, wanted: &Platform) -> Result<Manifest, Failure> {
    if matches!(root.content(), Content::Image(_)) {
        let config = said_by_config(store, &root).await?.unwrap_or_default();
        return match Platform::of_config(&config) {
            Some(own) if wanted.means(&own) => Ok(root),
            own => Err(none_for(wanted, &root, own.iter())),
        };
    }
    let listed = images(store, &root).await?;
    let named = |descriptor: &Descriptor| descriptor.platform.as_ref().is_some_and(|found| wanted.means(found));
    let meant: Vec<&Descriptor> = listed.iter().filter(|descriptor| named(descriptor)).collect();
    match meant.as_slice() {
        [one] => fetch(store, one).await,
        [] => Err(none_for(wanted, &root, platforms(&listed))),
        several => Err(Failure::failed(format!(
            "{wanted} means {} images of {}: name one of {}",
            several.len(),
            root.digest().short(),
            names(several.iter().filter_map(|descriptor| descriptor.platform.as_ref()))
        ))),
    }
}

/// The image itself, or the one image of a list.
pub(super) async fn only_image(store: &Store, root: Manifest) -> Result<Manifest, Failure> {
    if matches!(root.content(), Content::Image(_)) {
        return Ok(root);
    }
    let listed = images(store, &root).await?;
    match listed.as_slice() {
        [one] => fetch(store, one).await,
        [] => Err(Failure::failed(format!("{} lists no image that names its platform", root.digest().short()))),
        _ => Err(Failure::failed(format!(
            "{} lists {} images: name one with --platform: {}",
            root.digest().short(),
            listed.len(),
            names(platforms(&listed))
        ))),
    }
}

/// So many lists inside of a list are looked into; real ones have a few.
const MOST_LISTS: usize = 100;

/// The images of a list that name their platform, those of lists inside of it too.
async fn images(store: &Store, root: &Manifest) -> Result<Vec<Descriptor>, Failure> {
    let (mut images, mut lists, mut seen, mut looked_into) = (Vec::new(), vec![root.clone()], HashSet::new(), 0);
    while let Some(list) = lists.pop() {
        looked_into += 1;
        if looked_into > MOST_LISTS {
            return Err(Failure::failed(format!("{} has more than {MOST_LISTS} lists in it", root.digest().short())));
        }
        for child in list.children().filter(|child| seen.insert(child.digest.clone())) {
            if child.is_index() {
                lists.push(fetch(store, child).await?);
            } else if child.platform.as_ref().is_some_and(|platform| !platform.is_unknown()) {
                images.push(child.clone());
            }
        }
    }
    Ok(images)
}

async fn fetch(store: &Store, child: &Descriptor) -> Result<Manifest, Failure> {
    let at = TagOrDigest::Digest(child.digest.clone());
    let what = || format!("fetching manifest {at} of {}, which the list names", store.location());
    let found = store.manifest(&at).await?;
    Ok(found.ok_or_else(|| Error::new(what(), Cause::NotFound))?)
}

fn none_for<'p>(wanted: &Platform, root: &Manifest, there: impl Iterator<Item = &'p Platform>) -> Failure {
    let there = names(there);
    let there = if there.is_empty() { "it names no platform".to_owned() } else { format!("there are: {there}") };
    Failure::failed(format!("{} has no image for {wanted}; {there}", root.digest().short()))
}

fn platforms(listed: &[Descriptor]) -> impl Iterator<Item = &Platform> {
    listed.iter().filter_map(|descriptor| descriptor.platform.as_ref())
}

fn names<'p>(platforms: impl Iterator<Item = &'p Platform>) -> String {
    platforms.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
