//! What holds for every archive that comes through a pipe.

use super::super::Layout;
use super::unpack;
use crate::content::Pull as _;
use crate::oci::TagOrDigest;

/// It is read to an end, with no more memory than it has bytes; and what is taken of it is what it is called.
pub fn archive(data: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        match unpack::<_, Layout>(data, None).await {
            Ok((parcel, received)) => {
                let bytes: u64 = received.iter().map(|received| received.blob.size).sum();
                assert!(bytes <= data.len() as u64, "{bytes} bytes came of {}", data.len());
                for tag in parcel.tags().await.ok().flatten().unwrap_or_default() {
                    if let Ok(Some(document)) = parcel.manifest(&TagOrDigest::Tag(tag)).await {
                        assert!(document.digest().matches(document.bytes()));
                    }
                }
            }
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tar::{EntryType, Header};

    /// An entry whose header is sound, whatever it says.
    fn entry() -> impl Strategy<Value = Vec<u8>> {
        let path = "(oci-layout|index.json|\\./|blobs/sha256/[0-9a-f]{64}|[a-z/.\\x00\\n]{0,20})";
        let kind = prop::sample::select(&b"001255567xgLKS"[..]);
        let size = prop_oneof![4 => 0u64..600, 1 => any::<u64>()];
        (path, kind, size, prop::collection::vec(any::<u8>(), 0..600)).prop_map(|(path, kind, size, content)| {
            let mut header = Header::new_gnu();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(EntryType::new(kind));
            header.set_size(size);
            header.set_cksum();
            let mut bytes = [header.as_bytes().as_slice(), &content].concat();
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            archive(&data);
        }

        #[test]
        fn what_is_almost_an_archive_keeps_it(entries in prop::collection::vec(entry(), 0..6)) {
            archive(&entries.concat());
        }
    }
}
