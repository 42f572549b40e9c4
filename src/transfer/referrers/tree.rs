//! What refers to documents, what refers to that, and so on: to look at.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::super::abreast::side_by_side;
use super::listed::listed;
use super::{Hung, MOST};
use crate::content::{Cause, Error, Pull};
use crate::oci::{Descriptor, Digest, ManifestError, Subject, Tag, TagOrDigest};

/// Something that refers to a document, and what refers to it in turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Referrer {
    /// Cosign's tag, where that is what names the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The document itself.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What refers to it.
    pub referrers: Vec<Self>,
}

type Found = HashMap<Digest, Vec<(Option<Tag>, Descriptor)>>;

/// What refers to each of these documents, in their order. Costs one request a document at a registry with the referrers
/// API, the listing of tags, and a GET for each tag that has referrers. May be dropped at any time.
///
/// # Errors
/// If one cannot be asked for, or they are without number.
pub async fn referrers_of<S: Pull>(source: &S, subjects: &[Digest]) -> Result<Vec<Vec<Referrer>>, Error> {
    let hung = Hung::among(&source.tags().await?.unwrap_or_default());
    let (mut found, mut level) = (Found::new(), subjects.to_vec());
    while !level.is_empty() {
        let mut seen = HashSet::new();
        level.retain(|digest| !found.contains_key(digest) && seen.insert(digest.clone()));
        if found.len() + level.len() > MOST {
            let what = format!("looking for what refers to documents of {}", source.location());
            let reason = format!("more than {MOST} documents");
            return Err(Error::new(what, Cause::Document(ManifestError::Unknown { what: reason })));
        }
        let look = |subject: Digest| hanging_on(source, &hung, subject);
        let looked: Result<Vec<_>, Error> = side_by_side(level.drain(..).map(look)).await.into_iter().collect();
        for (subject, referrers) in looked? {
            level.extend(referrers.iter().map(|(_, descriptor)| descriptor.digest.clone()));
            found.insert(subject, referrers);
        }
    }
    Ok(subjects.iter().map(|subject| grown(&found, subject, &mut HashSet::new())).collect())
}

async fn hanging_on<S: Pull>(
    source: &S,
    hung: &Hung,
    subject: Digest,
) -> Result<(Digest, Vec<(Option<Tag>, Descriptor)>), Error> {
    let may_have = |tag: &Tag| hung.has(Subject::from(&subject), tag);
    let listed = listed(source, &subject, may_have).await?;
    let mut all: Vec<_> = listed.entries.into_iter().map(|entry| (None, entry)).collect();
    for tag in subject.cosign_tags().into_iter().filter(may_have) {
        if let Some(document) = source.manifest(&TagOrDigest::Tag(tag.clone())).await? {
            all.push((Some(tag), document.as_referrer()));
        }
    }
    Ok((subject, all))
}

/// The tree above a document. Each stands in it once: graphs may be dense, and have circles.
fn grown<'f>(found: &'f Found, subject: &Digest, seen: &mut HashSet<&'f Digest>) -> Vec<Referrer> {
    let Some((subject, referrers)) = found.get_key_value(subject) else { return Vec::new() };
    seen.insert(subject);
    let mut here = Vec::new();
    for (tag, descriptor) in referrers {
        if seen.insert(&descriptor.digest) {
            let referrers = grown(found, &descriptor.digest, seen);
            here.push(Referrer { tag: tag.clone(), descriptor: descriptor.clone(), referrers });
        }
    }
    here
}
