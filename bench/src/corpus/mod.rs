//! What is copied: made from a seed, kept on disk for the next time.

mod shape;
mod storage;

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use testkit::Image;
use testkit::content::{Descriptor, Repeated, media_type};

pub(crate) use shape::PARENT;
pub(crate) use storage::Storage;

/// With it corpus A has 0.46 GB.
pub(crate) const SEED: u64 = 14;

/// To be raised when the corpora change, so that no old ones are taken from the disk.
const EDITION: u32 = 1;
const MIB: u64 = 1 << 20;

/// Images to be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Corpus {
    /// Many repositories that share layers: 360 manifests, 968 different blobs, 0.46 GB.
    A,
    /// One repository with so many tags, ten on each of its lists; C has 1,000.
    Lists(u32),
    /// One image with one layer of so many MiB; BIG has 1,024.
    Layer(u32),
}

/// A repository, and its tags.
pub(crate) struct Repository {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
}

impl Corpus {
    /// The storage of a registry that has it: from the disk if it was made before.
    pub(crate) fn seeded(self, seed: u64, folder: &Path) -> Result<Storage> {
        let root = folder.join(format!("{}-{seed}-{EDITION}", self.name()));
        if !root.exists() {
            let partial = root.with_extension("partial");
            if partial.exists() {
                fs::remove_dir_all(&partial)?;
            }
            self.write(seed, &Storage::at(&partial))?;
            fs::rename(&partial, &root)?;
        }
        let storage = Storage::at(&root);
        let expected = self.contents();
        ensure!(storage.contents()? == expected, "{} has not {expected} blobs and documents", root.display());
        storage.warm()?;
        Ok(storage)
    }

    /// Its repositories, in the order of their names.
    pub(crate) fn repositories(self, seed: u64) -> Vec<Repository> {
        let mut repositories: Vec<Repository> = Vec::new();
        for (name, tags) in self.tags(seed) {
            match repositories.last_mut() {
                Some(last) if last.name == name => last.tags.extend(tags),
                _ => repositories.push(Repository { name, tags }),
            }
        }
        repositories
    }

    fn name(self) -> String {
        match self {
            Self::A => "a".to_owned(),
            Self::Lists(tags) => format!("lists-{tags}"),
            Self::Layer(mib) => format!("layer-{mib}"),
        }
    }

    fn tags(self, seed: u64) -> Vec<(String, Vec<String>)> {
        match self {
            Self::Layer(_) => vec![(large_repository(), vec!["1.0".to_owned()])],
            Self::A | Self::Lists(_) => self.lists(seed).into_iter().map(|list| (list.repository, list.tags)).collect(),
        }
    }

    fn lists(self, seed: u64) -> Vec<shape::List> {
        match self {
            Self::A => shape::a(seed),
            Self::Lists(tags) => shape::lists(seed, tags),
            Self::Layer(_) => Vec::new(),
        }
    }

    /// How many blobs and documents it has.
    fn contents(self) -> usize {
        match self {
            Self::A => 968 + 360,
            // Each list has two images, each of them a config and a layer.
            Self::Lists(tags) => tags.div_ceil(10) as usize * 7,
            Self::Layer(_) => 3,
        }
    }

    fn write(self, seed: u64, storage: &Storage) -> Result<()> {
        if let Self::Layer(mib) = self {
            return write_layer(seed, u64::from(mib) * MIB, storage);
        }
        self.lists(seed).iter().try_for_each(|list| storage.write(&list.repository, &list.tags, &list.image()))
    }
}

fn write_layer(seed: u64, size: u64, storage: &Storage) -> Result<()> {
    let layer = Repeated::new(seed, size);
    let digest = layer.digest();
    let descriptor = Descriptor::new(media_type::OCI_LAYER, digest.clone(), size);
    let image = Image::oci("linux/amd64").layer_elsewhere(descriptor).build();
    storage.write_large(&large_repository(), &digest, &layer)?;
    storage.write(&large_repository(), &["1.0".to_owned()], &image)
}

fn large_repository() -> String {
    format!("{PARENT}/large")
}
