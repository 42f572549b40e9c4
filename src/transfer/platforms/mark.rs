//! What a smaller list says of where it comes from: so that it need not be made again to tell that it is up to date.

use serde_json::value::{RawValue, to_raw_value};

use super::Platforms;
use super::fields::{Fields, invalid};
use crate::oci::{Digest, Manifest, ManifestError};

/// The annotation of a smaller list: the digest of the list at the source, then the platforms that were wanted of it.
/// A Docker list, which has no annotations of its own, has this field all the same: readers pass over it.
const REWRITTEN_FROM: &str = "regferry.rewritten-from";
const ANNOTATIONS: &str = "annotations";

/// Whether an annotation says of a list what it was made from: of a list that is made of that one it is not true.
pub fn is_own_annotation(key: &str) -> bool {
    key.starts_with("regferry.")
}

impl Platforms {
    /// Whether a list at the target says that it is what [`Platforms::smaller`] makes of the list of this digest. Then
    /// the target is up to date, and the source's list need not be fetched, which costs a pull at some registries.
    ///
    /// What somebody edits by hand and leaves this annotation in is believed: `verify` compares more.
    pub fn made_from(&self, source: &Digest, target: &Manifest) -> bool {
        annotation(target).is_some_and(|mark| mark == self.mark(source))
    }

    /// The annotation's value: the same for the same choice, however it is written down.
    fn mark(&self, source: &Digest) -> String {
        let mut wanted: Vec<String> = self.wanted().iter().map(ToString::to_string).collect();
        wanted.sort();
        wanted.dedup();
        format!("{source} {}", wanted.join(" "))
    }

    /// Annotates a list that was made of the one with this digest. Other annotations are kept.
    pub(super) fn annotate(&self, list: &mut Fields<'_>, source: &Digest) -> Result<(), ManifestError> {
        let annotated = {
            let mut annotations = match list.get(ANNOTATIONS).map(RawValue::get) {
                None | Some("null") => Fields::default(),
                Some(written) => Fields::parse(written.as_bytes())?,
            };
            annotations.set(REWRITTEN_FROM, &self.mark(source))?;
            to_raw_value(&annotations).map_err(invalid)?
        };
        list.set(ANNOTATIONS, &annotated)
    }
}

fn annotation(list: &Manifest) -> Option<String> {
    let fields = Fields::parse(list.bytes()).ok()?;
    let annotations = Fields::parse(fields.get(ANNOTATIONS)?.get().as_bytes()).ok()?;
    serde_json::from_str(annotations.get(REWRITTEN_FROM)?.get()).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::{manifest, parse, wanted};
    use super::*;
    use testkit::content;

    fn smaller(platforms: &Platforms, list: &Manifest) -> Manifest {
        platforms.smaller(list, &HashMap::new()).unwrap().root
    }

    #[test]
    fn a_smaller_list_tells_what_it_was_made_from_and_for_whom() {
        let list = manifest(&content::hello_world());
        let target = smaller(&wanted(&["linux/amd64", "linux/arm64"]), &list);
        assert!(wanted(&["linux/arm64", "linux/amd64", "linux/arm64"]).made_from(list.digest(), &target));
        assert!(!wanted(&["linux/amd64"]).made_from(list.digest(), &target));
        assert!(!wanted(&["linux/amd64", "linux/arm64"]).made_from(target.digest(), &target));
        assert!(!wanted(&["linux/amd64"]).made_from(list.digest(), &list));
    }

    #[test]
    fn annotations_are_kept_and_an_older_mark_is_written_anew() {
        let list = manifest(&content::hello_world());
        let annotated = String::from_utf8(list.bytes().to_vec()).unwrap().replacen(
            '{',
            r#"{"annotations":{"z": "1","regferry.rewritten-from":"old","a":"2"},"#,
            1,
        );
        let annotated = parse(&annotated);
        let platforms = wanted(&["linux/amd64"]);
        let text = String::from_utf8(smaller(&platforms, &annotated).bytes().to_vec()).unwrap();
        let mark = platforms.mark(annotated.digest());
        let expected = format!(r#"{{"annotations":{{"z":"1","regferry.rewritten-from":"{mark}","a":"2"}},"#);
        assert!(text.starts_with(&expected), "{text}");
    }

    #[test]
    fn annotations_that_are_none_are_refused_and_never_believed() {
        let list = manifest(&content::hello_world());
        let broken = String::from_utf8(list.bytes().to_vec()).unwrap().replacen('{', r#"{"annotations":[1],"#, 1);
        let broken = parse(&broken);
        assert!(wanted(&["linux/amd64"]).smaller(&broken, &HashMap::new()).is_err());
        assert!(!wanted(&["linux/amd64"]).made_from(list.digest(), &broken));
    }
}
