//! Which tags may go: pure. A tag stays unless everything that is known says that it may go.

use std::collections::{BTreeSet, HashSet};

use super::refusal::Refusal;
use crate::oci::{Digest, Tag, TagOrDigest};

/// What rules write into one repository.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) tags: HashSet<Tag>,
    /// Documents without a tag.
    pub(super) documents: HashSet<Digest>,
}

impl Extend<TagOrDigest> for Written {
    fn extend<I: IntoIterator<Item = TagOrDigest>>(&mut self, names: I) {
        for name in names {
            match name {
                TagOrDigest::Tag(tag) => drop(self.tags.insert(tag)),
                TagOrDigest::Digest(digest) => drop(self.documents.insert(digest)),
            }
        }
    }
}

/// The tags of a repository that may go, as far as is known.
#[derive(Debug)]
pub(super) struct Choice {
    going: BTreeSet<Tag>,
    /// Tags that hang something on a document. They stay as long as it is there.
    hung: Vec<(Digest, Tag)>,
}

impl Choice {
    /// All tags of a listing that nothing keeps. A tag that hangs something on a document and does not tell which one
    /// stays too.
    pub(super) fn among(listed: impl IntoIterator<Item = Tag>, is_kept: impl Fn(&Tag) -> bool) -> Self {
        let mut choice = Self { going: BTreeSet::new(), hung: Vec::new() };
        for tag in listed.into_iter().filter(|tag| !is_kept(tag)) {
            match tag.referrers_subject().map(|subject| subject.digest()) {
                None => drop(choice.going.insert(tag)),
                Some(Some(subject)) => choice.hung.push((subject, tag)),
                Some(None) => {}
            }
        }
        choice
    }

    /// Spares what is written.
    pub(super) fn spare(&mut self, written: &Written) {
        self.going.retain(|tag| !written.tags.contains(tag));
        self.hung.retain(|(_, tag)| !written.tags.contains(tag));
    }

    /// The documents on which something hangs that may go with them.
    pub(super) fn subjects(&self) -> BTreeSet<Digest> {
        self.hung.iter().map(|(subject, _)| subject.clone()).collect()
    }

    /// Documents that are not there any more: what hangs on them may go.
    pub(super) fn without(&mut self, gone: &HashSet<Digest>) {
        let (orphans, hung): (Vec<_>, Vec<_>) = self.hung.drain(..).partition(|(subject, _)| gone.contains(subject));
        self.hung = hung;
        self.going.extend(orphans.into_iter().map(|(_, tag)| tag));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.going.is_empty()
    }

    /// The tags, in order, if there are no more than the limit.
    pub(super) fn within(self, limit: usize) -> Result<Vec<Tag>, Refusal> {
        let tags: Vec<Tag> = self.going.into_iter().collect();
        if tags.len() > limit { Err(Refusal::TooMany { tags, limit }) } else { Ok(tags) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{hash_set, vec};
    use proptest::prelude::*;

    fn tag() -> impl Strategy<Value = Tag> {
        let plain = "[a-c]{1,2}";
        let hung = (0u8..4, prop_oneof!["", "\\.sig", "\\.att"]).prop_map(|(document, suffix)| {
            format!("sha256-{}{suffix}", Digest::of(&[document]).to_string().trim_start_matches("sha256:"))
        });
        let long = "[0-3]".prop_map(|digit| format!("sha512-{}", digit.repeat(64)));
        prop_oneof![4 => plain, 3 => hung, 1 => long].prop_map(|text| text.parse().unwrap())
    }

    fn written(tags: HashSet<Tag>) -> Written {
        Written { tags, ..Written::default() }
    }

    proptest! {
        #[test]
        fn nothing_that_is_protected_goes_and_never_more_than_the_limit(
            listed in vec(tag(), 0..24),
            (own, others, keep) in (hash_set(tag(), 0..6), hash_set(tag(), 0..6), hash_set(tag(), 0..6)),
            there in hash_set(0u8..4, 0..4),
            limit in 1usize..12,
        ) {
            let there: HashSet<Digest> = there.into_iter().map(|document| Digest::of(&[document])).collect();
            let is_protected = |tag: &Tag| {
                let hangs = tag.referrers_subject().is_some_and(|subject| {
                    subject.digest().is_none_or(|digest| there.contains(&digest))
                });
                own.contains(tag) || others.contains(tag) || keep.contains(tag) || hangs
            };
            let may_go: BTreeSet<Tag> = listed.iter().filter(|tag| !is_protected(tag)).cloned().collect();

            let mut choice = Choice::among(listed.clone(), |tag| keep.contains(tag));
            choice.spare(&written(own.clone()));
            let gone = choice.subjects().into_iter().filter(|subject| !there.contains(subject)).collect();
            choice.without(&gone);
            choice.spare(&written(others.clone()));
            match choice.within(limit) {
                Ok(going) => {
                    prop_assert!(going.len() <= limit);
                    prop_assert_eq!(going, may_go.into_iter().collect::<Vec<_>>());
                }
                Err(_) => prop_assert!(may_go.len() > limit),
            }
        }
    }

    #[test]
    fn what_hangs_on_an_image_stays_until_the_image_is_known_to_be_gone() {
        let digest = Digest::of(b"image");
        let tags = || digest.cosign_tags().into_iter().chain([digest.referrers_tag()]);
        let mut choice = Choice::among(tags(), |_| false);
        assert!(choice.is_empty());
        choice.without(&HashSet::from([Digest::of(b"another")]));
        assert!(choice.is_empty());
        choice.without(&HashSet::from([digest.clone()]));
        assert_eq!(choice.within(4).unwrap().len(), 4);
    }

    #[test]
    fn a_tag_that_tells_half_a_digest_never_goes() {
        let digest: Digest = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        let choice = Choice::among([digest.referrers_tag()], |_| false);
        assert!(choice.subjects().is_empty() && choice.is_empty());
    }

    #[test]
    fn too_many_are_refused_with_their_number_the_limit_and_some_names() {
        let tags = (10..40).map(|number| format!("v{number}").parse().unwrap());
        let text = Choice::among(tags, |_| false).within(20).unwrap_err().to_string();
        assert!(text.starts_with("30 tags would go, and max_delete is 20, so all of them stay: v10, v11"), "{text}");
        assert!(text.contains("v19, …; raise max_delete"), "{text}");
    }
}
