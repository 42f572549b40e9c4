//! What there is to do for a rule: by what it names, or by a listing of each side.

use std::collections::HashSet;

use super::context::Context;
use super::documents::Documents;
use super::route::Before;
use super::rule::{Images, Rule};
use super::select::TagFilter;
use crate::content::{Cause, Error, Pull};
use crate::oci::{Tag, TagOrDigest};

/// What a run has to look at, and what was noticed on the way there.
#[derive(Default)]
pub(super) struct Work {
    pub(super) jobs: Vec<Job>,
    /// Tags that the rule names and the source's listing does not have.
    pub(super) missing: Vec<Tag>,
    pub(super) warnings: Vec<String>,
}

/// One image of a run.
pub(super) struct Job {
    pub(super) from: TagOrDigest,
    pub(super) to: TagOrDigest,
    pub(super) before: Before,
    /// What the source gave already, if this is not the first try.
    pub(super) documents: Documents,
}

impl Work {
    /// Lists the two sides only where the rule has patterns.
    pub(super) async fn of<S: Pull, T: Pull>(
        rule: &Rule,
        source: &S,
        target: &T,
        context: &Context,
    ) -> Result<Self, Error> {
        match &rule.images {
            Images::One { from, to } => Ok(Self::named([Job::new(from.clone(), to.clone())])),
            Images::Tags(filter) => match filter.exact_tags() {
                Some(tags) => Ok(Self::named(tags.into_iter().map(|tag| Job::same_tag(tag, Before::Unknown)))),
                None => Self::listed(filter, source, target, context).await,
            },
        }
    }

    fn named(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { jobs: jobs.into_iter().collect(), ..Self::default() }
    }

    async fn listed<S: Pull, T: Pull>(
        filter: &TagFilter,
        source: &S,
        target: &T,
        context: &Context,
    ) -> Result<Self, Error> {
        let mut work = Self::default();
        let (there, here) = tokio::join!(source.tags(), target.tags());
        let there = there?.ok_or_else(|| Error::new(listing(source), Cause::NotFound))?;
        let here = match here {
            Ok(Some(tags)) => Some(tags.into_iter().collect::<HashSet<Tag>>()),
            Ok(None) => {
                context.knowledge.learn_new(target.location());
                Some(HashSet::new())
            }
            // Not every login may list what it may write: each tag is asked for instead.
            Err(error) if error.is_refusal() => {
                work.warnings.push(format!("{error}; each tag is looked up by itself"));
                None
            }
            Err(error) => return Err(error),
        };

        let selection = filter.select(there);
        if selection.tags.is_empty() && selection.missing.is_empty() && selection.unmatched.is_empty() {
            work.warnings.push(format!("{} has no tag for this rule", source.location()));
        }
        let unmatched = selection.unmatched.iter();
        work.warnings.extend(unmatched.map(|p| format!("the pattern {p:?} matches no tag of {}", source.location())));
        work.missing = selection.missing;
        let before = |tag: &Tag| match &here {
            Some(tags) if !tags.contains(tag) => Before::Absent,
            _ => Before::Unknown,
        };
        let jobs = selection.tags.into_iter().map(|tag| (before(&tag), tag));
        work.jobs = jobs.map(|(before, tag)| Job::same_tag(tag, before)).collect();
        Ok(work)
    }
}

impl Job {
    fn new(from: TagOrDigest, to: Option<Tag>) -> Self {
        let to = to.map_or_else(|| from.clone(), TagOrDigest::Tag);
        Self { from, to, before: Before::Unknown, documents: Documents::default() }
    }

    fn same_tag(tag: Tag, before: Before) -> Self {
        let (from, to) = (TagOrDigest::Tag(tag.clone()), TagOrDigest::Tag(tag));
        Self { from, to, before, documents: Documents::default() }
    }
}

/// Why a tag that a listing lacks failed.
pub(super) fn missing(source: &impl Pull, tag: &Tag) -> Error {
    Error::new(format!("looking for {tag} in the tags of {}", source.location()), Cause::NotFound)
}

fn listing(of: &impl Pull) -> String {
    format!("listing the tags of {}", of.location())
}
