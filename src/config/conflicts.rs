//! Rules that would write the same tag. Only what the file itself shows is an error: what two globs have in common is
//! known no sooner than the registries have answered.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::problems::Problems;
use super::scope::RouteOfRule;
use crate::content::Location;
use crate::oci::Tag;
use crate::transfer::Source;

/// What a rule is sure to write.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Claim {
    Tag(Location, Tag),
    WholeRepository(Location),
}

/// Tells each rule that claims what an earlier one does, or what it claims itself already.
pub(super) fn tell<'r>(routes: impl Iterator<Item = &'r RouteOfRule>, problems: &mut Problems<'_>) {
    let mut claimed: HashMap<Claim, &Range<usize>> = HashMap::new();
    for route in routes {
        let mut told = HashSet::new();
        for (claim, at) in claims(route) {
            let Some(earlier) = claimed.get(&claim) else {
                claimed.insert(claim, at);
                continue;
            };
            if told.insert(earlier.start) {
                let message = message(&claim, route.targets_at.contains(earlier), &problems.name(earlier));
                problems.add(at, message);
            }
        }
    }
}

/// What a route writes, and where its target stands.
fn claims(route: &RouteOfRule) -> Vec<(Claim, &Range<usize>)> {
    let scope = &route.scope;
    let mut exact = scope.tags.exact_tags().unwrap_or_default();
    let mut seen = HashSet::new();
    exact.retain(|tag| seen.insert(tag.clone()));
    let mut claims = Vec::new();
    let written = if route.together { 1 } else { scope.sources.len() };
    for (target, at) in scope.targets.iter().zip(&route.targets_at) {
        for source in scope.sources.iter().take(written) {
            match source {
                Source::Repositories(..) => {}
                Source::Image(image) => {
                    let (location, tag) = (target.of(&image.repository, None), target.tag().or(image.tag.as_ref()));
                    claims
                        .extend(location.ok().zip(tag).map(|(location, tag)| (Claim::Tag(location, tag.clone()), at)));
                }
                Source::Repository(location) => {
                    let Ok(location) = target.of(&location.repository, None) else { continue };
                    claims.extend(exact.iter().map(|tag| (Claim::Tag(location.clone(), tag.clone()), at)));
                    claims.extend(route.whole.then_some((Claim::WholeRepository(location), at)));
                }
            }
        }
    }
    claims
}

fn message(claim: &Claim, is_own: bool, earlier: &str) -> String {
    match (claim, is_own) {
        (Claim::Tag(target, tag), false) => format!("writes {target}:{tag}, and so does {earlier}"),
        (Claim::Tag(target, tag), true) => format!("would write {target}:{tag} twice"),
        (Claim::WholeRepository(target), false) => {
            format!("mirrors all tags of a repository into {target}, and so does {earlier}")
        }
        (Claim::WholeRepository(target), true) => format!("would mirror two repositories into {target}"),
    }
}
