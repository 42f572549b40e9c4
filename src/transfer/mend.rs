//! Bringing anew what a target has lost of an image.

use std::collections::HashSet;

use super::damage::{Damage, Fault};
use super::knowledge::Flight;
use super::original::{Original, Wanted};
use super::platforms::Platforms;
use super::route::Route;
use super::shape::Shape;
use super::verify::{Checked, Depth};
use crate::content::{Cause, Error, Pull, Push};
use crate::oci::{Digest, TagOrDigest};

impl<S: Pull, T: Push> Route<'_, S, T> {
    /// Looks below an image that is in place, and mends what is damaged there. Returns whether something was.
    ///
    /// Several tags of one document do not do the same work twice, nor while one of them is being brought.
    pub(super) async fn repair(
        &self,
        original: &Original,
        shape: &Shape,
        to: &TagOrDigest,
        platforms: Option<&Platforms>,
        checked: &Checked,
    ) -> Result<bool, Error> {
        let alone = Flight::Image(self.target.location().clone(), shape.root.clone());
        let _alone = self.context.unless_stopped(self.context.knowledge.flight(alone)).await?;
        let damage = self.damage(shape, to, Depth::Shallow, checked).await?;
        if damage.is_empty() {
            return Ok(false);
        }
        if shape.as_written {
            return self.mend(original, (shape, to), &damage, checked).await.map(|()| true);
        }
        // A list that was made smaller is made again: the source does not have it.
        let digest = original.digest(self.source, Wanted::Digest).await?;
        let remade = self.context.unless_stopped(self.shape(&original.documents, &digest, platforms)).await??;
        self.mend(original, (&remade, to), &damage, checked).await.map(|()| true)
    }

    /// Sends the damaged parts, and puts every document that leads to them again, by digest: the tag points at the root
    /// and is not touched. Then looks whether it helped.
    ///
    /// # Errors
    /// If it did not: distribution does not replace a file that is there, whatever is in it.
    async fn mend(
        &self,
        original: &Original,
        (shape, to): (&Shape, &TagOrDigest),
        damage: &[Damage],
        checked: &Checked,
    ) -> Result<(), Error> {
        let location = self.target.location();
        // What another image of this run has sent already is not sent again.
        for part in damage.iter().filter(|part| checked.begin_mending(part.digest())) {
            self.context.knowledge.forget_part(location, part.digest(), part.fault != Fault::Absent);
        }
        let lost: HashSet<Digest> = damage.iter().flat_map(Damage::digests).cloned().collect();
        let plan = self.plan(&original.documents, shape, &lost).await?;
        self.publish(&plan, &TagOrDigest::Digest(shape.root.clone())).await?;

        checked.forget(&lost);
        let left = self.damage(shape, to, Depth::Shallow, checked).await?;
        if left.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = left.iter().map(|damage| format!("{damage} ({})", damage.digest())).collect();
        Err(Error::new(format!("mending {to} of {location}"), Cause::NotMended(left)).at(&location.host))
    }
}
