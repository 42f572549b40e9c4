//! A registry's disk, written behind its back: seeding takes no longer than the disk does.
//!
//! Source: distribution's `registry/storage/paths.go`, which draws the layout.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use testkit::Image;
use testkit::content::Repeated;

/// The root directory of a `docker-registry`'s storage.
#[derive(Clone, Debug)]
pub(crate) struct Storage(PathBuf);

impl Storage {
    pub(crate) fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Writes an image into a repository, under each of the tags.
    pub(crate) fn write(&self, repository: &str, tags: &[String], image: &Image) -> Result<()> {
        for blob in image.blobs() {
            self.content(&blob.digest(), &blob.bytes)?;
            self.link_blob(repository, &blob.digest())?;
        }
        for document in image.documents() {
            self.content(&document.digest(), &document.bytes)?;
            link(&self.revision(repository, &document.digest()), &document.digest())?;
        }
        tags.iter().try_for_each(|tag| self.tag(repository, tag, &image.digest()))
    }

    /// Writes a blob that is too large for memory into a repository.
    pub(crate) fn write_large(&self, repository: &str, digest: &str, blob: &Repeated) -> Result<()> {
        let file = created(&self.data(digest))?;
        let mut file = BufWriter::new(file);
        let mut position = 0;
        while position < blob.size() {
            let piece = blob.piece(position..blob.size());
            file.write_all(&piece)?;
            position += piece.len() as u64;
        }
        file.flush()?;
        self.link_blob(repository, digest)
    }

    /// Puts some repositories of this registry into another, with all that they name. What is never written to again is
    /// shared with it.
    pub(crate) fn share(&self, repositories: &[String], other: &Self) -> Result<()> {
        for repository in repositories {
            copy(&self.repository(repository), &other.repository(repository))?;
            for digest in self.named(repository)? {
                let (from, to) = (self.data(&digest), other.data(&digest));
                if !to.exists() {
                    fs::create_dir_all(to.parent().context("data lies in a folder")?)?;
                    fs::hard_link(&from, &to).with_context(|| format!("{} cannot be linked", from.display()))?;
                }
            }
        }
        Ok(())
    }

    /// The digest that a tag stands for, if there is such a tag.
    pub(crate) fn tagged(&self, repository: &str, tag: &str) -> Option<String> {
        fs::read_to_string(self.tag_folder(repository, tag).join("current/link")).ok()
    }

    /// How many blobs and documents there are, over all repositories.
    pub(crate) fn contents(&self) -> Result<usize> {
        let folders = entries(&self.0.join("docker/registry/v2/blobs/sha256"))?;
        folders.iter().try_fold(0, |sum, folder| Ok(sum + entries(folder)?.len()))
    }

    /// Reads everything once, so that the first to be measured does not wait for the disk.
    pub(crate) fn warm(&self) -> Result<()> {
        for folder in entries(&self.0.join("docker/registry/v2/blobs/sha256"))? {
            for blob in entries(&folder)? {
                std::io::copy(&mut File::open(blob.join("data"))?, &mut std::io::sink())?;
            }
        }
        Ok(())
    }

    fn content(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let data = self.data(digest);
        if !data.exists() {
            created(&data)?.write_all(bytes)?;
        }
        Ok(())
    }

    fn link_blob(&self, repository: &str, digest: &str) -> Result<()> {
        link(&self.repository(repository).join("_layers/sha256").join(hex(digest)).join("link"), digest)
    }

    fn tag(&self, repository: &str, tag: &str, digest: &str) -> Result<()> {
        let tag = self.tag_folder(repository, tag);
        link(&tag.join("index/sha256").join(hex(digest)).join("link"), digest)?;
        link(&tag.join("current/link"), digest)
    }

    /// The digests of all that a repository has.
    fn named(&self, repository: &str) -> Result<Vec<String>> {
        let repository = self.repository(repository);
        let mut named = Vec::new();
        for folder in ["_layers/sha256", "_manifests/revisions/sha256"] {
            for link in entries(&repository.join(folder))? {
                named.push(fs::read_to_string(link.join("link"))?);
            }
        }
        Ok(named)
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.0.join("docker/registry/v2/repositories").join(name)
    }

    fn tag_folder(&self, repository: &str, tag: &str) -> PathBuf {
        self.repository(repository).join("_manifests/tags").join(tag)
    }

    fn revision(&self, repository: &str, digest: &str) -> PathBuf {
        self.repository(repository).join("_manifests/revisions/sha256").join(hex(digest)).join("link")
    }

    fn data(&self, digest: &str) -> PathBuf {
        let hex = hex(digest);
        self.0.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

fn link(path: &Path, digest: &str) -> Result<()> {
    Ok(created(path)?.write_all(digest.as_bytes())?)
}

fn created(path: &Path) -> Result<File> {
    fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in entries(from)? {
        let to = to.join(entry.file_name().context("an entry has a name")?);
        if entry.is_dir() {
            copy(&entry, &to)?;
        } else {
            fs::copy(&entry, &to)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}
