//! What other rules write to a repository: found out as their own runs would.

use tokio::sync::OnceCell;

use super::super::context::Context;
use super::super::engine::Engine;
use super::super::expand::{Destination, Expansion, Images, Mapping};
use super::super::rule::Scope;
use super::super::rule::{Neighbour, Prune};
use super::super::stock::listed;
use super::choice::Written;
use super::refusal::Refusal;
use crate::content::{Cause, Error, Location};
use crate::oci::TagOrDigest;

/// The rules beside the one that prunes. What they mean is looked up once, and only if something may go.
pub(super) struct Neighbours<'a> {
    engine: &'a Engine,
    context: &'a Context,
    others: Vec<(&'a Neighbour, OnceCell<Expansion>)>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(prune: &'a Prune, engine: &'a Engine, context: &'a Context) -> Self {
        let others = prune.others.iter().map(|other| (other, OnceCell::new())).collect();
        Self { engine, context, others }
    }

    /// What all of them write to a repository.
    ///
    /// # Errors
    /// If that cannot be found out of one of them.
    pub(super) async fn written_to(&self, at: &Location) -> Result<Written, Refusal> {
        let mut written = Written::default();
        for (other, expansion) in &self.others {
            let scope = &other.scope;
            if scope.targets.iter().any(|target| target.covers(at)) {
                let expansion = expansion.get_or_init(|| self.engine.expand(scope, self.context)).await;
                let names = self.names(scope, expansion, at).await;
                written.extend(names.map_err(|error| unknown(other, error))?);
            }
        }
        Ok(written)
    }

    async fn names(&self, scope: &Scope, expansion: &Expansion, at: &Location) -> Result<Vec<TagOrDigest>, Error> {
        if let Some(error) = expansion.errors.first() {
            return Err(error.clone());
        }
        if let Some(unmatched) = expansion.unmatched.first() {
            // As of a source that lost all its tags.
            return Err(Error::new("looking for repositories", Cause::Protocol(unmatched.clone())));
        }
        let mut names = Vec::new();
        for mapping in &expansion.mappings {
            for destination in mapping.targets.iter().filter(|destination| destination.location == *at) {
                names.extend(self.names_at(scope, mapping, destination).await?);
            }
        }
        Ok(names)
    }

    async fn names_at(
        &self,
        scope: &Scope,
        mapping: &Mapping,
        destination: &Destination,
    ) -> Result<Vec<TagOrDigest>, Error> {
        let tags = match (&mapping.images, scope.tags.exact_tags()) {
            (Images::One(from), _) => return Ok(vec![destination.name_of(from)]),
            (Images::Tags, Some(exact)) => exact,
            (Images::Tags, None) => {
                let source = self.engine.source(&mapping.source)?;
                let source = source.on_behalf_of(&Default::default(), &self.context.cancel);
                let listed = self.context.unless_stopped(listed(&source, self.context)).await??;
                if listed.is_empty() {
                    // A source that lost all its tags is more likely broken than meant.
                    let what = format!("listing the tags of {}", mapping.source);
                    return Err(Error::new(what, Cause::Protocol("there is none".to_owned())));
                }
                let selection = scope.tags.select(listed.to_vec());
                selection.tags.into_iter().chain(selection.missing).collect()
            }
        };
        Ok(tags.into_iter().map(TagOrDigest::Tag).collect())
    }
}

fn unknown(other: &Neighbour, error: Error) -> Refusal {
    if error.is_cancelled() {
        return error.into();
    }
    Refusal::Neighbour { rule: other.rule.clone(), reason: error.with_advice() }
}
