//! What refers to a document without being named by it, where no registry lists it: by tags that are made of its digest.
//!
//! Source: distribution spec, "Referrers Tag Schema"; cosign's specification, "Tag-based Discovery".

mod index;

use super::{Digest, Tag};

pub use index::{referrers_index, referrers_index_without};

/// What cosign appends for signatures, attestations and SBOMs.
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];
/// So much of a digest's hex stands in a tag: all of SHA-256, half of SHA-512.
const HEX_IN_TAG: usize = 64;

impl Digest {
    /// The tag of the index that lists what refers to this document: `sha256-<64 hex>`.
    pub fn referrers_tag(&self) -> Tag {
        Tag::known(&self.tag_text())
    }

    /// The tags under which cosign hangs a signature, attestations and an SBOM on this document: `sha256-<64 hex>.sig`
    /// and so on. None of a SHA-512, which is too long for a tag.
    pub fn cosign_tags(&self) -> Vec<Tag> {
        match self {
            Self::Sha256(_) => COSIGN_SUFFIXES.iter().map(|suffix| Tag::known(&(self.tag_text() + suffix))).collect(),
            Self::Sha512(_) => Vec::new(),
        }
    }

    fn tag_text(&self) -> String {
        let text = self.to_string().replacen(':', "-", 1);
        text[..self.algorithm().len() + 1 + HEX_IN_TAG].to_owned()
    }
}

impl Tag {
    /// The document that something with this tag refers to, whoever made the tag; `None` for a tag that names an image
    /// of its own.
    pub fn referrers_subject(&self) -> Option<Subject> {
        let bare = self.as_str().split('.').next().unwrap_or_default();
        let (algorithm, hex) = bare.split_once('-')?;
        let algorithm = ["sha256", "sha512"].into_iter().find(|known| *known == algorithm)?;
        // Both begin with what fits into the other's.
        let Digest::Sha256(start) = format!("sha256:{hex}").parse().ok()? else { return None };
        Some(Subject { algorithm, start })
    }

    /// Whether this tag hangs another image's referrers on it rather than naming an image of its own.
    pub fn is_referrers_fallback(&self) -> bool {
        self.referrers_subject().is_some()
    }

    /// Whether this is the tag of a list of referrers, as [`Digest::referrers_tag`] makes it, and not cosign's.
    pub fn is_of_referrers_index(&self) -> bool {
        self.is_referrers_fallback() && !self.as_str().contains('.')
    }
}

/// As much of a digest as a tag tells: to find out which documents such tags are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    algorithm: &'static str,
    start: [u8; HEX_IN_TAG / 2],
}

impl Subject {
    /// The document's digest, if the tag tells all of it.
    pub fn digest(&self) -> Option<Digest> {
        (self.algorithm == "sha256").then_some(Digest::Sha256(self.start))
    }
}

impl From<&Digest> for Subject {
    fn from(digest: &Digest) -> Self {
        let mut start = [0; HEX_IN_TAG / 2];
        match digest {
            Digest::Sha256(bytes) => start = *bytes,
            Digest::Sha512(bytes) => start.copy_from_slice(&bytes[..HEX_IN_TAG / 2]),
        }
        Self { algorithm: digest.algorithm(), start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest() -> impl Strategy<Value = Digest> {
        prop_oneof!["sha256:[0-9a-f]{64}", "sha512:[0-9a-f]{128}"].prop_map(|text| text.parse().unwrap())
    }

    #[test]
    fn the_tags_are_those_of_the_specifications() {
        let digest = Digest::of(b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.referrers_tag().as_str(), format!("sha256-{hex}"));
        let cosign: Vec<String> = digest.cosign_tags().iter().map(Tag::to_string).collect();
        assert_eq!(cosign, [".sig", ".att", ".sbom"].map(|suffix| format!("sha256-{hex}{suffix}")));
    }

    #[test]
    fn a_long_digest_is_cut_to_64_digits() {
        let digest: Digest = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        assert_eq!(digest.referrers_tag().as_str(), format!("sha512-{}", "ab".repeat(32)));
        assert!(digest.cosign_tags().is_empty());
    }

    #[test]
    fn referrer_tags_are_told_from_others() {
        let hex = "ab".repeat(32);
        for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha512-{hex}.any")] {
            let is_list = !tag.contains('.');
            let tag: Tag = tag.parse().unwrap();
            assert_eq!((tag.is_referrers_fallback(), tag.is_of_referrers_index()), (true, is_list), "{tag}");
        }
        for tag in
            ["sha256-abc", "latest", "sha256", &format!("sha256-{hex}0"), &format!("sha1-{hex}"), &"ab".repeat(32)]
        {
            assert!(!tag.parse::<Tag>().unwrap().is_referrers_fallback(), "{tag}");
        }
    }

    proptest! {
        #[test]
        fn every_tag_of_a_digest_leads_back_to_it(digest in digest(), other in digest()) {
            let tags = digest.cosign_tags().into_iter().chain([digest.referrers_tag()]);
            for tag in tags {
                prop_assert!(tag.as_str().parse::<Tag>().is_ok(), "{tag} keeps no grammar");
                let subject = tag.referrers_subject();
                prop_assert_eq!(subject, Some(Subject::from(&digest)));
                let told = subject.and_then(|subject| subject.digest());
                prop_assert!(told.as_ref() == Some(&digest) || told.is_none() && digest.algorithm() == "sha512");
                prop_assert!(digest == other || subject != Some(Subject::from(&other)));
            }
        }

        #[test]
        fn no_tag_is_too_odd_to_be_asked(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            let tag: Tag = tag.parse().unwrap();
            prop_assert_eq!(tag.referrers_subject().is_some(), tag.is_referrers_fallback());
        }
    }
}
