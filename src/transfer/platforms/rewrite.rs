//! Smaller lists: the same bytes for the same list and platforms, on every machine and in every version.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use super::super::documents::MAX_DEPTH;
use super::fields::{Fields, invalid};
use super::{Fate, NoSuchPlatform, Platforms, Seen};
use crate::oci::{Digest, Manifest, ManifestError, Platform};

/// A list without the platforms that nobody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smaller {
    /// The list; the very one that came if every child of it is kept. Its images are those of the source.
    pub root: Manifest,
    /// Lists inside of it that had to be made smaller, each before those that list it.
    pub inner: Vec<Manifest>,
    /// The platforms that the image has at the source, whether wanted or not.
    pub seen: Seen,
    /// Wanted platforms that it does not have.
    pub missing: Vec<Platform>,
}

/// Why there is no smaller list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSmaller {
    /// Nothing would be left.
    #[error(transparent)]
    NoSuchPlatform(#[from] NoSuchPlatform),
    /// The list's JSON cannot be passed on.
    #[error(transparent)]
    Document(#[from] ManifestError),
}

impl Platforms {
    /// What is to be written instead of a list. `lists` are the lists inside of it, by the digests under which they are
    /// listed: all that [`Platforms::choose`] wants to look into, level by level. One that is not among them is kept
    /// whole.
    ///
    /// The children that are kept stand in their order, each byte for byte as it was written, and so does every other
    /// field of the list: media type, annotations, subject, and what nobody knows. Of a list inside that becomes
    /// smaller, the digest and size are written anew; one of which nothing is left is dropped. The root also gets an
    /// annotation that names its source ([`Platforms::made_from`]). There is no space between the fields.
    ///
    /// # Errors
    /// If the image has platforms and none of the wanted; or if its `annotations` are no object, it would be larger than
    /// a registry has to take, or its lists are nested too deep.
    pub fn smaller(&self, root: &Manifest, lists: &HashMap<Digest, Manifest>) -> Result<Smaller, NotSmaller> {
        let mut work =
            Work { platforms: self, lists, done: HashMap::new(), inner: Vec::new(), seen: Seen::default(), level: 0 };
        let children = work.children(root)?;
        let missing = self.missing(&work.seen)?;
        let root = without(root, &children, Some(self))?;
        Ok(Smaller { root, inner: work.inner, seen: work.seen, missing })
    }
}

/// What is to be written of a child.
enum Child {
    AsItIs,
    Nothing,
    Instead(Manifest),
}

/// One tree under work. A list that is listed twice is looked into once.
struct Work<'a> {
    platforms: &'a Platforms,
    lists: &'a HashMap<Digest, Manifest>,
    done: HashMap<Digest, Option<Manifest>>,
    inner: Vec<Manifest>,
    seen: Seen,
    /// How deep it is inside of the root.
    level: usize,
}

impl Work<'_> {
    fn children(&mut self, list: &Manifest) -> Result<Vec<Child>, ManifestError> {
        self.seen.add(Seen::in_list(list));
        let choice = self.platforms.choose(list).into_iter();
        choice
            .map(|(child, fate)| match fate {
                Fate::Keep => Ok(Child::AsItIs),
                Fate::Drop => Ok(Child::Nothing),
                Fate::LookInside => self.inside(&child.digest),
            })
            .collect()
    }

    fn inside(&mut self, digest: &Digest) -> Result<Child, ManifestError> {
        let Some(list) = self.lists.get(digest) else {
            return Ok(Child::AsItIs);
        };
        if !self.done.contains_key(digest) {
            if self.level == MAX_DEPTH {
                let reason = format!("a list nested deeper than {MAX_DEPTH}");
                return Err(ManifestError::Unknown { what: reason });
            }
            self.level += 1;
            let smaller = self.shrunk(list)?;
            self.level -= 1;
            self.done.insert(digest.clone(), smaller);
        }
        Ok(match self.done.get(digest).and_then(Option::as_ref) {
            None => Child::Nothing,
            Some(same) if same.digest() == digest => Child::AsItIs,
            Some(other) => Child::Instead(other.clone()),
        })
    }

    /// A list inside; `None` if it had children and none is left.
    fn shrunk(&mut self, list: &Manifest) -> Result<Option<Manifest>, ManifestError> {
        let children = self.children(list)?;
        if !children.is_empty() && children.iter().all(|child| matches!(child, Child::Nothing)) {
            return Ok(None);
        }
        let smaller = without(list, &children, None)?;
        if smaller != *list {
            self.inner.push(smaller.clone());
        }
        Ok(Some(smaller))
    }
}

/// The list with these children; the root is marked as made by a choice of platforms.
fn without(list: &Manifest, children: &[Child], marked: Option<&Platforms>) -> Result<Manifest, ManifestError> {
    if children.iter().all(|child| matches!(child, Child::AsItIs)) {
        return Ok(list.clone());
    }
    let mut fields = Fields::parse(list.bytes())?;
    let written: Vec<&RawValue> = fields
        .get("manifests")
        .map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(invalid)?
        .unwrap_or_default();
    let mut kept = Vec::new();
    for (descriptor, child) in written.into_iter().zip(children) {
        match child {
            Child::AsItIs => kept.push(descriptor.to_owned()),
            Child::Nothing => {}
            Child::Instead(other) => kept.push(replaced(descriptor, other)?),
        }
    }
    fields.set("manifests", &kept)?;
    if let Some(platforms) = marked {
        platforms.annotate(&mut fields, list.digest())?;
    }
    Manifest::parse(Bytes::from(fields.to_json()?), Some(list.media_type()), None)
}

/// A child's descriptor, pointing at another document of its type.
fn replaced(descriptor: &RawValue, by: &Manifest) -> Result<Box<RawValue>, ManifestError> {
    let mut fields = Fields::parse(descriptor.get().as_bytes())?;
    fields.set("digest", by.digest())?;
    fields.set("size", &by.bytes().len())?;
    // The old document in base64, where a builder has written it (OCI image-spec, "Embedded Content").
    fields.remove("data");
    to_raw_value(&fields).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{attestation, child, digest, list, manifest, parse, plain, wanted};
    use super::*;
    use crate::oci::media_type;
    use insta::assert_snapshot;
    use testkit::{Image, content};

    fn alone(platforms: &[&str], list: &Manifest) -> Manifest {
        wanted(platforms).smaller(list, &HashMap::new()).unwrap().root
    }

    fn text(manifest: &Manifest) -> &str {
        std::str::from_utf8(manifest.bytes()).unwrap()
    }

    fn nested(lists: &[&Manifest]) -> HashMap<Digest, Manifest> {
        lists.iter().map(|list| (list.digest().clone(), (*list).clone())).collect()
    }

    fn listing(children: &[&Manifest]) -> Manifest {
        let entry = |child: &&Manifest| {
            format!(
                r#"{{"mediaType":"{}","digest":"{}","size":{},"data":"e30=","x":"kept"}}"#,
                child.media_type(),
                child.digest(),
                child.bytes().len()
            )
        };
        list(&children.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn the_bytes_never_change_or_every_mirror_would_write_its_lists_again() {
        let smaller = alone(&["linux/amd64", "linux/arm64"], &manifest(&content::hello_world()));
        assert_snapshot!(smaller.digest(), @"sha256:39e5c3793869d4c1e8d204e3cb3af4b1fb768180443c3e52f6a45e301198203f");
    }

    #[test]
    fn what_is_kept_stands_byte_for_byte_beside_all_other_fields() {
        let odd = r#"{ "digest" : "DIGEST", "size":7,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "platform":{"os":"linux","architecture":"arm64","os.features":null},"x-unknown":[1, 2]}"#
            .replace("DIGEST", &digest('a'));
        let list = parse(&format!(
            r#"{{"x-first":1.50,"subject":{},"schemaVersion": 2,"manifests" : [{}, {odd}],"artifactType":"a/b","annotations":{{"k":"\u0076"}}}}"#,
            plain('f', media_type::OCI_MANIFEST),
            child('b', "linux/amd64"),
        ));
        let smaller = alone(&["linux/arm64"], &list);
        let mark = format!("{} linux/arm64", list.digest());
        assert_eq!(
            text(&smaller),
            format!(
                r#"{{"x-first":1.50,"subject":{},"schemaVersion":2,"manifests":[{odd}],"artifactType":"a/b","annotations":{{"k":"\u0076","regferry.rewritten-from":"{mark}"}}}}"#,
                plain('f', media_type::OCI_MANIFEST),
            )
        );
        assert_eq!(smaller.media_type(), media_type::OCI_INDEX);
    }

    #[test]
    fn a_list_of_which_everything_is_wanted_stays_what_it_is() {
        let list = manifest(&content::hello_world());
        assert_eq!(alone(&["linux/amd64", "linux/arm64", "windows/amd64"], &list), list);
    }

    #[test]
    fn attestations_go_along_with_their_images() {
        let list =
            list(&[child('a', "linux/amd64"), child('b', "linux/arm64"), attestation('c', 'a'), attestation('d', 'b')]);
        let smaller = alone(&["linux/arm64"], &list);
        let kept: Vec<String> = smaller.children().map(|child| child.digest.to_string()).collect();
        assert_eq!(kept, [digest('b'), digest('d')]);
    }

    #[test]
    fn a_list_inside_is_made_smaller_and_its_entry_follows() {
        let inner = list(&[child('a', "linux/amd64"), child('b', "linux/arm64")]);
        let root = listing(&[&inner, &inner]);
        let smaller = wanted(&["linux/arm64"]).smaller(&root, &nested(&[&inner])).unwrap();
        let [made] = smaller.inner.as_slice() else { panic!("{smaller:?}") };
        assert_eq!(made.children().count(), 1);
        assert!(!text(made).contains("annotations"));
        let entry = format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{},"x":"kept"}}"#,
            media_type::OCI_INDEX,
            made.digest(),
            made.bytes().len()
        );
        assert!(text(&smaller.root).contains(&format!(r#""manifests":[{entry},{entry}]"#)), "{}", text(&smaller.root));
    }

    #[test]
    fn a_list_inside_of_which_nothing_is_left_is_dropped() {
        let (here, gone) = (list(&[child('a', "linux/amd64")]), list(&[child('b', "linux/arm64")]));
        let (empty, unknown) = (list(&[]), list(&[plain('c', media_type::OCI_MANIFEST)]));
        let root = listing(&[&here, &gone, &empty, &unknown]);
        let smaller = wanted(&["linux/amd64"]).smaller(&root, &nested(&[&here, &gone, &empty])).unwrap();
        let kept: Vec<&Digest> = smaller.root.children().map(|child| &child.digest).collect();
        assert_eq!(kept, [here.digest(), empty.digest(), unknown.digest()]);
        assert!(smaller.inner.is_empty());
    }

    #[test]
    fn what_lists_inside_have_counts_for_the_image() {
        let inner = list(&[child('a', "linux/amd64")]);
        let root = listing(&[&inner]);
        let smaller = wanted(&["linux/amd64", "linux/arm64"]).smaller(&root, &nested(&[&inner])).unwrap();
        assert_eq!((smaller.missing, smaller.root), (vec!["linux/arm64".parse().unwrap()], root.clone()));
        let error = wanted(&["linux/arm64"]).smaller(&root, &nested(&[&inner])).unwrap_err();
        assert_eq!(error.to_string(), "no image for linux/arm64; there are: linux/amd64");
    }

    #[test]
    fn lists_that_name_each_other_many_times_are_looked_into_once() {
        let mut lists = vec![list(&[child('a', "linux/amd64"), child('b', "linux/arm64")])];
        for _ in 0..8 {
            let last = lists.last().unwrap();
            lists.push(listing(&[last; 50]));
        }
        let root = lists.pop().unwrap();
        let smaller = wanted(&["linux/amd64"]).smaller(&root, &nested(&lists.iter().collect::<Vec<_>>())).unwrap();
        assert_eq!(smaller.inner.len(), lists.len());
    }

    #[test]
    fn an_image_of_any_kind_keeps_what_has_no_platform() {
        for (name, image) in content::every_kind() {
            let documents: Vec<Manifest> =
                image.documents().map(|d| parse(std::str::from_utf8(&d.bytes).unwrap())).collect();
            let root = manifest(&image);
            match wanted(&["linux/amd64"]).smaller(&root, &nested(&documents.iter().collect::<Vec<_>>())) {
                Ok(smaller) => assert_eq!(smaller.root.children().count() > 0, root.children().count() > 0, "{name}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    #[test]
    fn one_image_that_is_left_still_stands_in_a_list() {
        let list = Image::oci_index([Image::oci("linux/amd64").build(), Image::oci("linux/arm64").build()]);
        let smaller = alone(&["linux/arm64"], &manifest(&list));
        assert_eq!((smaller.media_type(), smaller.children().count()), (media_type::OCI_INDEX, 1));
    }

    #[test]
    fn lists_that_are_nested_too_deep_are_refused_also_where_the_root_lists_them_all() {
        let mut chain = vec![list(&[child('a', "linux/amd64")])];
        for _ in 0..30 {
            chain.push(listing(&[chain.last().unwrap()]));
        }
        let all: Vec<&Manifest> = chain.iter().rev().collect();

        let refused = wanted(&["linux/amd64"]).smaller(&listing(&all), &nested(&all)).unwrap_err();

        assert_eq!(refused.to_string(), "it is no image manifest or index but a list nested deeper than 8");
    }
}
