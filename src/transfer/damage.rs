//! What is wrong with an image at a target, in words.

use std::fmt;

use crate::oci::{Descriptor, Digest, Platform, Size};

/// One part of an image that is not as its digest says.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    part: Part,
    pub(super) fault: Fault,
    platform: Option<Platform>,
    /// The documents that lead to it, the nearest first.
    way: Vec<Digest>,
}

#[derive(Debug, Clone)]
enum Part {
    Document(Digest),
    Blob { digest: Digest, size: u64 },
}

/// What is wrong with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not there.
    Absent,
    /// It has this number of bytes.
    OtherSize(u64),
    /// Its bytes do not hash to its digest.
    OtherBytes,
}

impl Damage {
    pub(super) fn of_document(digest: &Digest, fault: Fault) -> Self {
        Self { part: Part::Document(digest.clone()), fault, platform: None, way: Vec::new() }
    }

    pub(super) fn of_blob(blob: &Descriptor, fault: Fault) -> Self {
        let part = Part::Blob { digest: blob.digest.clone(), size: blob.size };
        Self { part, fault, platform: None, way: Vec::new() }
    }

    /// The same damage, seen from a document that names the part, or leads to it.
    pub(super) fn below(&self, document: &Digest) -> Self {
        let mut seen = self.clone();
        seen.way.push(document.clone());
        seen
    }

    /// The same damage of an image that a list gives this platform.
    pub(super) fn of_platform(mut self, platform: Option<&Platform>) -> Self {
        self.platform = self.platform.or_else(|| platform.cloned());
        self
    }

    pub(super) fn digest(&self) -> &Digest {
        match &self.part {
            Part::Document(digest) | Part::Blob { digest, .. } => digest,
        }
    }

    /// The damaged part, and every document that leads to it.
    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(self.digest()).chain(&self.way)
    }
}

/// `blob sha256:ab12cd34ef56… (48.0 MiB) of linux/arm64 is not there`
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Document(digest) => write!(f, "manifest {}", digest.short())?,
            Part::Blob { digest, size } => write!(f, "blob {} ({})", digest.short(), Size(*size))?,
        }
        if let Some(platform) = &self.platform {
            // A list may say anything there.
            let name = platform.to_string();
            write!(f, " of {}", name.chars().filter(|c| !c.is_control()).take(80).collect::<String>())?;
        }
        match (self.fault, &self.part) {
            (Fault::Absent, _) => f.write_str(" is not there"),
            (Fault::OtherSize(found), Part::Blob { size, .. }) => write!(f, " has {found} bytes instead of {size}"),
            (Fault::OtherSize(found), Part::Document(_)) => write!(f, " has {found} bytes"),
            (Fault::OtherBytes, _) => f.write_str(" has other bytes than its digest says"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_part_of_which_platform_and_what_is_wrong() {
        let blob: Descriptor =
            serde_json::from_str(&format!(r#"{{"digest":"{}","size":2048}}"#, Digest::of(b""))).unwrap();
        let platform: Platform =
            serde_json::from_str(r#"{"os":"linux\u001b","architecture":"arm64","variant":"v8"}"#).unwrap();
        let cut = Damage::of_blob(&blob, Fault::OtherSize(7)).of_platform(Some(&platform));
        assert_eq!(
            cut.to_string(),
            "blob sha256:e3b0c44298fc… (2.0 KiB) of linux/arm64/v8 has 7 bytes instead of 2048"
        );
        let gone = Damage::of_document(&blob.digest, Fault::Absent);
        assert_eq!(gone.to_string(), "manifest sha256:e3b0c44298fc… is not there");
    }

    #[test]
    fn the_nearest_list_gives_the_platform_and_all_documents_on_the_way_are_kept() {
        let platform =
            |os: &str| serde_json::from_str::<Platform>(&format!(r#"{{"os":"{os}","architecture":"amd64"}}"#)).unwrap();
        let [child, list, root] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
        let damage = Damage::of_document(&child, Fault::Absent)
            .of_platform(Some(&platform("linux")))
            .below(&list)
            .of_platform(Some(&platform("windows")))
            .below(&root);
        assert_eq!(damage.digests().collect::<Vec<_>>(), [&child, &list, &root]);
        assert!(damage.to_string().contains("linux/amd64"), "{damage}");
    }
}
