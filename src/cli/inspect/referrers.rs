//! `--referrers`: the tree of what refers to an image, and to what it lists.

use std::fmt::Write as _;

use serde::Serialize;

use crate::content::{Error, Location};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Size, TagOrDigest};
use crate::transfer::{Referrer, Store, referrers_of};

/// The shape of `--referrers --output json`. Fields are added, never renamed.
#[derive(Serialize)]
pub(super) struct Tree {
    reference: Reference,
    #[serde(flatten)]
    descriptor: Descriptor,
    referrers: Vec<Referrer>,
    manifests: Vec<Self>,
}

pub(super) async fn tree(store: &Store, reference: &Reference, root: &Manifest) -> Result<Tree, Error> {
    let mut found = find(store, root).await?.into_iter();
    let (_, referrers) = found.next().unwrap_or((None, Vec::new()));
    let below = found.filter(|(_, referrers)| !referrers.is_empty());
    let location = Location::from(reference);
    let manifests = below.filter_map(|(child, referrers)| {
        let descriptor = child?;
        let reference = location.reference(&TagOrDigest::Digest(descriptor.digest.clone()));
        Some(Tree { reference, descriptor, referrers, manifests: Vec::new() })
    });
    let descriptor = Descriptor { annotations: None, artifact_type: None, ..root.as_referrer() };
    Ok(Tree { reference: reference.clone(), descriptor, manifests: manifests.collect(), referrers })
}

pub(super) async fn text(store: &Store, root: &Manifest) -> Result<String, Error> {
    let mut text = String::from("\nReferrers:\n");
    let mut are_any = false;
    for (child, referrers) in find(store, root).await? {
        if referrers.is_empty() {
            continue;
        }
        are_any = true;
        let name = match child.as_ref().and_then(|child| child.platform.as_ref()) {
            Some(platform) => format!("{platform}  "),
            None => String::new(),
        };
        let _ = writeln!(text, "{name}{}", child.as_ref().map_or(root.digest(), |child| &child.digest));
        branches(&mut text, &referrers, "");
    }
    if !are_any {
        text.push_str("none\n");
    }
    Ok(text)
}

/// What refers to the image itself, and then to each document that it lists.
async fn find(store: &Store, root: &Manifest) -> Result<Vec<(Option<Descriptor>, Vec<Referrer>)>, Error> {
    let subjects: Vec<Option<Descriptor>> = std::iter::once(None).chain(root.children().cloned().map(Some)).collect();
    let digest = |subject: &Option<Descriptor>| subject.as_ref().map_or(root.digest(), |d| &d.digest).clone();
    let digests: Vec<Digest> = subjects.iter().map(digest).collect();
    let found = referrers_of(store, &digests).await?;
    Ok(subjects.into_iter().zip(found).collect())
}

fn branches(text: &mut String, referrers: &[Referrer], before: &str) {
    for (number, referrer) in referrers.iter().enumerate() {
        let is_last = number + 1 == referrers.len();
        let Referrer { tag, descriptor, referrers } = referrer;
        let kind = descriptor.artifact_type.as_deref().unwrap_or(&descriptor.media_type);
        let tag = tag.as_ref().map(|tag| format!("  as {tag}")).unwrap_or_default();
        let branch = if is_last { "└─" } else { "├─" };
        let _ = writeln!(text, "{before}{branch} {kind}  {}  {}{tag}", Size(descriptor.size), descriptor.digest);
        branches(text, referrers, &format!("{before}{}", if is_last { "   " } else { "│  " }));
    }
}
