//! What holds for every document that a registry may send.

use bytes::Bytes;

use super::{MAX_MANIFEST_SIZE, Manifest};
use crate::oci::media_type;

/// How registries may announce a document.
const CONTENT_TYPES: [Option<&str>; 4] =
    [None, Some("application/json; charset=utf-8"), Some(media_type::OCI_INDEX), Some(media_type::DOCKER_MANIFEST)];
/// No part is named in fewer bytes than its digest has.
const SHORTEST_PART: usize = "sha256:".len() + 64;
/// Errors are read by people, and stand in logs.
const LONGEST_ERROR: usize = 2500;

/// A manifest is its bytes, small, with no more parts than they can name; and the registry that it is put to reads it
/// as we do. What is none is refused in a few words.
pub fn manifest(data: &[u8]) {
    for content_type in CONTENT_TYPES {
        match Manifest::parse(Bytes::copy_from_slice(data), content_type, None) {
            Ok(manifest) => taken(&manifest, data),
            Err(error) => {
                let told = error.to_string();
                assert!(told.len() <= LONGEST_ERROR && !told.contains(char::is_control), "{told}");
            }
        }
    }
}

fn taken(manifest: &Manifest, data: &[u8]) {
    assert!(data.len() <= MAX_MANIFEST_SIZE);
    assert_eq!(manifest.bytes(), data);
    assert!(manifest.digest().matches(data));
    assert!(data.trim_ascii_start().starts_with(b"{"), "it is no JSON object");
    let parts = manifest.children().count() + manifest.blobs().count();
    assert!(parts * SHORTEST_PART <= data.len(), "{parts} parts in {} bytes", data.len());

    assert!(media_type::is_manifest(manifest.media_type()), "it is pushed as {}", manifest.media_type());
    let put = (manifest.bytes().clone(), manifest.media_type(), manifest.digest());
    assert_eq!(Manifest::parse(put.0, Some(put.1), Some(put.2)).as_ref(), Ok(manifest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A field's value: often the right one.
    fn value() -> impl Strategy<Value = String> {
        let part = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;
        let known = ["1", "2", "null", "\"x\"", "[]", "{}", "-1", "1e99", "18446744073709551616"].map(str::to_owned);
        let types = [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::OCI_ARTIFACT];
        let lists = [part.to_owned(), format!("[{part}]"), format!("[{part},{part}]")];
        let values = known.into_iter().chain(types.map(|t| format!("{t:?}"))).chain(lists);
        prop::sample::select(values.collect::<Vec<_>>())
    }

    fn field() -> impl Strategy<Value = String> {
        let names = vec!["schemaVersion", "mediaType", "config", "layers", "blobs", "manifests", "subject"];
        (prop::sample::select(names), value()).prop_map(|(name, value)| format!("\"{name}\":{value}"))
    }

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            manifest(&data);
        }

        #[test]
        fn what_is_almost_a_manifest_keeps_it(fields in prop::collection::vec(field(), 0..4), space in "[ \n]{0,2}") {
            manifest(format!("{space}{{{}}}{space}", fields.join(",")).as_bytes());
        }

        #[test]
        fn a_list_of_the_fields_values_keeps_it(values in prop::collection::vec(value(), 6)) {
            manifest(format!("[{}]", values.join(",")).as_bytes());
        }

        #[test]
        fn long_texts_keep_it(name in "mediaType|config|layers", length in 0usize..5000) {
            manifest(format!("{{\"{name}\":\"{}\"}}", "x".repeat(length)).as_bytes());
        }
    }
}
