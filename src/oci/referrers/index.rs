//! The index under a subject's tag, which whoever pushes a referrer writes where the registry does not.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::{Content, Descriptor, Digest, Manifest, ManifestError, media_type};

/// The index that is to stand under the subject's tag once `referrer` is in place; `None` if the one that stands there
/// lists it already. All that is there is kept as it is written, and the same bytes come of the same parts.
/// Source: distribution spec, "Pushing Manifests with Subject", for registries without the referrers API.
///
/// # Errors
/// If something else than an OCI index stands there, or the index would be too large.
pub fn referrers_index(existing: Option<&Manifest>, referrer: &Descriptor) -> Result<Option<Manifest>, ManifestError> {
    let mut fields = match existing {
        Some(index) if listed(index)?.iter().any(|entry| entry.digest == referrer.digest) => return Ok(None),
        Some(index) => fields_of(index)?,
        None => empty()?,
    };
    let mut entries = entries(&fields)?;
    entries.push(to_raw_value(referrer).map_err(unreadable)?);
    with_entries(&mut fields, &entries).map(Some)
}

/// The index that is to stand under the subject's tag once these documents are gone; `None` if the one that stands there
/// lists none of them. All else is kept as it is written.
/// Source: distribution spec, "Deleting Manifests", for registries without the referrers API.
///
/// # Errors
/// If something else than an OCI index stands there.
pub fn referrers_index_without(
    existing: &Manifest,
    are_gone: impl Fn(&Digest) -> bool,
) -> Result<Option<Manifest>, ManifestError> {
    let listed = listed(existing)?;
    if !listed.iter().any(|entry| are_gone(&entry.digest)) {
        return Ok(None);
    }
    let mut fields = fields_of(existing)?;
    let mut entries = entries(&fields)?;
    let mut stay = listed.iter().map(|entry| !are_gone(&entry.digest));
    entries.retain(|_| stay.next().unwrap_or(true));
    with_entries(&mut fields, &entries).map(Some)
}

fn listed(index: &Manifest) -> Result<&[Descriptor], ManifestError> {
    match index.content() {
        Content::Index(listed) if index.media_type() == media_type::OCI_INDEX => Ok(&listed.manifests),
        _ => Err(ManifestError::NoReferrers),
    }
}

type Fields = BTreeMap<String, Box<RawValue>>;

fn fields_of(index: &Manifest) -> Result<Fields, ManifestError> {
    serde_json::from_slice(index.bytes()).map_err(unreadable)
}

fn entries(fields: &Fields) -> Result<Vec<Box<RawValue>>, ManifestError> {
    match fields.get("manifests") {
        Some(listed) => Ok(Option::deserialize(&**listed).map_err(unreadable)?.unwrap_or_default()),
        None => Ok(Vec::new()),
    }
}

fn with_entries(fields: &mut Fields, entries: &[Box<RawValue>]) -> Result<Manifest, ManifestError> {
    fields.insert("manifests".to_owned(), to_raw_value(entries).map_err(unreadable)?);
    let bytes = serde_json::to_vec(fields).map_err(unreadable)?;
    Manifest::parse(Bytes::from(bytes), Some(media_type::OCI_INDEX), None)
}

fn empty() -> Result<Fields, ManifestError> {
    let version = to_raw_value(&2).map_err(unreadable)?;
    let media_type = to_raw_value(media_type::OCI_INDEX).map_err(unreadable)?;
    Ok(Fields::from([("schemaVersion".to_owned(), version), ("mediaType".to_owned(), media_type)]))
}

fn unreadable(error: serde_json::Error) -> ManifestError {
    ManifestError::Json(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn referrer(of: &[u8]) -> Descriptor {
        let json = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"DIGEST","size":7,"artifactType":"text/x"}"#;
        serde_json::from_str(&json.replace("DIGEST", &Digest::of(of).to_string())).unwrap()
    }

    fn index(json: &str) -> Manifest {
        Manifest::parse(Bytes::copy_from_slice(json.as_bytes()), Some(media_type::OCI_INDEX), None).unwrap()
    }

    fn with(existing: Option<&Manifest>, of: &[u8]) -> Option<Manifest> {
        referrers_index(existing, &referrer(of)).unwrap()
    }

    #[test]
    fn the_first_referrer_makes_an_index() {
        let made = with(None, b"a").unwrap();
        let expected = format!(
            r#"{{"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":7,"artifactType":"text/x"}}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}}"#,
            Digest::of(b"a")
        );
        assert_eq!(str::from_utf8(made.bytes()).unwrap(), expected);
    }

    #[test]
    fn what_stands_there_is_kept_to_the_letter() {
        let entry = format!(r#"{{ "size":1, "x":[1e400,{{"b":1,"a":2}}],"digest":"{}"}}"#, Digest::of(b"a"));
        let existing = index(&format!(r#"{{"schemaVersion":2,"z":{{"k": 1e400}},"manifests":[{entry}]}}"#));
        let made = with(Some(&existing), b"b").unwrap();
        let text = str::from_utf8(made.bytes()).unwrap();
        assert!(text.contains(&entry) && text.contains(r#""z":{"k": 1e400}"#), "{text}");
        assert_eq!(made.children().count(), 1, "the other entry has no type");
    }

    #[test]
    fn null_is_an_empty_list_here_too() {
        let existing = index(r#"{"schemaVersion":2,"manifests":null}"#);
        assert_eq!(with(Some(&existing), b"a").unwrap().children().count(), 1);
        assert_eq!(with(Some(&index(r#"{"schemaVersion":2}"#)), b"a").unwrap().children().count(), 1);
    }

    #[test]
    fn what_is_no_oci_index_is_not_touched() {
        let list = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
        let list = Manifest::parse(list, Some(media_type::DOCKER_LIST), None).unwrap();
        assert_eq!(referrers_index(Some(&list), &referrer(b"a")), Err(ManifestError::NoReferrers));
        assert_eq!(referrers_index_without(&list, |_| true), Err(ManifestError::NoReferrers));
    }

    #[test]
    fn what_is_gone_is_left_out_and_the_rest_is_kept_to_the_letter() {
        let entry = format!(r#"{{ "size":1, "x":[1e400,{{"b":1,"a":2}}],"digest":"{}"}}"#, Digest::of(b"a"));
        let existing = index(&format!(r#"{{"schemaVersion":2,"z":{{"k": 1e400}},"manifests":[{entry}]}}"#));
        let longer = with(Some(&with(Some(&existing), b"b").unwrap()), b"c").unwrap();
        let shorter = referrers_index_without(&longer, |digest| *digest == Digest::of(b"b")).unwrap().unwrap();
        assert_eq!(shorter, with(Some(&existing), b"c").unwrap());
        assert_eq!(referrers_index_without(&shorter, |digest| *digest == Digest::of(b"b")), Ok(None));
        let empty = referrers_index_without(&shorter, |_| true).unwrap().unwrap();
        assert_eq!(empty.content(), &Content::Index(crate::oci::Index { manifests: Vec::new() }));
    }

    proptest! {
        #[test]
        fn each_is_listed_once_in_the_order_of_their_coming(names in prop::collection::vec("[a-e]", 1..12)) {
            let mut made: Option<Manifest> = None;
            let mut distinct: Vec<Digest> = Vec::new();
            for name in &names {
                let digest = Digest::of(name.as_bytes());
                let added = with(made.as_ref(), name.as_bytes());
                prop_assert_eq!(added.is_none(), distinct.contains(&digest));
                if let Some(added) = added {
                    let again = with(made.as_ref(), name.as_bytes());
                    prop_assert_eq!(Some(&added), again.as_ref(), "the same bytes");
                    distinct.push(digest);
                    made = Some(added);
                }
            }
            let made = made.unwrap();
            prop_assert_eq!(made.children().map(|d| d.digest.clone()).collect::<Vec<_>>(), distinct);
        }
    }
}
