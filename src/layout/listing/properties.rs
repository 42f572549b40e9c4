//! What holds for every `index.json`.

use super::Listing;
use crate::oci::{Digest, Manifest, Tag, media_type};

/// Every tag that is told leads somewhere, or is refused; and whatever stands there, a tag is written, read and removed.
pub fn index(data: &[u8]) {
    let Ok(mut listing) = Listing::parse(data) else { return };
    let tags = listing.tags();
    for tag in &tags {
        assert_ne!(listing.tagged(tag), Ok(None), "{tag} leads nowhere");
    }
    assert_eq!(Listing::parse(&listing.to_bytes()).map(|again| again.tags()), Ok(tags.clone()));

    let Ok(manifest) = Manifest::parse(br#"{"manifests":[]}"#[..].into(), Some(media_type::OCI_INDEX), None) else {
        return;
    };
    let tag = tags.first().cloned().unwrap_or_else(Tag::latest);
    let digest_of = |listing: &Listing, tag: &Tag| -> Result<Option<Digest>, String> {
        Ok(listing.tagged(tag)?.map(|image| image.digest))
    };
    listing.list(&manifest, Some(&tag));
    assert_eq!(digest_of(&listing, &tag), Ok(Some(manifest.digest().clone())));
    assert!(!listing.list(&manifest, Some(&tag)) && !listing.list(&manifest, None), "it is listed already");
    assert!(listing.remove_tag(&tag));
    assert_eq!(digest_of(&listing, &tag), Ok(None));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            index(&data);
        }

        #[test]
        fn what_is_almost_an_index_keeps_it(images in prop::collection::vec((
            prop_oneof![Just("null".to_owned()), "\"[a-z./:0-9]{0,12}\"".prop_map(|name| name), Just("1".to_owned())],
            "(sha256:[0-9]{64}|[a-z:]{0,8})",
            "-?[0-9]{0,3}",
            "(org.opencontainers.image.ref.name|io.containerd.image.name)",
        ), 0..6)) {
            let image = |(name, digest, size, key): &(String, String, String, String)| {
                format!(r#"{{"digest":"{digest}","size":{},"annotations":{{"{key}":{name}}}}}"#, size.parse().unwrap_or(0))
            };
            let images: Vec<String> = images.iter().map(image).collect();
            index(format!(r#"{{"manifests":[{}]}}"#, images.join(",")).as_bytes());
        }
    }
}
