//! Cut after any step of its writer, a layout can be read, and what it lists is whole.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::disk::faults::Step;
use super::samples::{Sample, image, layout, list, put, read, tag, tagged};
use super::{Layout, Trust};
use crate::content::{Cause, Deleted, Error, Pull as _, Push as _};
use crate::oci::{Digest, TagOrDigest};

/// Something that a writer does.
#[derive(Debug, Clone)]
enum Act {
    Tag(u8, String),
    KeepUntagged(u8),
    /// A list of this image and the next one.
    TagList(u8, String),
    DeleteTag(String),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = || prop::sample::select(vec!["v1", "v2"]).prop_map(str::to_owned);
    let act = prop_oneof![
        3 => (0..4u8, name()).prop_map(|(image, name)| Act::Tag(image, name)),
        1 => (0..4u8).prop_map(Act::KeepUntagged),
        1 => (0..4u8, name()).prop_map(|(image, name)| Act::TagList(image, name)),
        1 => name().prop_map(Act::DeleteTag),
    ];
    prop::collection::vec(act, 1..5)
}

/// The tags and what they point at.
type Tags = BTreeMap<String, Digest>;

async fn act(layout: &Layout, act: &Act) -> Result<(), Error> {
    let by_digest = |image: &Sample| TagOrDigest::Digest(image.manifest.digest().clone());
    match act {
        Act::Tag(number, name) => put(layout, &image(*number), &tagged(name)).await,
        Act::KeepUntagged(number) => {
            let image = image(*number);
            put(layout, &image, &by_digest(&image)).await?;
            layout.keep_untagged(image.manifest.digest()).await
        }
        Act::TagList(number, name) => {
            let images = [image(*number), image(number + 1)];
            for image in &images {
                put(layout, image, &by_digest(image)).await?;
            }
            layout.put_manifest(&list(&images.map(|image| image.manifest)), &tagged(name)).await.map(drop)
        }
        Act::DeleteTag(name) => layout.delete_tag(&tag(name)).await.map(drop),
    }
}

/// What an act makes of the tags.
fn model(tags: &mut Tags, act: &Act) {
    match act {
        Act::Tag(number, name) => drop(tags.insert(name.clone(), image(*number).manifest.digest().clone())),
        Act::TagList(number, name) => {
            let list = list(&[image(*number).manifest, image(number + 1).manifest]);
            tags.insert(name.clone(), list.digest().clone());
        }
        Act::DeleteTag(name) => drop(tags.remove(name)),
        Act::KeepUntagged(_) => {}
    }
}

/// The tags that a reader finds, each of them read down to the last byte; and so is what is listed without a tag.
async fn found(dir: &Path) -> Tags {
    let layout = layout(dir, Trust::Listed);
    let mut found = Tags::new();
    for tag in layout.tags().await.unwrap().unwrap_or_default() {
        let digest = read(&layout, &TagOrDigest::Tag(tag.clone())).await.unwrap();
        found.insert(tag.to_string(), digest.unwrap());
    }
    if let Some(listing) = layout.folder.listing().unwrap() {
        for image in listing.images() {
            assert!(layout.folder.is_whole(&image.digest).unwrap(), "{} is listed and not whole", image.digest);
        }
    }
    found
}

fn leftovers(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".regferry-")).count()
}

/// Cuts a writer after so many steps. Returns whether it was cut at all.
async fn cut_after(steps: u64, acts: &[Act], kind: io::ErrorKind) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("images");
    let writer = layout(&at, Trust::Whole);
    writer.folder.disk.faults.after(steps, kind);
    let (mut before, mut cut) = (Tags::new(), None);
    for one in acts {
        if let Err(error) = act(&writer, one).await {
            assert!(matches!(error.cause(), Cause::Layout(_)), "{error}");
            cut = Some(one);
            break;
        }
        model(&mut before, one);
    }
    drop(writer);
    let now = found(&at).await;
    let Some(cut) = cut else {
        assert_eq!(now, before);
        return false;
    };
    let mut after = before.clone();
    model(&mut after, cut);
    assert!(now == before || now == after, "{now:?} came of cutting {cut:?} short");

    // Whoever writes next goes on, and clears away what is left.
    let next = layout(&at, Trust::Whole);
    put(&next, &image(9), &tagged("next")).await.unwrap();
    assert_eq!((leftovers(&at), found(&at).await.len()), (0, now.len() + 1));
    true
}

#[tokio::test]
async fn cut_after_any_step_a_layout_is_readable_and_what_is_listed_is_whole() {
    let acts = [
        Act::Tag(1, "v1".into()),
        Act::TagList(1, "v2".into()),
        Act::Tag(2, "v1".into()),
        Act::KeepUntagged(3),
        Act::DeleteTag("v2".into()),
    ];
    let mut steps = 0;
    while cut_after(steps, &acts, io::ErrorKind::Other).await {
        steps += 1;
    }
    assert!(steps > 60, "the writer did {steps} steps");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn so_it_is_whatever_is_written(acts in acts(), steps in 0..150u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(cut_after(steps, &acts, io::ErrorKind::Other));
    }
}

#[tokio::test]
async fn without_room_it_says_so_and_leaves_the_layout_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(1), &tagged("v1")).await.unwrap();
    writer.folder.disk.faults.after(1, io::ErrorKind::StorageFull);
    let error = put(&writer, &image(2), &tagged("v1")).await.unwrap_err();
    assert!(error.to_string().contains("make room there"), "{error}");
    writer.folder.disk.faults.mend();
    assert_eq!(found(dir.path()).await, Tags::from([("v1".into(), image(1).manifest.digest().clone())]));
    put(&writer, &image(2), &tagged("v1")).await.unwrap();
    assert_eq!(leftovers(dir.path()), 0);
}

/// What a loss of power takes is what was not synced: a file's bytes before it has its name, the names of blobs before
/// they are listed.
#[tokio::test]
async fn what_is_listed_is_on_the_disk_before_it_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(1), &tagged("v1")).await.unwrap();
    put(&writer, &image(2), &tagged("v1")).await.unwrap();

    let (mut synced, mut unsynced_names, mut lists) = (Vec::new(), Vec::new(), 0);
    for step in writer.folder.disk.faults.steps() {
        match step {
            Step::Synced(file) => synced.push(file),
            Step::SyncedFolder(folder) => {
                unsynced_names.retain(|name: &std::path::PathBuf| name.parent() != Some(&*folder));
            }
            Step::Renamed(from, to) => {
                assert!(synced.contains(&from), "{} got its name before its bytes were on the disk", to.display());
                if to.ends_with("index.json") {
                    lists += 1;
                    assert!(unsynced_names.iter().all(|name| !name.starts_with(dir.path().join("blobs"))));
                } else {
                    unsynced_names.push(to);
                }
            }
        }
    }
    assert_eq!(lists, 3, "an empty one, and one for each image");
}

#[tokio::test]
async fn writers_side_by_side_lose_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let write = |number: u8| {
        let writer = layout(dir.path(), Trust::Whole);
        async move { put(&writer, &image(number), &tagged(&format!("v{number}"))).await }
    };
    let written = futures_util::future::join_all((0..20).map(write)).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    let found = found(dir.path()).await;
    assert!((0..20).all(|number| found[&format!("v{number}")] == *image(number).manifest.digest()));
    assert_eq!(leftovers(dir.path()), 0);
}

#[tokio::test]
async fn who_holds_the_lock_is_waited_for_and_a_stop_ends_that() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(1), &tagged("v1")).await.unwrap();
    let lock = writer.folder.try_lock().unwrap().unwrap();
    let cancel = CancellationToken::new();
    let stopped = writer.on_behalf_of(&cancel);
    let stopped = tokio::spawn(async move { put(&stopped, &image(2), &tagged("v1")).await });
    let waiting = writer.clone();
    let waiting = tokio::spawn(async move { put(&waiting, &image(3), &tagged("v1")).await });
    cancel.cancel();
    assert!(stopped.await.unwrap().unwrap_err().is_cancelled());
    let v1 = |of: u8| Tags::from([("v1".to_owned(), image(of).manifest.digest().clone())]);
    assert_eq!(found(dir.path()).await, v1(1), "reading needs no lock");
    drop(lock);
    waiting.await.unwrap().unwrap();
    assert_eq!(found(dir.path()).await, v1(3));
}

#[tokio::test]
async fn what_another_is_writing_is_not_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let (slow, quick) = (layout(dir.path(), Trust::Whole), layout(dir.path(), Trust::Whole));
    let blob = image(1).blobs[2].clone();
    let mut upload = slow.open_upload(&blob.0).await.unwrap();
    put(&quick, &image(2), &tagged("v2")).await.unwrap();
    assert_eq!(leftovers(dir.path()), 1);
    let bytes = futures_util::stream::iter([Ok(blob.1)]);
    slow.upload(&mut upload, &blob.0, 0, bytes).await.unwrap();
    put(&slow, &image(1), &tagged("v1")).await.unwrap();
    assert_eq!((leftovers(dir.path()), found(dir.path()).await.len()), (0, 2));
}

#[tokio::test]
async fn a_tag_is_deleted_once_and_its_image_stays_under_its_others() {
    let dir = tempfile::tempdir().unwrap();
    let writer = layout(dir.path(), Trust::Whole);
    put(&writer, &image(1), &tagged("v1")).await.unwrap();
    put(&writer, &image(1), &tagged("v2")).await.unwrap();
    assert_eq!(writer.delete_tag(&tag("v1")).await.unwrap(), Deleted::Done);
    assert_eq!(writer.delete_tag(&tag("v1")).await.unwrap(), Deleted::Gone);
    assert_eq!(found(dir.path()).await.into_keys().collect::<Vec<_>>(), ["v2"]);
    assert_eq!(writer.delete_manifest(image(1).manifest.digest()).await.unwrap(), Deleted::Done);
    assert!(found(dir.path()).await.is_empty());
}
