//! Whether files have changed since they were looked at, told by what the file system says of them.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What the file system said of some files. Equal to what it says later if none of them was written, replaced, made or
/// deleted meanwhile. Links are followed: where Kubernetes swaps the link before a mounted ConfigMap, its files have
/// changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Option<Stamp>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Of the contents and of the entry, in seconds and nanoseconds.
    changed: [(i64, i64); 2],
}

impl Stamps {
    /// Looks at these files. One that is not there, or may not be looked at, counts as one that is not there.
    pub fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(files.into_iter().map(Stamp::beside).collect())
    }

    /// These, and those of others that are not among them.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for (file, stamp) in others.0 {
            self.0.entry(file).or_insert(stamp);
        }
        self
    }

    /// Looks at the same files again.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(self.0.keys().cloned())
    }
}

impl Stamp {
    fn beside(file: PathBuf) -> (PathBuf, Option<Self>) {
        let stamp = std::fs::metadata(&file).ok().as_ref().map(Self::from);
        (file, stamp)
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn writing_replacing_making_and_deleting_are_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let mut stamps = Stamps::of([file.clone()]);
        let mut is_changed = || {
            let again = stamps.again();
            let is_changed = again != stamps;
            stamps = again;
            is_changed
        };
        assert!(!is_changed(), "it is not there");
        fs::write(&file, "one").unwrap();
        assert!(is_changed() && !is_changed(), "made");
        fs::write(&file, "four").unwrap();
        assert!(is_changed() && !is_changed(), "written");
        let other = folder.path().join("other");
        fs::write(&other, "four").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(is_changed() && !is_changed(), "replaced");
        fs::remove_file(&file).unwrap();
        assert!(is_changed() && !is_changed(), "deleted");
    }

    #[test]
    fn a_link_that_is_swapped_before_the_folder_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("regferry.toml"), "the same").unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/regferry.toml", at("regferry.toml")).unwrap();
        let stamps = Stamps::of([at("regferry.toml")]);
        assert_eq!(stamps.again(), stamps);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_ne!(stamps.again(), stamps);
    }
}
