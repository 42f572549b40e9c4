//! Rules that would write the same tag. Only what the file itself shows is an error: what two globs have in common is
//! known no sooner than the registries have answered.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::problems::Problems;
use super::route::Route;
use crate::content::Location;
use crate::oci::Tag;
use crate::transfer::Images;

/// What a rule is sure to write to its target.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Claim {
    Tag(Tag),
    WholeRepository,
}

/// Tells each rule that claims what an earlier one does.
pub(super) fn tell<'r>(routes: impl Iterator<Item = &'r Route>, problems: &mut Problems<'_>) {
    let mut claimed: HashMap<(&Location, Claim), &Range<usize>> = HashMap::new();
    for route in routes {
        let claims = claims(route);
        let mut told = HashSet::new();
        for claim in &claims {
            if let Some(earlier) =
                claimed.get(&(&route.target, claim.clone())).filter(|earlier| told.insert(earlier.start))
            {
                let earlier = problems.name(earlier);
                problems.add(&route.target_at, message(&route.target, claim, &earlier));
            }
        }
        for claim in claims {
            claimed.entry((&route.target, claim)).or_insert(&route.target_at);
        }
    }
}

fn claims(route: &Route) -> Vec<Claim> {
    match &route.images {
        Images::One { to, .. } => to.iter().cloned().map(Claim::Tag).collect(),
        Images::Tags(_) if route.whole => vec![Claim::WholeRepository],
        Images::Tags(filter) => filter.exact_tags().unwrap_or_default().into_iter().map(Claim::Tag).collect(),
    }
}

fn message(target: &Location, claim: &Claim, earlier: &str) -> String {
    match claim {
        Claim::Tag(tag) => format!("writes {target}:{tag}, and so does {earlier}"),
        Claim::WholeRepository => format!("mirrors all tags of a repository into {target}, and so does {earlier}"),
    }
}
