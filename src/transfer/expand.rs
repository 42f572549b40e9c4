//! From a rule's scope to the repositories that it means.

use super::context::Context;
use super::engine::Engine;
use super::places::{RepositoryPattern, Source, Target};
use super::rule::Scope;
use crate::content::{Error, Location};
use crate::oci::{Host, Repository, Tag, TagOrDigest};

/// A source repository and where it goes: what a rule means, name by name.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) source: Location,
    pub(super) images: Images,
    /// One for each of the rule's targets, in their order.
    pub(super) targets: Vec<Destination>,
}

/// Which images of a source are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Images {
    /// Those whose tags the rule's filter takes, under the same tags.
    Tags,
    /// One image.
    One(TagOrDigest),
}

/// Where a source's images go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) location: Location,
    /// The tag that one image gets; without one it is left without a tag.
    pub(super) tag: Option<Tag>,
}

impl Destination {
    /// Under what one image is written that is read under this name.
    pub(super) fn name_of(&self, from: &TagOrDigest) -> TagOrDigest {
        self.tag.clone().map_or_else(|| from.clone(), TagOrDigest::Tag)
    }
}

/// What was found, and what is worth telling.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    pub(super) mappings: Vec<Mapping>,
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<Error>,
    /// Patterns that match no repository. What they have written before is not known.
    pub(super) unmatched: Vec<String>,
}

impl Engine {
    /// Reads the catalog where the scope has globs. What fails of one source is not the others'.
    pub(super) async fn expand(&self, scope: &Scope, context: &Context) -> Expansion {
        let mut expansion = Expansion::default();
        for source in &scope.sources {
            match source {
                Source::Repository(location) => expansion.add(scope, location, Images::Tags, None),
                Source::Image(image) => {
                    let (from, tag) = (Images::One(image.selector()), image.tag.as_ref());
                    expansion.add(scope, &image.into(), from, tag);
                }
                Source::Repositories(host, pattern) => match self.matching(host, pattern, scope, context).await {
                    Ok(found) => expansion.add_all(scope, host, pattern, found),
                    Err(error) => expansion.errors.push(error),
                },
            }
        }
        expansion
    }

    /// The repositories of the catalog that a pattern takes; not those that the rule itself writes, which would be
    /// mirrored into themselves again and again.
    async fn matching(
        &self,
        host: &Host,
        pattern: &RepositoryPattern,
        scope: &Scope,
        context: &Context,
    ) -> Result<Vec<Repository>, Error> {
        let catalog =
            context.unless_stopped(context.listings.catalog(&self.registries, host, &context.cancel)).await??;
        let own = |repository: &Repository| {
            let location = Location { host: host.clone(), repository: repository.clone() };
            scope.targets.iter().any(|target| target.covers(&location))
        };
        let is_wanted = |repository: &&Repository| pattern.matches(repository) && !own(repository);
        Ok(catalog.iter().filter(is_wanted).cloned().collect())
    }
}

impl Expansion {
    fn add_all(&mut self, scope: &Scope, host: &Host, pattern: &RepositoryPattern, found: Vec<Repository>) {
        if found.is_empty() {
            let unmatched = format!("the pattern {:?} matches no repository of {host}", pattern.as_str());
            self.warnings.push(unmatched.clone());
            self.unmatched.push(unmatched);
        }
        for repository in found {
            let targets = destinations(scope, &repository, Some(pattern.variable_part(&repository)), None);
            self.push(Location { host: host.clone(), repository }, Images::Tags, targets);
        }
    }

    fn add(&mut self, scope: &Scope, source: &Location, images: Images, tag: Option<&Tag>) {
        self.push(source.clone(), images, destinations(scope, &source.repository, None, tag));
    }

    fn push(&mut self, source: Location, images: Images, targets: Result<Vec<Destination>, String>) {
        match targets {
            Ok(targets) => self.mappings.push(Mapping { source, images, targets }),
            Err(reason) => self.warnings.push(format!("{source} is left out: {reason}")),
        }
    }
}

/// The target's own tag is what is written, else the source's.
fn destinations(
    scope: &Scope,
    repository: &Repository,
    variable: Option<&str>,
    tag: Option<&Tag>,
) -> Result<Vec<Destination>, String> {
    let destination = |target: &Target| {
        let location = target.of(repository, variable).map_err(|error| error.to_string())?;
        Ok(Destination { location, tag: target.tag().or(tag).cloned() })
    };
    scope.targets.iter().map(destination).collect()
}
