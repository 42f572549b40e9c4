//! `--referrers`: the tree of what refers to an image, and to what it lists.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::table::on_one_line;
use crate::content::{Error, Location};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Size, TagOrDigest};
use crate::transfer::{LeftOut, Referrer, ReferrerTrees, Store, referrers_of};

/// The shape of `--referrers --output json`. Fields are added, never renamed.
#[derive(Serialize)]
pub(super) struct Tree {
    reference: Reference,
    #[serde(flatten)]
    descriptor: Descriptor,
    referrers: Vec<Referrer>,
    manifests: Vec<Self>,
    /// Why there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

/// What refers to the image itself, and to each document that it lists.
struct Found {
    trees: Vec<(Option<Descriptor>, Vec<Referrer>)>,
    left_out: Option<LeftOut>,
}

pub(super) async fn tree(store: &Store, reference: &Reference, root: &Manifest) -> Result<Tree, Error> {
    let Found { trees, left_out } = find(store, root).await?;
    let mut found = trees.into_iter();
    let (_, referrers) = found.next().unwrap_or((None, Vec::new()));
    let below = found.filter(|(_, referrers)| !referrers.is_empty());
    let location = Location::from(reference);
    let manifests = below.filter_map(|(child, referrers)| {
        let descriptor = child?;
        let reference = location.reference(&TagOrDigest::Digest(descriptor.digest.clone()));
        Some(Tree { reference, descriptor, referrers, manifests: Vec::new(), incomplete: None })
    });
    let descriptor = Descriptor { annotations: None, artifact_type: None, ..root.as_referrer() };
    let incomplete = left_out.map(|reason| reason.to_string());
    Ok(Tree { reference: reference.clone(), descriptor, manifests: manifests.collect(), referrers, incomplete })
}

pub(super) async fn text(store: &Store, root: &Manifest) -> Result<String, Error> {
    let mut text = String::from("\nReferrers:\n");
    let mut are_any = false;
    let Found { trees, left_out } = find(store, root).await?;
    for (child, referrers) in trees {
        if referrers.is_empty() {
            continue;
        }
        are_any = true;
        let name = match child.as_ref().and_then(|child| child.platform.as_ref()) {
            Some(platform) => on_one_line(&format!("{platform}  ")),
            None => String::new(),
        };
        let _ = writeln!(text, "{name}{}", child.as_ref().map_or(root.digest(), |child| &child.digest));
        branches(&mut text, &referrers, "");
    }
    if !are_any {
        text.push_str("none\n");
    }
    if let Some(reason) = left_out {
        let _ = writeln!(text, "and more, left out here: {reason}");
    }
    Ok(text)
}

async fn find(store: &Store, root: &Manifest) -> Result<Found, Error> {
    let subjects: Vec<Option<Descriptor>> = std::iter::once(None).chain(root.children().cloned().map(Some)).collect();
    let digest = |subject: &Option<Descriptor>| subject.as_ref().map_or(root.digest(), |d| &d.digest).clone();
    let digests: Vec<Digest> = subjects.iter().map(digest).collect();
    let ReferrerTrees { trees, left_out } = referrers_of(store, &digests).await?;
    Ok(Found { trees: subjects.into_iter().zip(trees).collect(), left_out })
}

fn branches(text: &mut String, referrers: &[Referrer], before: &str) {
    for (number, referrer) in referrers.iter().enumerate() {
        let is_last = number + 1 == referrers.len();
        let Referrer { tag, descriptor, referrers } = referrer;
        let kind = on_one_line(descriptor.artifact_type.as_deref().unwrap_or(&descriptor.media_type));
        let tag = tag.as_ref().map(|tag| format!("  as {tag}")).unwrap_or_default();
        let branch = if is_last { "└─" } else { "├─" };
        let _ = writeln!(text, "{before}{branch} {kind}  {}  {}{tag}", Size(descriptor.size), descriptor.digest);
        branches(text, referrers, &format!("{before}{}", if is_last { "   " } else { "│  " }));
    }
}
