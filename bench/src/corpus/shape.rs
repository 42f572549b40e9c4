//! What the corpora are made of, without a byte of it: so that it can be counted in no time.

use testkit::content::{ImageBuilder, pseudo_random};
use testkit::{Image, Platform};

/// The folder that all repositories lie in.
pub(crate) const PARENT: &str = "corpus";

const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"];
const REPOSITORIES: u64 = 24;
const TAGS: u64 = 3;
const SMALLEST: f64 = 4.0 * 1024.0;
const LARGEST: f64 = 4.0 * 1024.0 * 1024.0;
/// Tags that point at one list of [`lists`].
const TAGS_OF_A_LIST: u32 = 10;

/// A list, the tags that it has, and what its images are made of.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) repository: String,
    pub(crate) tags: Vec<String>,
    pub(crate) kind: Kind,
    pub(crate) platforms: Vec<Layers>,
}

/// Who would have written the list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Docker,
    Oci,
}

/// The layers of one image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layers {
    platform: &'static str,
    pub(crate) layers: Vec<Layer>,
}

/// Equal ones have equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layer {
    seed: u64,
    pub(crate) size: usize,
}

/// Corpus A: 24 repositories of three tags, half of them Docker's lists, half OCI indexes; four platforms a list, five
/// layers an image. The first two layers are everybody's, a platform each; the third is that of all tags of a repository.
pub(crate) fn a(seed: u64) -> Vec<List> {
    let list = |repository: u64, tag: u64| List {
        repository: format!("{PARENT}/app-{repository:02}"),
        tags: vec![format!("1.{tag}")],
        kind: if repository.is_multiple_of(2) { Kind::Docker } else { Kind::Oci },
        platforms: (0..).zip(PLATFORMS).map(|(number, name)| image(seed, repository, tag, number, name)).collect(),
    };
    (0..REPOSITORIES).flat_map(|repository| (0..TAGS).map(move |tag| list(repository, tag))).collect()
}

/// Corpus C and its likes: one repository of so many tags, ten on each of its two-platform lists.
pub(crate) fn lists(seed: u64, tags: u32) -> Vec<List> {
    let all: Vec<u32> = (0..tags).collect();
    let layer = |list: u32, platform: u64| Layer { seed: mixed(seed, &[9, u64::from(list), platform]), size: 4096 };
    let images = |list: u32| {
        let platforms = (0..).zip(&PLATFORMS[..2]);
        platforms.map(move |(number, &platform)| Layers { platform, layers: vec![layer(list, number)] }).collect()
    };
    (0..)
        .zip(all.chunks(TAGS_OF_A_LIST as usize))
        .map(|(list, tags)| List {
            repository: format!("{PARENT}/many"),
            tags: tags.iter().map(|tag| format!("t-{tag:05}")).collect(),
            kind: Kind::Oci,
            platforms: images(list),
        })
        .collect()
}

fn image(seed: u64, repository: u64, tag: u64, number: u64, platform: &'static str) -> Layers {
    let own = |layer: u64| layer_of(seed, &[3, repository, tag, number, layer]);
    let layers = vec![
        layer_of(seed, &[1, number, 0]),
        layer_of(seed, &[1, number, 1]),
        layer_of(seed, &[2, repository, number]),
        own(0),
        own(1),
    ];
    Layers { platform, layers }
}

/// A layer whose size is as likely to lie between 4 and 8 KiB as between 2 and 4 MiB.
fn layer_of(seed: u64, place: &[u64]) -> Layer {
    let seed = mixed(seed, place);
    let chance = mixed(seed, &[0]) as f64 / u64::MAX as f64;
    Layer { seed, size: (SMALLEST * (LARGEST / SMALLEST).powf(chance)) as usize }
}

/// A number that looks random, of a seed and a place.
fn mixed(seed: u64, place: &[u64]) -> u64 {
    place.iter().fold(seed, |state, part| {
        let eight = pseudo_random(state ^ part.rotate_left(32), 8);
        eight.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}

impl List {
    /// With all its bytes.
    pub(crate) fn image(&self) -> Image {
        let images = self.platforms.iter().map(|layers| layers.image(self.kind));
        match self.kind {
            Kind::Docker => Image::docker_list(images),
            Kind::Oci => Image::oci_index(images),
        }
    }
}

impl Layers {
    fn image(&self, kind: Kind) -> Image {
        let platform = Platform::from(self.platform);
        let empty: ImageBuilder = match kind {
            Kind::Docker => Image::docker(platform),
            Kind::Oci => Image::oci(platform),
        };
        self.layers.iter().fold(empty, |image, layer| image.layer(layer.seed, layer.size)).build()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::corpus::SEED;

    #[test]
    fn corpus_a_has_as_many_parts_as_it_is_known_for() {
        let lists = a(SEED);
        let images: Vec<&Layers> = lists.iter().flat_map(|list| &list.platforms).collect();
        let layers: HashSet<Layer> = images.iter().flat_map(|image| image.layers.clone()).collect();
        // A config names its layers and its platform, so images with the same of both share theirs.
        let configs: HashSet<&Layers> = images.iter().copied().collect();

        assert_eq!(lists.len() + images.len(), 360, "manifests");
        assert_eq!(images.iter().map(|image| image.layers.len() + 1).sum::<usize>(), 1728, "references to blobs");
        assert_eq!(layers.len() + configs.len(), 968, "different blobs");
        assert_eq!(of_repositories(&lists) - layers.len() - configs.len(), 184, "blobs that another repository has");
        let docker = lists.iter().filter(|list| matches!(list.kind, Kind::Docker)).count();
        assert_eq!(docker, lists.len() / 2);
    }

    #[test]
    fn corpus_a_has_as_many_bytes_as_it_is_known_for() {
        let layers: Vec<Layer> =
            a(SEED).into_iter().flat_map(|list| list.platforms).flat_map(|image| image.layers).collect();
        let once: HashSet<&Layer> = layers.iter().collect();

        let megabytes = once.iter().map(|layer| layer.size).sum::<usize>() / 1_000_000;

        assert!((450..470).contains(&megabytes), "{megabytes} MB");
        assert!(layers.iter().all(|layer| (4 << 10..=4 << 20).contains(&layer.size)));
    }

    #[test]
    fn corpus_c_has_a_thousand_tags_on_a_hundred_lists() {
        let lists = lists(SEED, 1000);

        assert_eq!(lists.len(), 100);
        let tags: HashSet<&String> = lists.iter().flat_map(|list| &list.tags).collect();
        assert_eq!(tags.len(), 1000);
        let layers: HashSet<Layer> =
            lists.iter().flat_map(|list| &list.platforms).flat_map(|image| image.layers.clone()).collect();
        assert_eq!(layers.len(), 200);
    }

    /// Blobs, each counted once a repository.
    fn of_repositories(lists: &[List]) -> usize {
        let mut layers = HashSet::new();
        let mut configs = HashSet::new();
        for list in lists {
            for image in &list.platforms {
                layers.extend(image.layers.iter().map(|layer| (&list.repository, *layer)));
                configs.insert((&list.repository, image));
            }
        }
        layers.len() + configs.len()
    }
}
