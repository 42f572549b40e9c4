//! Whatever is handed out or brought back reads as it was written.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::{AtTarget, Brought, Document, Hangs, Sight, Sighting, Task, TaskTarget};
use crate::content::Location;
use crate::events::{BlobCounts, ImageOutcome, ImageReport};
use crate::oci::{Digest, Manifest, Platform, Reference, Tag, TagOrDigest};
use crate::transfer::documents::Documents;
use crate::transfer::{Depth, Mode};

fn tag() -> impl Strategy<Value = Tag> {
    "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,40}".prop_map(|text| text.parse().unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    (any::<[u8; 8]>(), any::<bool>()).prop_map(|(bytes, is_long)| match is_long {
        true => format!("sha512:{}", format!("{:016x}", u64::from_le_bytes(bytes)).repeat(8)).parse().unwrap(),
        false => Digest::of(&bytes),
    })
}

fn name() -> impl Strategy<Value = TagOrDigest> {
    prop_oneof![tag().prop_map(TagOrDigest::Tag), digest().prop_map(TagOrDigest::Digest)]
}

fn location() -> impl Strategy<Value = Location> {
    let registry =
        "([a-z]{1,5}\\.example|localhost|\\[::1\\]|10\\.0\\.0\\.1)(:[1-9][0-9]{0,3})?/[a-z]{1,5}(/[a-z]{1,5}){0,2}";
    prop_oneof![registry, "docker\\.io/[a-z]{1,5}", "oci:/?[a-z0-9 ]{1,5}(/[a-z]{1,5})?"]
        .prop_map(|text| text.parse().unwrap())
}

/// As a report names it: with a tag or a digest. Docker Hub's repositories have a slash in them.
fn reference() -> impl Strategy<Value = Reference> {
    (location(), name()).prop_filter_map("no such repository", |(location, at)| {
        let is_short = location.host.is_docker_hub() && !location.repository.as_str().contains('/');
        (!is_short).then(|| location.reference(&at))
    })
}

fn platforms() -> impl Strategy<Value = Vec<Platform>> {
    const NAMES: [&str; 4] = ["linux/amd64", "linux/arm/v7", "windows(10.0.17763)/amd64", "linux/arm64"];
    prop::sample::subsequence(NAMES.as_slice(), 0..NAMES.len())
        .prop_map(|names| names.into_iter().map(|name| name.parse().unwrap()).collect())
}

fn image() -> impl Strategy<Value = ImageReport> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>());
    let blobs = counts.prop_map(|(copied, mounted, present)| BlobCounts { copied, mounted, present });
    let named = (reference(), reference(), prop::collection::vec(reference(), 0..3), option::of(digest()));
    let counted = (any::<u64>(), blobs, any::<u64>(), any::<u64>(), 0..1_000_000_000u64);
    let outcome = prop::sample::select(ImageOutcome::ALL.to_vec());
    let said = (outcome, option::of(".*"), prop::collection::vec(".*", 0..3), platforms());
    (named, counted, said).prop_map(|(named, counted, said)| {
        let ((source, target, sources, digest), (bytes, blobs, referrers, requests, elapsed)) = (named, counted);
        let ((outcome, error, differences, platforms), elapsed) = (said, Duration::from_millis(elapsed));
        ImageReport {
            source,
            sources,
            target,
            digest,
            platforms,
            outcome,
            bytes,
            blobs,
            referrers,
            requests,
            elapsed,
            error,
            differences,
        }
    })
}

fn brought() -> impl Strategy<Value = Brought> {
    let seen = (platforms(), platforms()).prop_map(|(has, lacks)| Sighting::Seen { has, lacks });
    let sighting = prop_oneof![Just(Sighting::Whole), Just(Sighting::Unknown), seen];
    let sight = option::of((any::<u64>(), any::<u64>()).prop_map(|(since, last)| Sight { since, last }));
    (image(), sighting, any::<bool>(), sight).prop_map(|(image, sighting, is_told, sight)| Brought {
        image,
        sighting,
        is_told,
        sight,
    })
}

fn target() -> impl Strategy<Value = TaskTarget> {
    let seen = option::of((digest(), any::<u64>()).prop_map(|(digest, last)| AtTarget { digest, last }));
    (location(), name(), any::<bool>(), any::<bool>(), seen, option::of(brought())).prop_map(
        |(location, to, is_absent, is_new, seen, brought)| TaskTarget {
            location,
            to,
            is_absent,
            is_new,
            seen,
            brought,
        },
    )
}

/// A document with any text in it.
fn manifest() -> impl Strategy<Value = Manifest> {
    any::<String>().prop_map(|text| {
        let json = serde_json::json!({ "schemaVersion": 2, "manifests": [], "annotations": { "text": text } });
        Manifest::parse(json.to_string().into(), Some(crate::oci::media_type::OCI_INDEX), None).unwrap()
    })
}

fn documents() -> impl Strategy<Value = Vec<Document>> {
    prop::collection::vec(manifest(), 0..3).prop_map(|manifests| {
        let documents = Documents::default();
        manifests.into_iter().for_each(|manifest| documents.keep(manifest));
        Document::of(&documents)
    })
}

fn task() -> impl Strategy<Value = Task> {
    let modes = vec![Mode::Execute, Mode::Follow, Mode::Repair, Mode::Plan, Mode::Verify(Depth::Deep)];
    let mode = prop::sample::select(modes);
    let hangs = prop::collection::vec(tag(), 0..3).prop_map(Hangs::Tags);
    let hangs = prop_oneof![hangs, Just(Hangs::Unlisted), Just(Hangs::Many)];
    let of_run = ("[^\n]*", digest(), mode, any::<u64>(), option::of(any::<u64>()));
    (of_run, location(), name(), hangs, prop::collection::vec(target(), 1..3), any::<u32>(), documents()).prop_map(
        |((rule, fingerprint, mode, begun, since), source, from, hangs, targets, copy, documents)| Task {
            rule: rule.into(),
            fingerprint,
            mode,
            begun,
            since,
            source,
            from,
            hangs,
            targets,
            copy,
            documents,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_task_reads_as_it_is_written(task in task()) {
        let json = serde_json::to_string(&task).unwrap();
        let read: Task = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.id(), task.id());
        prop_assert_eq!(read, task, "{}", json);
    }

    #[test]
    fn what_becomes_of_an_image_reads_as_it_is_written(brought in brought()) {
        let json = serde_json::to_string(&brought).unwrap();
        prop_assert_eq!(serde_json::from_str::<Brought>(&json).unwrap(), brought, "{}", json);
    }

    #[test]
    fn a_document_that_went_along_is_the_same_document(manifest in manifest()) {
        let (sent, taken) = (Documents::default(), Documents::default());
        sent.keep(manifest.clone());
        Document::of(&sent).iter().for_each(|document| document.keep_in(&taken));
        let taken = taken.known();
        prop_assert_eq!(taken.iter().map(Manifest::digest).collect::<Vec<_>>(), [manifest.digest()]);
        prop_assert_eq!(taken[0].bytes(), manifest.bytes());
    }

    #[test]
    fn whoever_is_told_that_a_task_failed_hears_of_each_of_its_targets(task in task()) {
        let failed = task.failed("it killed everybody who took it");
        prop_assert_eq!(failed.len(), task.targets.len());
        for (brought, target) in failed.iter().zip(&task.targets) {
            match &target.brought {
                Some(before) => prop_assert_eq!(brought, before),
                None => prop_assert_eq!((brought.image.outcome, brought.is_told), (ImageOutcome::Failed, false)),
            }
        }
    }
}
