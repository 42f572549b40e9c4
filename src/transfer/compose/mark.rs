//! What a list that is kept composed says of what it was made of: so that it need not be made again to tell that it is up
//! to date.

use crate::oci::{Digest, Manifest};

/// The annotation of such a list: the digests that its sources pointed at, in their order.
const COMPOSED_FROM: &str = "regferry.composed-from";

/// The annotation for a list of these.
pub(super) fn mark(sources: &[Digest]) -> (&'static str, String) {
    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
    (COMPOSED_FROM, sources.join(" "))
}

/// Whether a list says that it was composed of these. Then no source's document has to be fetched, which costs a pull at
/// some registries.
pub(super) fn is_composed_of(list: &Manifest, sources: &[Digest]) -> bool {
    let said = list.annotations().and_then(|annotations| annotations.get(COMPOSED_FROM));
    said.is_some_and(|said| *said == mark(sources).1)
}

#[cfg(test)]
mod tests {
    use super::super::{Composition, Part};
    use super::*;

    #[test]
    fn a_marked_list_is_told_from_one_of_other_sources_and_keeps_its_type() {
        let [one, other] = [b"1", b"2"].map(|bytes| Digest::of(bytes));
        let text = format!(
            r#"{{"ref":"r.example/a:1","mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{one}","size":7,"platform":{{"os":"linux","architecture":"amd64"}}}}"#
        );
        let part: Part = serde_json::from_str(&text).unwrap();
        let composition = Composition { manifests: vec![part], ..Composition::default() };

        let list = composition.marked(mark(&[one.clone(), other.clone()])).unwrap();

        assert!(list.media_type().ends_with("manifest.list.v2+json"), "{}", list.media_type());
        assert!(is_composed_of(&list, &[one.clone(), other.clone()]));
        assert!(!is_composed_of(&list, &[other, one.clone()]) && !is_composed_of(&list, &[one]));
        assert!(!is_composed_of(&composition.list().unwrap(), &[]));
        insta::assert_snapshot!(list.digest(), @"sha256:61ded22caa94bed16a7a1e67a8e2c321404ab0c8308a00c0d4180f0a65ddae73");
    }
}
