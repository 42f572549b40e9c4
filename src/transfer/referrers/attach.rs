//! Bringing what refers to an image.

use std::collections::{HashMap, HashSet};

use super::super::documents::Documents;
use super::super::knowledge::Flight;
use super::super::route::Route;
use super::super::shape::Shape;
use super::{Hanging, put_index};
use crate::content::{Cause, Error, Pull, Push, Put};
use crate::oci::{Descriptor, Digest, Manifest, TagOrDigest, referrers_index};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Brings them one after the other, in the order in which they were found.
    pub(in super::super) async fn attach(&self, documents: &Documents, hanging: Vec<Hanging>) -> Result<(), Error> {
        let mut unlisted: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
        for one in hanging {
            match one {
                Hanging::Tagged { tag, digest } => {
                    match self.bring(documents, &Shape::whole(digest), &TagOrDigest::Tag(tag)).await {
                        Err(error) if matches!(error.cause(), Cause::TagTaken(_)) => {}
                        brought => drop(brought?),
                    }
                }
                Hanging::Listed { subject, descriptor, is_listed_by_target } => {
                    let at = TagOrDigest::Digest(descriptor.digest.clone());
                    let put = self.bring(documents, &Shape::whole(descriptor.digest.clone()), &at).await?;
                    let is_noted = put.map_or(is_listed_by_target, |Put { subject }| subject.is_some());
                    if !is_noted {
                        unlisted.entry(subject).or_default().push(*descriptor);
                    }
                }
            }
        }
        for (subject, referrers) in unlisted {
            self.list_by_tag(&subject, &referrers).await?;
        }
        Ok(())
    }

    /// Lists referrers under their subject's tag, where the registry does not list them itself.
    /// Source: distribution spec, "Pushing Manifests with Subject".
    async fn list_by_tag(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), Error> {
        let location = self.target.location();
        let alone = self.context.knowledge.flight(Flight::Referrers(location.clone(), subject.clone()));
        let _alone = self.context.unless_stopped(alone).await?;
        let at = TagOrDigest::Tag(subject.referrers_tag());
        let mut index = self.context.unless_stopped(self.target.manifest(&at)).await??;
        let mut is_new = false;
        for referrer in referrers {
            let longer = referrers_index(index.as_ref(), referrer).map_err(|error| {
                Error::new(format!("listing what refers to {subject} under {at} of {location}"), Cause::Document(error))
            })?;
            is_new |= longer.is_some();
            index = longer.or(index);
        }
        let Some(index) = index.filter(|_| is_new) else { return Ok(()) };
        let attached: HashSet<Digest> = referrers.iter().map(|referrer| referrer.digest.clone()).collect();
        let at = &at;
        let put = |index: Manifest| async move { self.put(&index, at).await };
        put_index(self.target, index, &attached, put).await.map(drop)
    }
}
