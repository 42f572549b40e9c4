//! Whether all that goes into a list was built from one revision of the source code.

use std::collections::BTreeSet;

use super::read::REVISION;
use super::{Composer, Contents};
use crate::content::Error;
use crate::oci::Reference;

impl Composer<'_> {
    /// What is waited for until all sources name one revision; `None` if they do.
    ///
    /// A list that names none itself has those of its images, which are read.
    pub(super) async fn awaited_revision(
        &self,
        sources: &[&Reference],
        contents: &[Contents],
    ) -> Result<Option<String>, Error> {
        let mut named: Vec<(&Reference, String)> = Vec::new();
        for (source, contents) in sources.iter().zip(contents) {
            let revisions = self.revisions(contents).await?;
            let mut revisions = revisions.into_iter();
            match (revisions.next().flatten(), revisions.next()) {
                (Some(revision), None) => named.push((source, revision)),
                (None, None) => return Ok(Some(format!("{source} names no {REVISION}"))),
                (_, Some(_)) => return Ok(Some(format!("{source} has images of several revisions"))),
            }
        }
        let first = named.first().map(|(_, revision)| revision.clone());
        if named.iter().all(|(_, revision)| Some(revision) == first.as_ref()) {
            return Ok(None);
        }
        let each: Vec<String> = named.iter().map(|(source, revision)| format!("{source} is of {revision}")).collect();
        Ok(Some(format!("one revision of all: {}", each.join(", "))))
    }

    async fn revisions(&self, contents: &Contents) -> Result<BTreeSet<Option<String>>, Error> {
        if contents.revision.is_some() || contents.is_image {
            return Ok(BTreeSet::from([contents.revision.clone()]));
        }
        let mut revisions = BTreeSet::new();
        for image in contents.parts.iter().filter(|part| part.machine().is_some()) {
            revisions.insert(self.read(&image.reference()).await?.revision);
        }
        Ok(revisions)
    }
}
