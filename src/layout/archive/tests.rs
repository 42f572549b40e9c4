use std::sync::Arc;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::super::samples::{self, Sample, image, layout, list, put, read, tag, tagged};
use super::super::{Layout, Trust};
use super::{Archive, Parcel, Received, unpack};
use crate::content::{BlobFound, Error, Pull as _, Push as _};
use crate::oci::{Digest, Reference, TagOrDigest};

/// Writes what `with` does into an archive, as bytes.
async fn written(with: impl AsyncFnOnce(&Archive) -> Result<(), Error>) -> Vec<u8> {
    let (to, mut from) = tokio::io::duplex(64 << 10);
    let archive = Archive::new(to, Arc::new(()), &CancellationToken::new()).unwrap();
    let mut bytes = Vec::new();
    let write = async {
        with(&archive).await?;
        archive.finish().await?;
        drop(archive);
        Ok::<_, Error>(())
    };
    let (written, read) = tokio::join!(write, from.read_to_end(&mut bytes));
    written.unwrap();
    read.unwrap();
    bytes
}

async fn put_into(archive: &Archive, image: &Sample, at: &TagOrDigest) -> Result<(), Error> {
    for (blob, bytes) in &image.blobs {
        if archive.find_blob(blob).await? == BlobFound::Whole {
            continue;
        }
        let mut entry = archive.open_upload(blob).await?;
        let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
        archive.upload(&mut entry, blob, 0, futures_util::stream::iter(pieces)).await?;
    }
    archive.put_manifest(&image.manifest, at).await.map(drop)
}

/// A list of two images under a tag.
async fn sample() -> (Digest, Vec<u8>) {
    let images = [image(1), image(2)];
    let list = list(&[images[0].manifest.clone(), images[1].manifest.clone()]);
    let bytes = written(async |archive| {
        for image in &images {
            put_into(archive, image, &TagOrDigest::Digest(image.manifest.digest().clone())).await?;
        }
        archive.put_manifest(&list, &tagged("v1")).await.map(drop)
    })
    .await;
    (list.digest().clone(), bytes)
}

async fn unpacked(bytes: &[u8]) -> Result<(Parcel, Vec<Received>), Error> {
    unpack::<_, Layout>(bytes, None).await
}

fn error(result: Result<(Parcel, Vec<Received>), Error>) -> String {
    result.map(drop).unwrap_err().to_string()
}

fn pipe() -> Reference {
    "oci:-".parse().unwrap()
}

/// The files of a tar, as another program reads them.
fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let file = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().entry_type(), EntryType::Regular);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    };
    archive.entries().unwrap().map(file).collect()
}

fn tarred<'f>(files: impl IntoIterator<Item = &'f (String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, &**bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn another_program_reads_what_is_written_and_it_is_the_same_every_time() {
    let (root, bytes) = sample().await;
    let files = files(&bytes);
    assert_eq!((files[0].0.as_str(), files.last().unwrap().0.as_str()), ("oci-layout", "index.json"));
    for (path, bytes) in &files[1..files.len() - 1] {
        assert_eq!(*path, format!("blobs/sha256/{}", Digest::of(bytes).hex()));
    }
    assert!(String::from_utf8_lossy(&files.last().unwrap().1).contains(&root.to_string()));
    assert_eq!(sample().await.1, bytes);
}

#[tokio::test]
async fn a_name_that_fits_no_header_is_written_and_read() {
    let text = b"of a long digest";
    let long: Digest = {
        let mut hasher = format!("sha512:{}", "0".repeat(128)).parse::<Digest>().unwrap().hasher();
        hasher.update(text);
        hasher.finish()
    };
    let blob = crate::oci::Descriptor { digest: long.clone(), ..samples::descriptor("text/plain", text) };
    let bytes = written(async |archive| {
        let mut entry = archive.open_upload(&blob).await?;
        let pieces = futures_util::stream::iter([Ok(bytes::Bytes::from_static(text))]);
        archive.upload(&mut entry, &blob, 0, pieces).await
    })
    .await;
    assert_eq!(files(&bytes)[1].0, format!("blobs/sha512/{}", long.hex()));
    let (_, received) = unpacked(&bytes).await.unwrap();
    assert_eq!(received[0].blob.digest, long);
}

#[tokio::test]
async fn blobs_go_to_the_target_as_they_come_and_documents_are_kept() {
    let (root, bytes) = sample().await;
    let dir = tempfile::tempdir().unwrap();
    let target = layout(dir.path(), Trust::Whole);
    let (parcel, received) = unpack(&*bytes, Some(&target)).await.unwrap();
    assert_eq!(received.iter().filter(|one| one.is_new).count(), 5);
    assert_eq!(parcel.tag(), Some(tag("v1")));
    assert_eq!(parcel.meant(&pipe()).await.unwrap(), TagOrDigest::Digest(root.clone()));
    for digest in [image(1).manifest.digest(), image(2).manifest.digest(), &root] {
        let at = TagOrDigest::Digest(digest.clone());
        let document = parcel.manifest(&at).await.unwrap().unwrap();
        target.put_manifest(&document, &if *digest == root { tagged("v1") } else { at }).await.unwrap();
    }
    assert_eq!(read(&layout(dir.path(), Trust::Listed), &tagged("v1")).await.unwrap(), Some(root));
    let again = unpack(&*bytes, Some(&target)).await.unwrap().1;
    assert!(again.iter().all(|one| !one.is_new));
}

#[tokio::test]
async fn a_blob_of_which_a_part_is_written_goes_on_and_nothing_else_comes_between() {
    let sample = image(1);
    let (blob, bytes) = &sample.blobs[2];
    let whole = written(async |archive| put_into(archive, &sample, &tagged("v1")).await).await;
    let broken = written(async |archive| {
        for (blob, bytes) in &sample.blobs[..2] {
            let mut entry = archive.open_upload(blob).await?;
            archive.upload(&mut entry, blob, 0, futures_util::stream::iter([Ok(bytes.clone())])).await?;
        }
        let mut entry = archive.open_upload(blob).await?;
        let cut = Error::new("fetching", crate::content::Cause::Broken("cut".to_owned()));
        let pieces = futures_util::stream::iter([Ok(bytes.slice(..3000)), Err(cut)]);
        assert!(archive.upload(&mut entry, blob, 0, pieces).await.is_err());
        let between = archive.put_manifest(&sample.manifest, &tagged("v1")).await.unwrap_err();
        assert!(between.to_string().contains("cannot be taken back"), "{between}");
        assert_eq!(archive.kept(&mut entry, blob).await, Some(3000));
        archive.upload(&mut entry, blob, 3000, futures_util::stream::iter([Ok(bytes.slice(3000..))])).await?;
        archive.put_manifest(&sample.manifest, &tagged("v1")).await.map(drop)
    })
    .await;
    assert_eq!(broken, whole);
}

#[tokio::test]
async fn what_is_no_plain_file_of_a_layout_is_refused() {
    let (_, bytes) = sample().await;
    let files = files(&bytes);
    let with = |edit: &dyn Fn(&mut Header), path: &str, content: &[u8]| {
        let mut builder = Builder::new(tarred(&files[..2]));
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        edit(&mut header);
        header.set_cksum();
        // Before the end that the first part has.
        let end = builder.get_ref().len() - 1024;
        builder.get_mut().truncate(end);
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    };
    let kind = |kind: EntryType| move |header: &mut Header| header.set_entry_type(kind);
    let blob = files[1].0.as_str();
    for (tar, says) in [
        (with(&kind(EntryType::Symlink), blob, b""), "a link"),
        (with(&kind(EntryType::Link), "index.json", b""), "a link"),
        (with(&kind(EntryType::Fifo), blob, b""), "a pipe or a device"),
        (with(&kind(EntryType::Block), blob, b""), "a pipe or a device"),
        (with(&kind(EntryType::GNUSparse), blob, b""), "a sparse file"),
        (with(&|_| {}, "/etc/passwd", b""), "is absolute"),
        (with(&|_| {}, "blobs/../../etc/passwd", b""), "leads out of the layout"),
        (with(&|_| {}, "blobs/sha256/passwd", b""), "64 lower-case hex digits"),
        (with(&|_| {}, "blobs/md5/00", b""), "invalid digest"),
        (with(&|_| {}, blob, b"other bytes"), "hash to"),
        (with(&kind(EntryType::XHeader), "x", b"30 GNU.sparse.major=1\n"), "cannot be read"),
        (with(&kind(EntryType::XHeader), "x", &vec![b'1'; 70_000]), "longer than"),
        (with(&kind(EntryType::GNULongName), "x", &vec![b'a'; 70_000]), "longer than"),
        (with(&|_| {}, "index.json", &vec![b' '; (4 << 20) + 1]), "larger than"),
        (with(&|_| {}, "index.json", b"[]"), "no image index"),
        (tarred(&files[..files.len() - 1]), "has no oci-layout and index.json"),
        (tarred(&files[1..]), "has no oci-layout and index.json"),
        (tarred(files.iter().chain(files.last())), "two files index.json"),
        (b"HTTP/1.1 200 OK".repeat(100), "no tar"),
        (bytes[..bytes.len() - 1300].to_vec(), "ends in the middle"),
        (bytes[..1500].to_vec(), "ends in the middle"),
        (Vec::new(), "no image layout"),
    ] {
        let error = error(unpacked(&tar).await);
        assert!(error.contains(says), "{says:?} is not said: {error}");
    }
}

#[tokio::test]
async fn a_large_blob_is_streamed_and_a_wrong_one_gets_no_name() {
    let right = vec![7u8; 5 << 20];
    let mut wrong = right.clone();
    wrong[5_000_000] ^= 1;
    let path = format!("blobs/sha256/{}", Digest::of(&right).hex());
    let dir = tempfile::tempdir().unwrap();
    let target = layout(dir.path(), Trust::Whole);
    let tar = |bytes: &[u8]| tarred([&(path.clone(), bytes.to_vec())]);
    let refused = unpack(&*tar(&wrong), Some(&target)).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("hash to"), "{refused}");
    assert_eq!(target.find_blob(&samples::descriptor("", &right)).await.unwrap(), BlobFound::Absent);
    let _ = unpack(&*tar(&right), Some(&target)).await.map(drop).unwrap_err();
    assert_eq!(target.find_blob(&samples::descriptor("", &right)).await.unwrap(), BlobFound::Whole);
}

#[tokio::test]
async fn what_other_tools_write_beside_a_layout_is_passed_over() {
    let (root, bytes) = sample().await;
    let mut files = files(&bytes);
    files.push(("manifest.json".to_owned(), b"[]".to_vec()));
    let dir = tempfile::tempdir().unwrap();
    put(&layout(dir.path(), Trust::Whole), &image(1), &tagged("v1")).await.unwrap();
    let mut builder = Builder::new(Vec::new());
    builder.append_dir_all(".", dir.path()).unwrap();
    let of_directory = builder.into_inner().unwrap();
    for (tar, digest) in [(tarred(&files), &root), (of_directory, image(1).manifest.digest())] {
        let (parcel, _) = unpacked(&tar).await.unwrap();
        assert_eq!(parcel.meant(&pipe()).await.unwrap(), TagOrDigest::Digest(digest.clone()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_the_entries_does_not_matter(order in Just((0..10).collect::<Vec<usize>>()).prop_shuffle()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (root, bytes) = sample().await;
            let files = files(&bytes);
            assert_eq!(files.len(), order.len());
            let (parcel, received) = unpacked(&tarred(order.iter().map(|index| &files[*index]))).await.unwrap();
            assert_eq!(received.len(), 5);
            assert_eq!(parcel.meant(&pipe()).await.unwrap(), TagOrDigest::Digest(root));
        });
    }

    #[test]
    fn a_damaged_archive_is_refused_or_means_the_same(at in any::<prop::sample::Index>(), with in 1u8..) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (root, mut bytes) = sample().await;
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            if let Ok((parcel, _)) = unpacked(&bytes).await
                && let Some(document) = parcel.manifest(&TagOrDigest::Digest(root.clone())).await.unwrap()
            {
                assert_eq!(*document.digest(), root);
            }
        });
    }
}
