//! What hangs on a document, and whether it is still what was told.
//!
//! No registry deletes on a condition: what comes between the second look and the request goes untold. All that comes
//! while a user reads and agrees does not.

use std::collections::HashSet;

use super::super::context::Context;
use super::super::tagged::{below, named, pointed};
use crate::content::{Error, Pull};
use crate::oci::{Digest, Tag};

/// The tags that have to do with a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependents {
    /// Those that go with it.
    pub(super) tags: Vec<Tag>,
    /// Those of lists that name it, and will lack it.
    pub(super) listed_by: Vec<Tag>,
    /// Those of lists of referrers that name it, and out of which it is taken.
    pub(super) unlisted_from: Vec<Tag>,
}

/// Finds them. A document that was read once in this process, to see what it lists, is not read again.
pub(super) async fn look<T: Pull>(target: &T, context: &Context, digest: &Digest) -> Result<Dependents, Error> {
    let listed = context.unless_stopped(target.tags()).await??.unwrap_or_default();
    let pointed = pointed(target, context, listed).await?;
    let roots: HashSet<Digest> = pointed.values().cloned().collect();
    let below = below(target, context, &roots).await?;
    let mut dependents = Dependents { tags: Vec::new(), listed_by: Vec::new(), unlisted_from: Vec::new() };
    for (tag, root) in pointed {
        if root == *digest {
            dependents.tags.push(tag);
        } else if below.get(&root).is_some_and(|listed| listed.contains(digest)) {
            let is_of_referrers = tag.is_of_referrers_index();
            let lists = if is_of_referrers { &mut dependents.unlisted_from } else { &mut dependents.listed_by };
            lists.push(tag);
        }
    }
    Ok(dependents)
}

impl Dependents {
    /// How they differ from those `before`.
    pub(super) fn since(&self, before: &Self) -> String {
        let kinds = [
            ("tags that go with it", &before.tags, &self.tags),
            ("tags of lists that will lack it", &before.listed_by, &self.listed_by),
            ("lists of referrers that it is taken out of", &before.unlisted_from, &self.unlisted_from),
        ];
        let changes = kinds.into_iter().flat_map(|(kind, before, now)| {
            let (more, less) = (without(now, before), without(before, now));
            [("now also", more), ("no longer", less)].map(|(how, tags)| (kind, how, tags))
        });
        let changes = changes.filter(|(_, _, tags)| !tags.is_empty());
        changes.map(|(kind, how, tags)| format!("{kind}: {how} {}", named(&tags))).collect::<Vec<_>>().join("; ")
    }
}

fn without(tags: &[Tag], others: &[Tag]) -> Vec<Tag> {
    tags.iter().filter(|tag| !others.contains(tag)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_difference_names_what_came_and_what_went() {
        let of = |own: &[&str], lists: &[&str]| Dependents {
            tags: tags(own),
            listed_by: tags(lists),
            unlisted_from: Vec::new(),
        };
        let (before, now) = (of(&["1", "2"], &["list"]), of(&["2", "3"], &["list", "other"]));
        assert_eq!(
            now.since(&before),
            "tags that go with it: now also 3; tags that go with it: no longer 1; tags of lists that will lack it: \
             now also other"
        );
    }
}
